"""Backends that misbehave on purpose, and one that waits until the test lets it go."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.backend import FakeBackend, OutOfMemory
from minivec.embedding.batches import padded_tokens
from minivec.embedding.quantize import PLAIN, VectorForm
from minivec.embedding.tokens import TokenizedText

POISON = 666
TIMEOUT = 30.0  # never reached by a passing test


def text(*ids: int) -> TokenizedText:
    """A text of these token ids."""
    return TokenizedText(ids=np.array(ids, np.int32), total=len(ids))


class RecordingBackend(FakeBackend):
    """Keeps the ids of each batch it was given, in `batches`; may hold `most_tokens` of them, padding included."""

    def __init__(self, dimension: int = 8, *, most_tokens: int | None = None) -> None:
        super().__init__(dimension)
        self.batches: list[list[list[int]]] = []
        self.refused = 0
        self.most_tokens = most_tokens

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        if self.most_tokens is not None and padded_tokens([len(one) for one in batch]) > self.most_tokens:
            self.refused += 1
            raise OutOfMemory("no room")
        self.batches.append([one.ids.tolist() for one in batch])
        return super().forward(batch, form)


class PoisonedBackend(FakeBackend):
    """Fails whenever a text of the batch contains POISON; counts its passes."""

    passes = 0

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        self.passes += 1
        if any(POISON in one.ids for one in batch):
            raise IndexError("index out of range in self")
        return super().forward(batch, form)


class AnsweringBackend(FakeBackend):
    """Answers with what `answer` makes of the right vectors."""

    def __init__(self, answer: Callable[[NDArray[np.float32]], NDArray[np.float32]], dimension: int = 8) -> None:
        super().__init__(dimension)
        self.answer = answer

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        return self.answer(super().forward(batch, form))


class GatedBackend(RecordingBackend):
    """Stops in its first pass until `gate` is set, then raises `then_raise` or goes on; `entered` says it is there."""

    def __init__(self, dimension: int = 8, *, then_raise: BaseException | None = None) -> None:
        super().__init__(dimension)
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.then_raise = then_raise

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        self.entered.set()
        assert self.gate.wait(TIMEOUT)
        if self.then_raise is not None:
            raise self.then_raise
        return super().forward(batch, form)


class GatedPoison(GatedBackend):
    """Waits at the gate like its parent, and fails whenever a text of the batch contains POISON."""

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        vectors = super().forward(batch, form)
        if any(POISON in one.ids for one in batch):
            raise IndexError("index out of range in self")
        return vectors
