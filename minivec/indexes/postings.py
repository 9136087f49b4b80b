"""The postings of one property: which documents hold which term how often, and how long each document is.

Documents are numbered by slot, 0 upwards in the order they came. New postings land in a small unsorted tail; a full tail
becomes a sorted run, and runs of similar size are merged, so that a search looks at one tail and a few runs, an insert
costs the same however large the index is, and nothing is kept per term but its entry in the vocabulary.
Slots of a term ascend through the runs, oldest first, and the tail. Nothing is removed here: the owner knows which
slots are alive, filters what `find` gives, and packs when too many are dead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Integers = NDArray[np.int32]
Element = TypeVar("Element", bound=np.generic)

MISSING = -1  # the length of a property that a document does not have
_TAIL = 32_768
_MERGE_RATIO = 3


class Matches(NamedTuple):
    """The documents that hold a term: slots ascending, and the frequency in each; both of shape (n,)."""

    slots: Integers
    frequencies: Integers


class Column(Generic[Element]):
    """A one-dimensional array that grows at its end."""

    def __init__(self, dtype: DTypeLike, values: ArrayLike = ()) -> None:
        self._data: NDArray[Element] = np.array(values, dtype=dtype)
        self._length = self._data.size

    def __len__(self) -> int:
        return self._length

    @property
    def view(self) -> NDArray[Element]:
        """What is in it now; valid until the next append."""
        return self._data[: self._length]

    def append(self, values: NDArray[Element]) -> None:
        """Add these at the end."""
        needed = self._length + values.size
        if needed > self._data.size:
            grown = np.empty(max(needed, 2 * self._data.size), self._data.dtype)
            grown[: self._length] = self.view
            self._data = grown
        self._data[self._length : needed] = values
        self._length = needed

    def clear(self) -> None:
        """Forget the values, keep the space."""
        self._length = 0


@dataclass(frozen=True, slots=True)
class Packed:
    """Postings in their smallest form: by term, then slot; `counts` says how many documents hold each term."""

    vocabulary: list[str]
    counts: Integers
    slots: Integers
    frequencies: Integers
    lengths: Integers


@dataclass(frozen=True, slots=True)
class _Run:
    """Sorted postings: those of `terms[i]` are at `offsets[i]:offsets[i + 1]`, slots ascending."""

    terms: Integers
    offsets: NDArray[np.int64]
    slots: Integers
    frequencies: Integers

    def __len__(self) -> int:
        return self.slots.size

    @property
    def expanded(self) -> Integers:
        """The term of every posting."""
        return np.repeat(self.terms, np.diff(self.offsets))


class _Vocabulary(dict[str, int]):
    """Terms numbered in the order they were first seen; asking for a new one by `[]` adds it."""

    def __missing__(self, term: str) -> int:
        number = self[term] = len(self)
        return number


class Postings:
    """The growing postings of one property."""

    def __init__(self, documents: int = 0) -> None:
        """Postings that `documents` slots already passed by without a value."""
        self.lengths: Column[np.int32] = Column(np.int32, np.full(documents, MISSING, np.int32))
        self._vocabulary = _Vocabulary()
        self._runs: list[_Run] = []
        self._tail_terms: Column[np.int32] = Column(np.int32)
        self._tail_slots: Column[np.int32] = Column(np.int32)
        self._tail_frequencies: Column[np.int32] = Column(np.int32)

    @classmethod
    def unpack(cls, packed: Packed) -> Postings:
        """The postings that `pack` described."""
        postings = cls()
        postings.lengths = Column(np.int32, packed.lengths)
        postings._vocabulary.update(zip(packed.vocabulary, range(len(packed.vocabulary)), strict=True))
        terms = np.arange(packed.counts.size, dtype=np.int32)
        offsets = np.concatenate(([0], np.cumsum(packed.counts, dtype=np.int64)))
        if packed.slots.size:
            postings._runs = [_Run(terms, offsets, packed.slots, packed.frequencies)]
        return postings

    def append(self, documents: Sequence[list[str] | None]) -> None:
        """Give the next slots to these documents, each the tokens of its value, or None when it has none."""
        first = len(self.lengths)
        lengths = np.array([MISSING if found is None else len(found) for found in documents], np.int32)
        self.lengths.append(lengths)
        flat = list(chain.from_iterable(found for found in documents if found))
        if not flat:
            return
        numbers = np.fromiter(map(self._vocabulary.__getitem__, flat), np.int64, len(flat))
        numbers *= len(documents)
        numbers += np.repeat(np.arange(len(documents)), np.maximum(lengths, 0))
        keys, frequencies = np.unique(numbers, return_counts=True)
        terms, documents_at = np.divmod(keys, len(documents))
        self._tail_terms.append(terms.astype(np.int32))
        self._tail_slots.append((documents_at + first).astype(np.int32))
        self._tail_frequencies.append(frequencies.astype(np.int32))
        if len(self._tail_terms) > _TAIL:
            self._flush()

    def find(self, term: str) -> Matches:
        """The documents that hold a term, dead slots included."""
        number = self._vocabulary.get(term)
        if number is None:
            return Matches(np.empty(0, np.int32), np.empty(0, np.int32))
        parts: list[Matches] = []
        for run in self._runs:
            at = int(run.terms.searchsorted(number))
            if at < run.terms.size and run.terms[at] == number:
                start, end = run.offsets[at], run.offsets[at + 1]
                parts.append(Matches(run.slots[start:end], run.frequencies[start:end]))
        recent = np.flatnonzero(self._tail_terms.view == number)
        if recent.size or not parts:
            parts.append(Matches(self._tail_slots.view[recent], self._tail_frequencies.view[recent]))
        if len(parts) == 1:
            return parts[0]
        return Matches(*(np.concatenate(column) for column in zip(*parts, strict=True)))

    def pack(self, live: NDArray[np.bool_]) -> Packed:
        """What belongs to live slots, the slots renumbered without gaps and unused terms dropped; changes nothing."""
        terms = np.concatenate([*(run.expanded for run in self._runs), self._tail_terms.view])
        slots = np.concatenate([*(run.slots for run in self._runs), self._tail_slots.view])
        frequencies = np.concatenate([*(run.frequencies for run in self._runs), self._tail_frequencies.view])
        if not live.all():
            kept = live[slots]
            renumbered = np.cumsum(live, dtype=np.int32) - np.int32(1)
            terms, slots, frequencies = terms[kept], renumbered[slots[kept]], frequencies[kept]
        order = np.argsort(terms, kind="stable")
        counts = np.bincount(terms, minlength=len(self._vocabulary))
        return Packed(
            [term for term, count in zip(self._vocabulary, counts.tolist(), strict=True) if count],
            counts[counts > 0].astype(np.int32),
            slots[order],
            frequencies[order],
            self.lengths.view[live],
        )

    def _flush(self) -> None:
        columns = (self._tail_terms, self._tail_slots, self._tail_frequencies)
        self._runs.append(_sorted_run(*(column.view for column in columns)))
        for column in columns:
            column.clear()
        while len(self._runs) > 1 and len(self._runs[-2]) <= _MERGE_RATIO * len(self._runs[-1]):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(_merged(older, newer))


def _sorted_run(terms: Integers, slots: Integers, frequencies: Integers) -> _Run:
    """A run of postings whose slots ascend within each term as they stand."""
    order = np.argsort(terms, kind="stable")
    numbers, starts = np.unique(terms[order], return_index=True)
    return _Run(numbers, np.append(starts, terms.size), slots[order], frequencies[order])


def _merged(older: _Run, newer: _Run) -> _Run:
    return _sorted_run(
        np.concatenate((older.expanded, newer.expanded)),
        np.concatenate((older.slots, newer.slots)),
        np.concatenate((older.frequencies, newer.frequencies)),
    )
