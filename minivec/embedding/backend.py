"""The forward-pass contract between the scheduler and whatever runs the model, and a deterministic fake for tests."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.quantize import PLAIN, VectorForm, shape_on_host
from minivec.embedding.tokens import TokenizedText


class OutOfMemory(Exception):
    """The batch did not fit; a smaller one may."""


class DeviceLost(Exception):
    """The device is gone for this process; no later batch can succeed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PassMemory:
    """Bytes that one pass took beyond the weights, and bytes that were there for it to take."""

    used: int
    free: int


class Backend(Protocol):
    """One loaded model on one device. The scheduler calls `forward` from one thread at a time."""

    @property
    def device(self) -> str:
        """The device's name, such as "cpu" or "cuda:0"."""
        ...

    @property
    def dimension(self) -> int:
        """Floats in each whole vector."""
        ...

    @property
    def batch_tokens(self) -> int:
        """How many tokens, padding included, one pass should hold on this device."""
        ...

    @property
    def pass_cost(self) -> int:
        """What one pass costs beyond its tokens, counted in tokens."""
        ...

    @property
    def pads(self) -> bool:
        """Whether each text of a batch costs as much as the longest one."""
        ...

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """One pooled vector a text in this form, `form.dtype` of shape (texts, form.columns(dimension)), in order.

        Raises OutOfMemory when a smaller batch may succeed, DeviceLost when nothing will, anything else when a text
        of this batch is poisonous.
        """
        ...


@runtime_checkable
class MeasuresMemory(Protocol):
    """A backend that can say what a pass takes, so that its budget need not be guessed."""

    def measure(self, batch: Sequence[TokenizedText]) -> PassMemory | None:
        """Run this batch and tell what it took; None where the device does not say. Raises OutOfMemory, DeviceLost."""
        ...


START, END = 1, 2


class FakeTokenizer:
    """Words to stable 31-bit ids between a start and an end token; no vocabulary, no files."""

    leading = 1
    trailing = 1

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's case-folded words. Raises UnicodeEncodeError on lone surrogates."""
        words = [re.findall(r"\w+", text.casefold().encode().decode()) for text in texts]
        return [[START, *map(_word_id, found), END] for found in words]


class FakeBackend:
    """Unit vectors from the hashes of a text's words: texts that share words lie near each other. Needs no torch."""

    device = "fake"
    batch_tokens = 4096
    pass_cost = 4096
    pads = True

    def __init__(self, dimension: int = 64) -> None:
        self.dimension = dimension

    def forward(self, batch: Sequence[TokenizedText], form: VectorForm = PLAIN) -> NDArray[Any]:
        """The normalised sum of each text's word vectors; a text without words gets the vector of its end token."""
        return shape_on_host(np.stack([self._vector(text.ids) for text in batch]).astype(np.float32), form)

    def _vector(self, ids: NDArray[np.int32]) -> NDArray[np.float64]:
        words = ids[ids > END]
        summed = _hash_vectors(words if len(words) else ids[-1:], self.dimension).sum(axis=0)
        length = float(np.linalg.norm(summed))
        unit: NDArray[np.float64] = summed / length if length else summed
        return unit


def _word_id(word: str) -> int:
    return max(zlib.crc32(word.encode()) & 0x7FFFFFFF, END + 1)


def _hash_vectors(ids: NDArray[np.int32], dimension: int) -> NDArray[np.float64]:
    """Pseudo-random rows in [-1, 1) by splitmix64 of (id, column): equal on every machine."""
    scattered = np.multiply(ids.astype(np.uint64), np.uint64(0x100000001B3))
    mixed = np.add.outer(scattered, np.arange(1, dimension + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    unit: NDArray[np.float64] = mixed.astype(np.float64) / 2.0**63 - 1.0
    return unit
