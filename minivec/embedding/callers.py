"""Who waits for vectors, and whether they still do. A server marks its threads with `Caller.run`, and calls `leave` when the
client is gone or the time limit has passed: texts of a caller who left are dropped from the queue."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Caller:
    """Somebody who waits for an answer and may go away. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._farewells: list[Callable[[], None]] = []

    @property
    def gone(self) -> bool:
        """True once nobody waits any more."""
        return self._gone

    def run(self, work: Callable[[], T]) -> T:
        """The result of `work()`, with everything it embeds in this thread done for this caller."""
        token = _current.set(self)
        try:
            return work()
        finally:
            _current.reset(token)

    def leave(self) -> None:
        """Nobody waits any more; does what `when_gone` was given, once."""
        with self._lock:
            self._gone = True
            farewells, self._farewells = self._farewells, []
        for farewell in farewells:
            farewell()

    def when_gone(self, farewell: Callable[[], None]) -> None:
        """Call this once when the caller leaves, from the thread that says so; at once when it has left already."""
        with self._lock:
            if not self._gone:
                self._farewells.append(farewell)
                return
        farewell()


_current: ContextVar[Caller | None] = ContextVar("minivec_caller", default=None)


def current_caller() -> Caller | None:
    """For whom this thread works, where anybody said so."""
    return _current.get()
