"""Workers, one per device, between many callers and the models. Every text ends in a vector or an error.

submit: refused when the lane is full  →  lanes: queries before passages  →  worker: one batch at a time
                                                    out of memory: halve the budget, plan again, go on (and grow back slowly)
                                                    any other failure: put back in halves until the poisonous text fails alone
                                                    worker dead: its batch fails, the others go on; none left or closed: all fail
                                                    caller gone: its texts leave the lane

What is run again goes back to its lane, so that between any two passes a waiting query comes first.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import Backend, DeviceLost, OutOfMemory
from minivec.embedding.budget import Budget, cost
from minivec.embedding.callers import current_caller
from minivec.embedding.interface import InputType
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.queue import Lane, Ticket, Waiting
from minivec.embedding.tokens import TokenizedText
from minivec.embedding.worker import Batch, Worker, named
from minivec.errors import Busy, Closed, EmbeddingFailed, MinivecError

log = logging.getLogger(__name__)

QUERY_TURNS = 16  # query batches in a row before a waiting passage batch gets its turn
ALIVE_CHECK = 1.0  # seconds between looks at whether a worker still lives
FIRST_GUESS = 5000.0  # tokens a second, before anything was measured


class Scheduler:
    """Runs the batches of one or several devices, each in a thread of its own. Safe to call from any thread."""

    def __init__(self, *devices: str, batch_tokens: int, queue_tokens: int, queue_delay: float = 0.0) -> None:
        """`batch_tokens` holds for models that `serve` was not told of; an idle device waits `queue_delay` seconds for more."""
        self._batch_tokens = batch_tokens
        self._queue_tokens = queue_tokens
        self._queue_delay = queue_delay
        self._first_arrival = 0.0
        self._budgets: dict[Backend, Budget] = {}
        self._replicas: dict[Backend, tuple[Backend, ...]] = {}
        self._lanes: dict[InputType, Lane] = {"query": Lane(), "passage": Lane()}
        self._changed = threading.Condition()
        self._query_turns = 0
        self._rate = FIRST_GUESS
        self._closing = False
        self._workers = [Worker(number, device, self._work) for number, device in enumerate(devices)]
        for worker in self._workers:
            worker.thread.start()

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices' names; a device with two workers stands here twice."""
        return tuple(worker.device for worker in self._workers)

    def serve(self, replicas: Sequence[Backend], *, batch_tokens: int) -> None:
        """Make one model known: the same on every device, in the devices' order. `submit` is then called with the first."""
        if len(replicas) != len(self._workers):
            raise ValueError(f"{len(replicas)} replicas for {len(self._workers)} devices")
        with self._changed:
            self._replicas[replicas[0]] = tuple(replicas)
            self._budgets[replicas[0]] = Budget(batch_tokens)

    def batch_tokens(self, backend: Backend) -> int:
        """The tokens that one pass of this model may hold now."""
        return self._budget(backend).tokens

    def submit(
        self,
        backend: Backend,
        texts: Sequence[TokenizedText],
        input_type: InputType,
        *,
        form: VectorForm = PLAIN,
        patient: bool = False,
    ) -> Ticket:
        """Queue one caller's texts. An empty lane takes any amount; a full one raises Busy, or waits when `patient`.

        Raises Closed after close or when the caller has left, and EmbeddingFailed when no worker lives.
        """
        ticket = Ticket(backend, len(texts), form)
        caller = current_caller()
        if caller is not None:
            caller.when_gone(partial(self.drop, ticket))
        tokens = sum(map(len, texts))
        lane = self._lanes[input_type]
        with self._changed:
            self._refuse_if_ended(ticket)
            while lane.tokens and lane.tokens + tokens > self._queue_tokens:
                if not patient:
                    raise self._busy(lane, tokens)
                self._changed.wait(ALIVE_CHECK)
                self._refuse_if_ended(ticket)
            if not any(self._lanes.values()):
                self._first_arrival = time.monotonic()
            lane.add(ticket, texts)
            self._changed.notify_all()
        return ticket

    def wait(self, ticket: Ticket) -> None:
        """Block until every text of the ticket ended. Raises Closed or EmbeddingFailed when they ended together."""
        while not ticket.wait(ALIVE_CHECK):
            if not any(worker.lives for worker in self._workers):
                ticket.fail(self._death_notice())
        if ticket.failure is not None:
            raise _again(ticket.failure)

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for these texts any more: those that have not begun leave the queue, and the ticket ends in Closed."""
        with self._changed:
            if ticket.ended:
                return
            for lane in self._lanes.values():
                lane.drop(ticket)
            ticket.fail(Closed("Nobody waits for these texts any more."))
            self._changed.notify_all()

    @property
    def trouble(self) -> str:
        """Why no text is answered any more, or nothing while texts are."""
        if self._closing:
            return "closed"
        return "" if any(worker.lives for worker in self._workers) else self._workers[0].trouble

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each device that answers no more."""
        troubles = [(worker.device, "closed" if self._closing else worker.trouble) for worker in self._workers]
        return tuple(f"{device}: {trouble}" for device, trouble in troubles if trouble)

    @property
    def waiting_tokens(self) -> int:
        """Tokens in both lanes now."""
        with self._changed:
            return sum(lane.tokens for lane in self._lanes.values())

    def close(self) -> None:
        """End what waits in Closed, let the running batches finish, stop the threads."""
        with self._changed:
            self._closing = True
            self._end_waiters(self._closed())
            self._changed.notify_all()
        for worker in self._workers:
            if threading.current_thread() is not worker.thread:
                worker.thread.join()

    # -- the workers' side --------------------------------------------------------------------------------------

    def _work(self, worker: Worker) -> None:
        try:
            while batch := self._next_batch(worker):
                started = time.perf_counter()
                self._run(batch, self._replica(batch.backend, worker))
                self._measure(batch.tokens, time.perf_counter() - started)
        except BaseException as reason:  # whatever ends the worker, its waiters must hear of it
            self._die(worker, reason)

    def _next_batch(self, worker: Worker) -> Batch | None:
        """The next batch, or None to stop."""
        with self._changed:
            worker.running = None
            while not self._closing and (seconds := self._until_ready()) != 0:
                self._changed.wait(seconds)
            if not self._closing:
                lane = self._pick_lane()
                worker.running = Batch(lane, lane.next_batch(self.batch_tokens))
            self._changed.notify_all()
            return worker.running

    def _until_ready(self) -> float | None:
        """Seconds until what waits should go, whether or not more comes to share its batch; None while nothing waits."""
        lanes = [lane for lane in self._lanes.values() if lane]
        if not lanes:
            return None
        if not self._queue_delay or any(lane.fills_a_batch(self.batch_tokens) for lane in lanes):
            return 0
        return max(self._first_arrival + self._queue_delay - time.monotonic(), 0)

    def _pick_lane(self) -> Lane:
        queries, passages = self._lanes["query"], self._lanes["passage"]
        if queries and not (passages and self._query_turns >= QUERY_TURNS):
            self._query_turns += 1
            return queries
        self._query_turns = 0
        return passages

    def _run(self, batch: Batch, backend: Backend) -> None:
        try:
            vectors = _forward(batch, backend)
        except DeviceLost:
            raise
        except OutOfMemory as reason:
            if len(batch.waiting) > 1:  # one that is too long alone says nothing about the budget of the others
                self._shrink(batch, backend)
            else:
                length = len(batch.waiting[0].text)
                self._fail_alone(batch, f"The device has too little memory for this text of {length} tokens", reason)
        except Exception as reason:  # a backend may raise anything; the guilty text gets it as its error
            if len(batch.waiting) > 1:
                self._put_back(batch, batch.halves())
            else:
                self._fail_alone(batch, "The model failed on this text", reason)
        else:
            finite = np.isfinite(vectors).all(axis=1)
            self._settle(batch, [row if good else _not_finite() for row, good in zip(vectors, finite, strict=True)])

    def _fail_alone(self, batch: Batch, sentence: str, reason: Exception) -> None:
        log.warning("%s: %s", sentence, named(reason))
        with self._changed:
            batch.waiting[0].ticket.settle(batch.waiting[0].position, EmbeddingFailed(f"{sentence}: {named(reason)}."))

    def _settle(self, batch: Batch, outcomes: Sequence[NDArray[Any] | MinivecError]) -> None:
        with self._changed:
            for waiting, outcome in zip(batch.waiting, outcomes, strict=True):
                waiting.ticket.settle(waiting.position, outcome)
            self._budget(batch.backend).fitted()

    def _shrink(self, batch: Batch, backend: Backend) -> None:
        budget = self._budget(batch.backend)
        with self._changed:
            budget.shrink(cost(backend, batch.lengths))
            self._put_back(batch, [batch.waiting])
            for lane in self._lanes.values():
                lane.replan()
        log.warning("Out of memory on %s: batches now hold at most %d tokens.", backend.device, budget.tokens)

    def _put_back(self, batch: Batch, parts: Sequence[list[Waiting]]) -> None:
        with self._changed:
            if self._closing:
                _end(batch.waiting, self._closed())
            else:
                batch.lane.put_back(parts)
                self._changed.notify_all()

    def _measure(self, tokens: int, seconds: float) -> None:
        self._rate = 0.8 * self._rate + 0.2 * tokens / max(seconds, 1e-6)

    def _die(self, worker: Worker, reason: BaseException) -> None:
        log.error("The embedding worker of %s stopped.", worker.device, exc_info=reason)
        with self._changed:
            worker.death = named(reason)
            _end(worker.running.waiting if worker.running else [], worker.death_notice())
            if all(other.death for other in self._workers):
                self._end_waiters(worker.death_notice())
            self._changed.notify_all()

    # -- under the lock -----------------------------------------------------------------------------------------

    def _budget(self, backend: Backend) -> Budget:
        return self._budgets.setdefault(backend, Budget(self._batch_tokens))

    def _replica(self, backend: Backend, worker: Worker) -> Backend:
        """The model on the worker's device; one that `serve` was not told of runs as it is."""
        replicas = self._replicas.get(backend)
        return backend if replicas is None else replicas[worker.number]

    def _end_waiters(self, failure: MinivecError) -> None:
        for lane in self._lanes.values():
            _end(lane.drain(), failure)

    def _refuse_if_ended(self, ticket: Ticket) -> None:
        if self._closing:
            raise self._closed()
        if ticket.failure is not None:
            raise _again(ticket.failure)
        if not any(worker.lives for worker in self._workers):
            raise self._death_notice()

    def _death_notice(self) -> EmbeddingFailed:
        return self._workers[0].death_notice()

    def _closed(self) -> Closed:
        return Closed("The embedding engine is closed.")

    def _busy(self, lane: Lane, tokens: int) -> Busy:
        rate = self._rate * sum(worker.lives for worker in self._workers)
        retry_after = min(max(math.ceil(lane.tokens / rate * 10) / 10, 0.1), 60.0)
        return Busy(
            f"The embedding queue holds {lane.tokens} tokens; {tokens} more would pass its limit of "
            f"{self._queue_tokens}.",
            hint=f"Try again in {retry_after:g} s.",
            retry_after=retry_after,
        )


def _forward(batch: Batch, backend: Backend) -> NDArray[Any]:
    form = batch.waiting[0].ticket.form
    vectors = backend.forward([waiting.text for waiting in batch.waiting], form)
    expected = (len(batch.waiting), form.columns(backend.dimension))
    if vectors.shape != expected:
        raise ValueError(f"the model answered with shape {vectors.shape} instead of {expected}")
    return vectors


def _not_finite() -> EmbeddingFailed:
    return EmbeddingFailed("The model answered this text with numbers that are not finite.")


def _end(waiters: Sequence[Waiting], failure: MinivecError) -> None:
    for waiting in waiters:
        waiting.ticket.fail(failure)


def _again(failure: MinivecError) -> MinivecError:
    """The same failure as a new exception: one that several threads raised would collect all their tracebacks."""
    return type(failure)(failure.message, hint=failure.hint)
