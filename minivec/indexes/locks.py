"""A fair readers-writer lock: searches share it, updates exclude them, and neither can starve the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedLock:
    """Held by many readers or by one writer. Not reentrant.

    A waiting writer stops new readers; when a writer leaves, the readers who waited for it go before the next writer.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._readers = 0
        self._writing = False
        self._writers_waiting = 0
        self._readers_waiting = 0
        self._turns_owed = 0  # readers who waited out the last writer and have not come in yet
        self._writes = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Hold the lock together with other readers."""
        self._enter_shared()
        try:
            yield
        finally:
            with self._changed:
                self._readers -= 1
                if not self._readers:
                    self._changed.notify_all()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock alone."""
        self._enter_exclusive()
        try:
            yield
        finally:
            with self._changed:
                self._writing = False
                self._writes += 1
                self._turns_owed = self._readers_waiting
                self._changed.notify_all()

    def _enter_shared(self) -> None:
        with self._changed:
            if self._writing or self._writers_waiting or self._turns_owed:
                self._wait_for_turn()
            self._readers += 1

    def _wait_for_turn(self) -> None:
        came = self._writes
        self._readers_waiting += 1
        try:
            while self._writing or (self._writes == came and self._writers_waiting):
                self._changed.wait()
        finally:
            self._readers_waiting -= 1
            if self._writes != came and self._turns_owed:
                self._turns_owed -= 1
                self._changed.notify_all()

    def _enter_exclusive(self) -> None:
        with self._changed:
            self._writers_waiting += 1
            try:
                while self._writing or self._readers or self._turns_owed:
                    self._changed.wait()
            finally:
                self._writers_waiting -= 1
                self._changed.notify_all()
            self._writing = True
