"""Postings against a dict of dicts, with a tail so small that runs are made and merged all the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.indexes import postings
from minivec.indexes.postings import Column, Postings

WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=6)
BATCHES = st.lists(st.lists(st.none() | WORDS, min_size=1, max_size=5), max_size=12)


@pytest.fixture(autouse=True, scope="module")
def small_tail() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_TAIL", 6)
        yield


def filled(batches: list[list[list[str] | None]]) -> Postings:
    made = Postings()
    for batch in batches:
        made.append(batch)
    return made


def expected(documents: list[list[str] | None], term: str) -> list[tuple[int, int]]:
    return [(slot, Counter(found)[term]) for slot, found in enumerate(documents) if found and term in found]


def matches(made: Postings, term: str) -> list[tuple[int, int]]:
    slots, frequencies = made.find(term)
    assert slots.dtype == frequencies.dtype == np.int32
    return list(zip(slots.tolist(), frequencies.tolist(), strict=True))


@given(batches=BATCHES)
def test_find_gives_slots_ascending_with_frequencies(batches: list[list[list[str] | None]]) -> None:
    made = filled(batches)
    documents = [document for batch in batches for document in batch]
    for term in "abcdefghz":
        assert matches(made, term) == expected(documents, term)
    assert made.lengths.view.tolist() == [-1 if found is None else len(found) for found in documents]


@given(batches=BATCHES, data=st.data())
def test_packing_keeps_the_live_slots_and_numbers_them_anew(
    batches: list[list[list[str] | None]], data: st.DataObject
) -> None:
    made = filled(batches)
    documents = [document for batch in batches for document in batch]
    live = data.draw(st.lists(st.booleans(), min_size=len(documents), max_size=len(documents)))
    packed = made.pack(np.array(live, np.bool_))
    kept = [document for document, alive in zip(documents, live, strict=True) if alive]
    again = Postings.unpack(packed)
    for term in "abcdefgh":
        assert matches(again, term) == expected(kept, term)
        assert matches(made, term) == expected(documents, term)
    assert sorted(packed.vocabulary) == sorted({term for document in kept for term in document or ()})
    assert packed.counts.sum() == packed.slots.size == packed.frequencies.size


@given(batches=BATCHES, more=BATCHES)
def test_unpacked_postings_grow_on(batches: list[list[list[str] | None]], more: list[list[list[str] | None]]) -> None:
    made = filled(batches)
    again = Postings.unpack(made.pack(np.ones(len(made.lengths), np.bool_)))
    for batch in more:
        again.append(batch)
    documents = [document for batch in batches + more for document in batch]
    for term in "abcdefgh":
        assert matches(again, term) == expected(documents, term)


def test_runs_stay_few() -> None:
    made = Postings()
    for number in range(2000):
        made.append([[f"term{number % 300}", "common"]])
    assert len(made._runs) <= 8
    assert len(made.find("common").slots) == 2000


def test_a_late_property_passes_by_the_documents_before_it() -> None:
    made = Postings(3)
    made.append([["x"]])
    assert made.lengths.view.tolist() == [-1, -1, -1, 1]
    assert matches(made, "x") == [(3, 1)]


def test_asking_for_a_term_does_not_add_it() -> None:
    made = filled([[["a"]]])
    made.find("never")
    assert made.pack(np.ones(1, np.bool_)).vocabulary == ["a"]


@given(parts=st.lists(st.lists(st.integers(-5, 5))))
def test_a_column_is_its_parts_in_a_row(parts: list[list[int]]) -> None:
    column: Column[np.int64] = Column(np.int64)
    for part in parts:
        column.append(np.array(part, np.int64))
    assert column.view.tolist() == [value for part in parts for value in part]
    assert len(column) == len(column.view)
    column.clear()
    assert len(column) == 0
