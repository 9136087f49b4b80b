"""One worker thread per device between many callers and the model. Every text ends in a vector or an error.

submit: refused when the lane is full  →  lanes: queries before passages  →  worker: one batch at a time
                                                    out of memory: halve the budget, split the batch, go on (and grow back slowly)
                                                    any other failure: bisect until the poisonous text fails alone
                                                    worker dead or closed: every waiter is told why
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import Backend, DeviceLost, OutOfMemory
from minivec.embedding.batches import padded_tokens
from minivec.embedding.interface import InputType
from minivec.embedding.queue import Lane, Ticket, Waiting
from minivec.embedding.tokens import TokenizedText
from minivec.errors import Busy, Closed, EmbeddingFailed, MinivecError

log = logging.getLogger(__name__)

RECOVERY_PASSES = 100  # passes that fitted before a halved budget is doubled again
QUERY_TURNS = 16  # query batches in a row before a waiting passage batch gets its turn
ALIVE_CHECK = 1.0  # seconds between looks at whether the worker still lives
FIRST_GUESS = 5000.0  # tokens a second, before anything was measured


class Scheduler:
    """Runs the batches of one device in one thread. Safe to call from any thread."""

    def __init__(self, device: str, *, batch_tokens: int, queue_tokens: int) -> None:
        self.device = device
        self.batch_tokens = self._full_batch_tokens = batch_tokens
        self._passes_fitted = 0
        self._queue_tokens = queue_tokens
        self._lanes: dict[InputType, Lane] = {"query": Lane(), "passage": Lane()}
        self._changed = threading.Condition()
        self._running: list[Waiting] = []
        self._query_turns = 0
        self._rate = FIRST_GUESS
        self._closing = False
        self._death = ""
        self._thread = threading.Thread(target=self._work, name=f"minivec-embed-{device}", daemon=True)
        self._thread.start()

    def submit(
        self, backend: Backend, texts: Sequence[TokenizedText], input_type: InputType, *, patient: bool = False
    ) -> Ticket:
        """Queue one caller's texts. An empty lane takes any amount; a full one raises Busy, or waits when `patient`.

        Raises Closed after close and EmbeddingFailed when the worker is dead.
        """
        ticket = Ticket(backend, len(texts))
        tokens = sum(map(len, texts))
        lane = self._lanes[input_type]
        with self._changed:
            self._refuse_if_ended()
            while lane.tokens and lane.tokens + tokens > self._queue_tokens:
                if not patient:
                    raise self._busy(lane, tokens)
                self._changed.wait(ALIVE_CHECK)
                self._refuse_if_ended()
            lane.add(ticket, texts)
            self._changed.notify_all()
        return ticket

    def wait(self, ticket: Ticket) -> None:
        """Block until every text of the ticket ended. Raises Closed or EmbeddingFailed when they ended together."""
        while not ticket.wait(ALIVE_CHECK):
            if not self._thread.is_alive():
                ticket.fail(self._death_notice())
        if ticket.failure is not None:
            raise type(ticket.failure)(ticket.failure.message, hint=ticket.failure.hint)

    @property
    def trouble(self) -> str:
        """Why this device answers no more, or nothing when it does."""
        if self._closing:
            return "closed"
        return self._death or ("" if self._thread.is_alive() else "its worker thread is gone")

    @property
    def waiting_tokens(self) -> int:
        """Tokens in both lanes now."""
        with self._changed:
            return sum(lane.tokens for lane in self._lanes.values())

    def close(self) -> None:
        """End what waits in Closed, let the running batch finish, stop the thread."""
        with self._changed:
            self._closing = True
            self._end_waiters(Closed("The embedding engine was closed while this text waited."))
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # -- the worker's side --------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while batch := self._next_batch():
                started = time.perf_counter()
                self._run(batch)
                self._measure(sum(len(waiting.text) for waiting in batch), time.perf_counter() - started)
        except BaseException as reason:  # whatever ends the worker, its waiters must hear of it
            self._die(reason)

    def _next_batch(self) -> list[Waiting]:
        """The next batch, or an empty one to stop."""
        with self._changed:
            while not self._closing and not any(self._lanes.values()):
                self._running = []
                self._changed.wait()
            self._running = [] if self._closing else self._pick_lane().next_batch(self.batch_tokens)
            self._changed.notify_all()
            return self._running

    def _pick_lane(self) -> Lane:
        queries, passages = self._lanes["query"], self._lanes["passage"]
        if queries and not (passages and self._query_turns >= QUERY_TURNS):
            self._query_turns += 1
            return queries
        self._query_turns = 0
        return passages

    def _run(self, batch: list[Waiting]) -> None:
        try:
            vectors = _forward(batch)
        except DeviceLost:
            raise
        except OutOfMemory as reason:
            self._shrink(batch)
            self._split(batch, f"The device has too little memory for this text of {len(batch[0].text)} tokens", reason)
        except Exception as reason:  # a backend may raise anything; the guilty text gets it as its error
            self._split(batch, "The model failed on this text", reason)
        else:
            self._settle(batch, [_checked(row) for row in vectors])
            self._grow()

    def _split(self, batch: list[Waiting], sentence: str, reason: Exception) -> None:
        if len(batch) == 1:
            log.warning("%s: %s", sentence, _named(reason))
            self._settle(batch, [EmbeddingFailed(f"{sentence}: {_named(reason)}.")])
            return
        middle = len(batch) // 2
        self._run(batch[:middle])
        self._run(batch[middle:])

    def _settle(self, batch: list[Waiting], outcomes: Sequence[NDArray[np.float32] | MinivecError]) -> None:
        with self._changed:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.ticket.settle(waiting.position, outcome)

    def _shrink(self, batch: list[Waiting]) -> None:
        if len(batch) == 1:
            return  # a text that is too long alone says nothing about the budget of the others
        used = padded_tokens([len(waiting.text) for waiting in batch])
        with self._changed:
            self.batch_tokens = max(1, min(self.batch_tokens, used) // 2)
            self._passes_fitted = 0
            for lane in self._lanes.values():
                lane.replan()
        log.warning("Out of memory on %s: batches now hold at most %d tokens.", self.device, self.batch_tokens)

    def _grow(self) -> None:
        self._passes_fitted += 1
        if self._passes_fitted % RECOVERY_PASSES == 0:  # the memory may have been somebody else's for a moment
            self.batch_tokens = min(self.batch_tokens * 2, self._full_batch_tokens)

    def _measure(self, tokens: int, seconds: float) -> None:
        self._rate = 0.8 * self._rate + 0.2 * tokens / max(seconds, 1e-6)

    def _die(self, reason: BaseException) -> None:
        log.error("The embedding worker of %s stopped.", self.device, exc_info=reason)
        with self._changed:
            self._death = _named(reason)
            self._end_waiters(self._death_notice())
            for waiting in self._running:
                waiting.ticket.fail(self._death_notice())
            self._changed.notify_all()

    # -- under the lock -----------------------------------------------------------------------------------------

    def _end_waiters(self, failure: MinivecError) -> None:
        for lane in self._lanes.values():
            for waiting in lane.drain():
                waiting.ticket.fail(failure)

    def _refuse_if_ended(self) -> None:
        if self._closing:
            raise Closed("The embedding engine is closed.")
        if self._death or not self._thread.is_alive():
            raise self._death_notice()

    def _death_notice(self) -> EmbeddingFailed:
        why = self._death or "its thread is gone (was this process forked?)"
        return EmbeddingFailed(
            f"The embedding worker of {self.device} has stopped: {why}.", hint="Restart the process; the log says more."
        )

    def _busy(self, lane: Lane, tokens: int) -> Busy:
        retry_after = min(max(math.ceil(lane.tokens / self._rate * 10) / 10, 0.1), 60.0)
        return Busy(
            f"The embedding queue holds {lane.tokens} tokens; {tokens} more would pass its limit of "
            f"{self._queue_tokens}.",
            hint=f"Try again in {retry_after:g} s.",
            retry_after=retry_after,
        )


def _forward(batch: list[Waiting]) -> NDArray[np.float32]:
    backend = batch[0].ticket.backend
    vectors = backend.forward([waiting.text for waiting in batch])
    expected = (len(batch), backend.dimension)
    if vectors.shape != expected:
        raise ValueError(f"the model answered with shape {vectors.shape} instead of {expected}")
    return vectors


def _checked(row: NDArray[np.float32]) -> NDArray[np.float32] | MinivecError:
    if np.isfinite(row).all():
        return row
    return EmbeddingFailed("The model answered this text with numbers that are not finite.")


def _named(reason: BaseException) -> str:
    return f"{type(reason).__name__}: {reason}".rstrip(" :.")
