"""A reembed over HTTP as a sequence of steps: start the job, ask how far it is, wait, until it has ended.

The steps do no HTTP themselves; two small loops, one sync and one async, carry them out. The job goes on at the server when
the caller goes away; the same call then attaches to it, or goes on where it stopped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any

from minivec.client import requests
from minivec.client.wire import Call
from minivec.errors import Conflict, InvalidInput, MinivecError, Unavailable, by_code
from minivec.progress import Progress, Report, telling
from minivec.types.reembed import Reembedded, ReembedJob

FIRST_WAIT = 0.05
LONGEST_WAIT = 1.0

Start = Callable[[str], Call[ReembedJob]]


@dataclass(frozen=True, slots=True)
class Wait:
    """A step: let so many seconds pass."""

    seconds: float


Steps = Generator[Call[Any] | Wait, Any, Reembedded]


def follow(
    name: str, space: str | None, start: Start, progress: Progress | None, send: Callable[..., Any]
) -> Reembedded:
    """Start the job with `start(space)` and wait for its end; what `send` makes of a call is sent in."""
    with telling(progress) as tell:
        steps = _steps(name, space, start, tell)
        given: Any = None
        error: MinivecError | None = None
        while True:
            try:
                step = steps.send(given) if error is None else steps.throw(error)
            except StopIteration as ended:
                return _result(ended.value)
            given = error = None
            if isinstance(step, Wait):
                time.sleep(step.seconds)
                continue
            try:
                given = send(step)
            except MinivecError as raised:
                error = raised


async def follow_async(
    name: str, space: str | None, start: Start, progress: Progress | None, send: Callable[..., Awaitable[Any]]
) -> Reembedded:
    """`follow` for asyncio."""
    with telling(progress) as tell:
        steps = _steps(name, space, start, tell)
        given: Any = None
        error: MinivecError | None = None
        while True:
            try:
                step = steps.send(given) if error is None else steps.throw(error)
            except StopIteration as ended:
                return _result(ended.value)
            given = error = None
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                continue
            try:
                given = await send(step)
            except MinivecError as raised:
                error = raised


def _steps(name: str, space: str | None, start: Start, tell: Report) -> Steps:
    place = space if space is not None else _only_space((yield requests.describe(name)))
    try:
        job: ReembedJob = yield start(place)
    except Conflict:
        job = yield requests.reembed_job(name, place)
        if job.state != "running":
            raise
    wait = FIRST_WAIT
    while job.state == "running":
        tell(job.done, job.total)
        yield Wait(wait)
        wait = min(wait * 1.5, LONGEST_WAIT)
        job = yield requests.reembed_job(name, place)
    tell(job.done, job.total)
    if job.state == "cancelled":
        raise Unavailable("The reembed was cancelled.", hint="The same call goes on where it stopped.")
    if job.state == "failed" or job.result is None:
        raise by_code().get(job.code, MinivecError)(job.reason, hint=job.hint, field=job.field)
    return job.result


def _only_space(info: Any) -> str:
    names = [space.name for space in info.config.chosen_spaces]
    if len(names) != 1:
        raise InvalidInput(
            "The collection has several vector spaces." if names else "The collection has no vector space.",
            field="space",
            hint=f"Name one of {', '.join(names)}." if names else "Add one first.",
        )
    return str(names[0])


def _result(value: Any) -> Reembedded:
    assert isinstance(value, Reembedded)
    return value
