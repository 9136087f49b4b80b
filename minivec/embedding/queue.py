"""The texts that wait for the model: one bounded lane per input type, planned into length-grouped batches.

Nothing here locks; the scheduler holds its lock round every call but `Ticket.wait`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import Backend
from minivec.embedding.batches import group_by_length, group_in_order
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.tokens import TokenizedText
from minivec.errors import MinivecError

BudgetOf = Callable[[Backend], int]
"""The tokens that one pass of this model may hold now."""

LOOKAHEAD = 16  # batches planned at once: enough to find texts of like length, few enough to stay fair


class Ticket:
    """One caller's texts on their way: a vector or an error for each, or one failure for them all."""

    def __init__(self, backend: Backend, count: int, form: VectorForm = PLAIN) -> None:
        self.backend = backend
        self.form = form
        self.vectors: NDArray[Any] = np.zeros((count, form.columns(backend.dimension)), form.dtype)
        self.errors: list[MinivecError | None] = [None] * count
        self.failure: MinivecError | None = None
        self._open = count
        self._done = threading.Event()
        if not count:
            self._done.set()

    @property
    def ended(self) -> bool:
        """True once nothing more will be done for it."""
        return self._done.is_set()

    def settle(self, position: int, outcome: NDArray[Any] | MinivecError) -> None:
        """Put one text's vector or error in its place; the last one wakes the caller, and what comes later is ignored."""
        if self.ended:
            return
        if isinstance(outcome, MinivecError):
            self.errors[position] = outcome
        else:
            self.vectors[position] = outcome
        self._open -= 1
        if self._open == 0:
            self._done.set()

    def fail(self, failure: MinivecError) -> None:
        """End every text of the caller that is still open; wakes the caller."""
        if not self.ended:
            self.failure = failure
            self._done.set()

    def wait(self, seconds: float) -> bool:
        """True once every text ended; False when `seconds` passed first."""
        return self._done.wait(seconds)


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """One text in the queue and where its outcome belongs."""

    text: TokenizedText
    ticket: Ticket
    position: int


class Lane:
    """The waiting texts of one input type, oldest first, and how many tokens they are."""

    def __init__(self) -> None:
        self.tokens = 0
        self._waiting: deque[Waiting] = deque()
        self._planned: deque[list[Waiting]] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._planned)

    def add(self, ticket: Ticket, texts: Sequence[TokenizedText]) -> None:
        """Append one caller's texts."""
        self._waiting.extend(Waiting(text, ticket, position) for position, text in enumerate(texts))
        self.tokens += sum(map(len, texts))

    def next_batch(self, budget_of: BudgetOf) -> list[Waiting]:
        """The next texts of one model and form that go through together, of any callers. The lane must not be empty."""
        if not self._planned:
            self._plan(budget_of)
        batch = self._planned.popleft()
        self.tokens -= sum(len(waiting.text) for waiting in batch)
        return batch

    def fills_a_batch(self, budget_of: BudgetOf) -> bool:
        """Whether waiting for more texts would not make the next batch any larger."""
        return bool(self._planned) or bool(self._waiting and self.tokens >= budget_of(self._waiting[0].ticket.backend))

    def put_back(self, batches: Sequence[list[Waiting]]) -> None:
        """Batches taken before, whole or in parts, to come first again as they are; without those of ended tickets."""
        for batch in reversed(batches):
            if open_still := [waiting for waiting in batch if not waiting.ticket.ended]:
                self._planned.appendleft(open_still)
                self.tokens += sum(len(waiting.text) for waiting in open_still)

    def drop(self, ticket: Ticket) -> None:
        """Forget the texts of this ticket."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting.ticket is not ticket)
        kept = [[waiting for waiting in batch if waiting.ticket is not ticket] for batch in self._planned]
        self._planned = deque(batch for batch in kept if batch)
        self.tokens = sum(len(waiting.text) for batch in (self._waiting, *self._planned) for waiting in batch)

    def replan(self) -> None:
        """Take the planned batches apart again, because the budget they were planned for no longer holds."""
        self._waiting.extendleft(reversed([waiting for batch in self._planned for waiting in batch]))
        self._planned.clear()

    def drain(self) -> list[Waiting]:
        """Empty the lane and hand over what was in it."""
        self.replan()
        everything = list(self._waiting)
        self._waiting.clear()
        self.tokens = 0
        return everything

    def _plan(self, budget_of: BudgetOf) -> None:
        alike: dict[tuple[int, VectorForm], list[Waiting]] = {}
        taken, enough = 0, LOOKAHEAD * budget_of(self._waiting[0].ticket.backend)
        while self._waiting and taken < enough:
            waiting = self._waiting.popleft()
            alike.setdefault((id(waiting.ticket.backend), waiting.ticket.form), []).append(waiting)
            taken += len(waiting.text)
        for group in alike.values():
            self._planned.extend(_batches(group, budget_of(group[0].ticket.backend)))


def _batches(group: list[Waiting], budget: int) -> Iterable[list[Waiting]]:
    backend = group[0].ticket.backend
    lengths = [len(waiting.text) for waiting in group]
    if backend.pads:
        batches = group_by_length(lengths, budget=budget, pass_cost=backend.pass_cost)
    else:
        batches = group_in_order(lengths, budget=budget)
    for positions in batches:
        yield [group[position] for position in positions]
