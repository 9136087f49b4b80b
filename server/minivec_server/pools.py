"""Bounded thread pools: the event loop hands every piece of work that may take long to one of them, or says 'busy'."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import ParamSpec, TypeVar

from minivec.embedding.callers import Caller
from minivec.errors import Busy, Closed
from minivec.settings import Settings
from minivec_server.jobs import Jobs

P = ParamSpec("P")
T = TypeVar("T")


class Pool:
    """`threads` threads, and at most `waiting` calls that wait for one. `finishes`: work that has begun is never given up."""

    def __init__(self, name: str, threads: int, waiting: int, *, finishes: bool = False) -> None:
        self._name = name
        self._finishes = finishes
        self._most = threads + waiting
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"minivec-{name}")
        self._lock = threading.Lock()
        self._accepted: set[Future[object]] = set()
        self._closed = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `work(...)`, run on a thread. Raises Busy when too many wait, Closed after `close`.

        Cancelling the wait drops work that has not begun, and takes the texts of work that has begun out of the model's
        queue; a pool that `finishes` runs that to its end unheard.
        """
        caller = Caller()
        with self._lock:
            if self._closed:
                raise Closed("The server is stopping.", hint="Send the request to it again once it is back.")
            if len(self._accepted) >= self._most:
                raise Busy(f"Too many requests wait for the {self._name}.", hint="Try again in a moment.")
            future = self._executor.submit(caller.run, partial(work, *args, **kwargs))
            self._accepted.add(future)  # type: ignore[arg-type]  # a set of futures of anything
        future.add_done_callback(self._forget)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not self._finishes:
                caller.leave()
            raise

    def close(self, seconds: float) -> bool:
        """Take no more work and wait this long for what runs; whether all of it ended."""
        with self._lock:
            self._closed = True
            running = set(self._accepted)
        self._executor.shutdown(wait=False, cancel_futures=True)
        return not wait(running, timeout=seconds).not_done

    def _forget(self, future: Future[T]) -> None:
        with self._lock:
            self._accepted.discard(future)


EMBEDDING_THREADS = 64
"""Each waits for the model, and those that wait together share its batches: few threads would mean small batches."""


class Pools:
    """Searches and reads apart from imports and other writes, queries apart from passages: none starves another."""

    def __init__(self, settings: Settings) -> None:
        self.reads = Pool("reads", settings.search_threads, settings.max_waiting)
        self.writes = Pool("writes", settings.write_threads, settings.max_waiting, finishes=True)
        self.queries = Pool("queries", EMBEDDING_THREADS, settings.max_waiting)
        self.passages = Pool("passages", EMBEDDING_THREADS, settings.max_waiting)
        self.jobs = Jobs()

    def close(self, seconds: float) -> bool:
        """Take no more work in any pool; whether all that ran ended in time."""
        ended = self.jobs.close(seconds)
        ended = self.writes.close(seconds if ended else 0.0) and ended
        for pool in (self.reads, self.queries, self.passages):
            ended = pool.close(seconds if ended else 0.0) and ended
        return ended
