"""What the storage tests write, and how they look at it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from minivec.storage.engine import Truth
from minivec.storage.objects import VectorRow, Write, WriteMode, Written, write_objects
from minivec.types.collection import CollectionConfig, Property, VectorSpace

SPACES = ("default", "other")
CONFIG = CollectionConfig(
    name="Things",
    properties=(Property(name="title"),),
    vector_spaces=tuple(VectorSpace(name=name) for name in SPACES),
)


def uuid_of(number: int) -> str:
    return str(UUID(int=number))


def vector_row(*numbers: float, text_hash: bytes | None = b"h" * 16, tokens: int = 3, cut: int = 0) -> VectorRow:
    return VectorRow(vector=np.array(numbers, np.float32), text_hash=text_hash, tokens=tokens, cut=cut)


def write(
    number: int,
    properties: Mapping[str, Any] | None = None,
    *,
    vectors: Mapping[str, VectorRow] | None = None,
    mode: WriteMode = "upsert",
    expected_version: int | None = None,
) -> Write:
    return Write(
        uuid=uuid_of(number),
        properties=orjson.dumps({"title": f"thing {number}"} if properties is None else properties),
        content_hash=b"c" * 16,
        vectors={"default": vector_row(number, 1, 2)} if vectors is None else vectors,
        mode=mode,
        expected_version=expected_version,
    )


def store(truth: Truth, writes: Sequence[Write], now: int = 1_000_000) -> list[Any]:
    return truth.write(lambda connection: write_objects(connection, writes, now))


def store_one(truth: Truth, one: Write, now: int = 1_000_000) -> Written:
    outcome = store(truth, [one], now)[0]
    assert isinstance(outcome, Written), outcome
    return outcome


def new_truth(folder: Path, config: CollectionConfig = CONFIG) -> Truth:
    return Truth.create(folder, config, durability="memory")


def reopened(truth: Truth) -> Truth:
    truth.close()
    return Truth.open(truth.folder, read_only=False, durability="memory")


def ask(truth: Truth, question: Callable[..., Any], *arguments: Any) -> Any:
    """One question in a snapshot of its own."""
    with truth.read() as connection:
        return question(connection, *arguments)


@contextmanager
def on_commit(action: Callable[[Connection], None]) -> Iterator[None]:
    """Run `action` whenever some connection is about to commit."""
    event.listen(Engine, "commit", action)
    try:
        yield
    finally:
        event.remove(Engine, "commit", action)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.001)


class Held:
    """Keeps the writer busy, so that what is handed in meanwhile waits and becomes one group."""

    def __init__(self, truth: Truth) -> None:
        self._truth = truth
        self._go = threading.Event()
        self._holding = threading.Event()
        self._threads = [threading.Thread(target=self._hold)]

    def __enter__(self) -> Held:
        self._threads[0].start()
        assert self._holding.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        for thread in self._threads:
            thread.join(30)

    def submit(self, work: Callable[[Connection], Any]) -> list[Any]:
        """Hand work in from a thread of its own; the list receives its result, or the error it raised."""
        answer: list[Any] = []

        def run() -> None:
            try:
                answer.append(self._truth.write(work))
            except BaseException as error:
                answer.append(error)

        writer = self._truth._writer
        assert writer is not None
        waiting = len(writer._waiting)
        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        until(lambda: len(writer._waiting) > waiting or bool(answer))
        return answer

    def _hold(self) -> None:
        def work(connection: Connection) -> None:
            self._holding.set()
            assert self._go.wait(30)

        self._truth.write(work)
