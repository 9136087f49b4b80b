"""One device's thread, and the batch it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from minivec.embedding.backend import Backend
from minivec.embedding.queue import Lane, Waiting
from minivec.errors import EmbeddingFailed


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Texts of one model and form that go through together, at least one, and the lane they came from."""

    lane: Lane
    waiting: list[Waiting]

    @property
    def backend(self) -> Backend:
        """The model as its callers named it."""
        return self.waiting[0].ticket.backend

    @property
    def lengths(self) -> list[int]:
        """The tokens of each text."""
        return [len(waiting.text) for waiting in self.waiting]

    @property
    def tokens(self) -> int:
        """The tokens of all texts."""
        return sum(self.lengths)

    def halves(self) -> tuple[list[Waiting], list[Waiting]]:
        """Its texts in two parts."""
        middle = len(self.waiting) // 2
        return self.waiting[:middle], self.waiting[middle:]


class Worker:
    """`running` is the batch its thread is at; `death` is why the thread ended by a failure, if it did."""

    def __init__(self, number: int, device: str, work: Callable[[Worker], None]) -> None:
        self.number = number
        self.device = device
        self.running: Batch | None = None
        self.death = ""
        self.thread = threading.Thread(target=work, args=(self,), name=f"minivec-embed-{device}", daemon=True)

    @property
    def lives(self) -> bool:
        """Whether it takes batches."""
        return not self.death and self.thread.is_alive()

    @property
    def trouble(self) -> str:
        """Why it takes no batches any more, or nothing while it does."""
        return self.death or ("" if self.thread.is_alive() else "its worker thread is gone (was this process forked?)")

    def death_notice(self) -> EmbeddingFailed:
        """What its waiters are told."""
        return EmbeddingFailed(
            f"The embedding worker of {self.device} has stopped: {self.trouble}.",
            hint="Restart the process; the log says more.",
        )


def named(reason: BaseException) -> str:
    """An error's kind and what it says, for a sentence."""
    return f"{type(reason).__name__}: {reason}".rstrip(" :.")
