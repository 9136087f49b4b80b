"""Long work in the background: one job per vector space, its progress as a value, cancelled between two batches.

The list of jobs lives in memory only: what a job has done is in the database, and starting it again goes on from there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

from minivec.errors import Closed, Conflict, MinivecError
from minivec.progress import Report
from minivec.types.reembed import Reembedded, ReembedJob

logger = logging.getLogger("minivec.server")

THREADS = 2
MOST_REMEMBERED = 1_000
Work = Callable[[Report], Reembedded]
_Place = tuple[str, str]


class _Cancelled(Exception):
    """Raised inside a job between two batches."""


class Jobs:
    """Starts, tells of and cancels jobs. Safe from any thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="minivec-job")
        self._lock = threading.Lock()
        self._jobs: dict[_Place, ReembedJob] = {}
        self._futures: dict[_Place, Future[None]] = {}
        self._cancelled: set[_Place] = set()
        self._closed = False

    def start(self, collection: str, space: str, work: Work) -> ReembedJob:
        """Run `work` on a thread of its own. Raises Conflict while one runs for this space, Closed after `close`."""
        place = (collection, space)
        with self._lock:
            if self._closed:
                raise Closed("The server is stopping.", hint="Send the request to it again once it is back.")
            running = self._jobs.get(place)
            if running is not None and running.state == "running":
                raise Conflict(
                    f"Vector space {space!r} is being reembedded already.",
                    field="space",
                    hint="GET the same address to see how far it is, DELETE it to cancel.",
                )
            self._forget_some()
            self._cancelled.discard(place)
            job = self._jobs[place] = ReembedJob(collection=collection, space=space, state="running")
            self._futures[place] = self._executor.submit(self._run, place, work)
        return job

    def of(self, collection: str, space: str) -> ReembedJob | None:
        """The job that runs for this space, or the last one that did."""
        with self._lock:
            return self._jobs.get((collection, space))

    def cancel(self, collection: str, space: str) -> ReembedJob | None:
        """Ask the job of this space to end after its batch."""
        place = (collection, space)
        with self._lock:
            job = self._jobs.get(place)
            if job is not None and job.state == "running":
                self._cancelled.add(place)
                if self._futures[place].cancel():  # it was waiting for a thread
                    job = self._jobs[place] = replace(job, state="cancelled")
            return job

    def close(self, seconds: float) -> bool:
        """Cancel every job and wait this long for them; whether all have ended."""
        with self._lock:
            self._closed = True
            self._cancelled.update(self._jobs)
        self._executor.shutdown(wait=False, cancel_futures=True)
        begun = [future for future in list(self._futures.values()) if not future.cancelled()]
        return not wait(begun, timeout=seconds).not_done

    def _run(self, place: _Place, work: Work) -> None:
        def tell(done: int, total: int | None) -> None:
            self._change(place, done=done, total=total or 0)
            if place in self._cancelled:
                raise _Cancelled

        try:
            result = work(tell)
        except _Cancelled:
            self._change(place, state="cancelled")
        except MinivecError as error:
            self._change(
                place, state="failed", code=error.code, reason=error.message, hint=error.hint, field=error.field
            )
        except Exception:  # it becomes the job's state, and its traceback a log line
            logger.exception("the reembed of space %s of collection %s failed", place[1], place[0])
            self._change(place, state="failed", code="internal", reason="Something went wrong inside the server.")
        else:
            self._change(place, state="done", result=result)

    def _change(self, place: _Place, **changes: object) -> None:
        with self._lock:
            self._jobs[place] = replace(self._jobs[place], **changes)  # type: ignore[arg-type]  # fields by name

    def _forget_some(self) -> None:
        """Keep the list short: the oldest jobs that have ended go."""
        ended = [place for place, job in self._jobs.items() if job.state != "running"]
        for place in ended[: max(0, len(self._jobs) - MOST_REMEMBERED)]:
            del self._jobs[place], self._futures[place]
