"""A request's body, read by us rather than the framework: bounded, parsed by orjson, judged, and only then a model."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from minivec.errors import InvalidInput, LimitExceeded
from minivec.ingest.values import check_json
from minivec_server.errors import HttpRefusal, invalid_body
from minivec_server.guard import body_too_large
from minivec_server.state import common_of

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

JSON = "application/json"
BIG_BODY = 256 * 1024
"""Bodies above this many bytes are parsed on a thread, so that the event loop stays free."""
_HUGE = float(2**63)


def media_type(request: Request) -> str:
    """The media type of the request's body, lower-case, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(request: Request, *supported: str) -> HttpRefusal:
    """The refusal of a body of another media type. A page of another site cannot send JSON unasked; form posts it can."""
    sent = media_type(request) or "no content type"
    wanted = " or ".join(supported)
    return HttpRefusal(
        415,
        "unsupported_media_type",
        f"The body is declared as {sent[:80]}; this route reads {wanted}.",
        hint=f"Send the header 'Content-Type: {supported[0]}'.",
        field="content-type",
    )


async def read_model(request: Request, model: type[M]) -> M:
    """The JSON body as this model. Raises HttpRefusal and InvalidInput, each naming what is wrong."""

    def read(raw: bytes, max_depth: int) -> M:
        return as_model(parse_judged(raw, max_depth), model)

    return await read_with(request, read, model.__name__)


async def read_with(request: Request, read: Callable[[bytes, int], R], expected: str) -> R:
    """What `read(body, deepest nesting)` makes of the JSON body; run on a thread when the body is big."""
    common = common_of(request)
    if media_type(request) != JSON:
        raise unsupported(request, JSON)
    raw = await _collect(request, common.settings.max_body_bytes)
    if not raw.strip():
        raise HttpRefusal(
            400, "invalid_input", "The body is empty.", hint=f"Send JSON ({expected}); GET /docs shows it."
        )
    if len(raw) <= BIG_BODY:
        return read(raw, common.settings.max_depth)
    return await common.pools.reads.run(read, raw, common.settings.max_depth)


def as_model(value: Any, model: type[M]) -> M:
    """A JSON value as this model. Raises InvalidInput that names the first problem."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_body(error) from error


def parse(raw: bytes, max_depth: int) -> Any:
    """The JSON value; integers keep every digit. Raises HttpRefusal 400 for what is not JSON, LimitExceeded for nesting.

    Not JSON are also NaN, Infinity, invalid UTF-8 and halves of surrogate pairs.
    """
    return _parse(raw, max_depth)[0]


def parse_judged(raw: bytes, max_depth: int) -> Any:
    """As `parse`, and also refused (InvalidInput) are NUL characters and integers beyond 64 bits."""
    value, holds_huge_number = _parse(raw, max_depth)
    if holds_huge_number or b"\\u0000" in raw:
        try:
            check_json(value, "")
        except InvalidInput as error:
            error.field = error.field.removeprefix(".")
            raise
    return value


def _parse(raw: bytes, max_depth: int) -> tuple[Any, bool]:
    try:
        value = orjson.loads(raw)
        huge = _holds_huge_number(value, max_depth)
        return (json.loads(raw) if huge else value), huge  # orjson makes floats of integers beyond 64 bits
    except (orjson.JSONDecodeError, json.JSONDecodeError) as error:
        if "depth limit" in str(error):
            raise _too_deep(max_depth) from error
        message = f"The body is not JSON: {error}."
        raise HttpRefusal(
            400, "invalid_input", message, hint="Send UTF-8 JSON; NaN and Infinity are not JSON."
        ) from error


async def _collect(request: Request, most: int) -> bytes:
    pieces = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > most:
            raise body_too_large(most)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _holds_huge_number(value: Any, max_depth: int) -> bool:
    """Whether a number of 2^63 or more is in there. Raises LimitExceeded for nesting beyond `max_depth`."""
    huge = False
    waiting = [(value, 1)] if type(value) in (dict, list) else []
    while waiting:
        item, depth = waiting.pop()
        if depth > max_depth:
            raise _too_deep(max_depth)
        values = list(item.values()) if type(item) is dict else item
        kinds = set(map(type, values))
        huge = huge or _has_huge(values, kinds)
        if dict in kinds or list in kinds:
            waiting.extend((inner, depth + 1) for inner in values if type(inner) in (dict, list))
    return huge


def _has_huge(values: list[Any], kinds: set[type]) -> bool:
    if kinds == {float}:
        return math.hypot(*values) >= _HUGE  # one fast call; never less than the largest of them
    if float in kinds or int in kinds:
        return any(abs(number) >= _HUGE for number in values if type(number) in (int, float))
    return False


def _too_deep(max_depth: int) -> LimitExceeded:
    return LimitExceeded(f"The JSON is nested deeper than {max_depth} levels.", hint="Flatten it.")
