"""The formulas by hand-computed numbers and by their limits; the choice of the best against sorting everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.indexes import bm25


def test_idf_by_hand() -> None:
    assert bm25.inverse_document_frequency(10, 1) == pytest.approx(math.log(1 + 9.5 / 1.5), rel=1e-15)
    assert bm25.inverse_document_frequency(10, 10) == pytest.approx(math.log(1 + 0.5 / 10.5), rel=1e-15)


@given(documents=st.integers(1, 10**9), data=st.data())
def test_idf_is_positive_and_falls_with_the_document_frequency(documents: int, data: st.DataObject) -> None:
    containing = data.draw(st.integers(1, documents))
    assert bm25.inverse_document_frequency(documents, containing) > 0
    if containing > 1:
        rarer = bm25.inverse_document_frequency(documents, containing - 1)
        assert rarer > bm25.inverse_document_frequency(documents, containing)


def test_document_frequencies_are_averaged_by_integer_division_over_the_properties_that_have_the_term() -> None:
    assert bm25.averaged_document_frequency([3, 0, 4]) == 3
    assert bm25.averaged_document_frequency([5]) == 5
    assert bm25.averaged_document_frequency([0, 0]) == 0
    assert bm25.averaged_document_frequency([]) == 0


def test_average_length_is_40_while_nothing_is_known() -> None:
    assert bm25.average_length([]) == 40
    assert bm25.average_length([0.0, 0.0]) == 40
    assert bm25.average_length([2.0, 10.0]) == 6
    assert bm25.average_length([0.0, 10.0]) == 5


def test_saturation_by_hand() -> None:
    found = bm25.saturation(np.array([1, 3], np.int32), np.array([10, 20], np.int32), 10.0, 1.2, 0.75)
    assert found.dtype == np.float64
    assert found.tolist() == pytest.approx([1 / 2.2, 3 / (3 + 1.2 * (0.25 + 0.75 * 2))], rel=1e-15)


def test_saturation_without_length_normalisation_or_frequency() -> None:
    frequencies, lengths = np.array([2, 2], np.int32), np.array([2, 900], np.int32)
    assert bm25.saturation(frequencies, lengths, 10.0, 1.2, 0.0).tolist() == pytest.approx([2 / 3.2] * 2)
    assert bm25.saturation(frequencies, lengths, 10.0, 0.0, 0.75).tolist() == [1.0, 1.0]


@given(
    legs=st.lists(st.sets(st.integers(0, 40)), max_size=4),
    scores=st.lists(st.integers(0, 3), min_size=41, max_size=41),
    k=st.integers(0, 50),
    seed=st.integers(0, 9),
)
def test_best_is_what_sorting_everything_gives(legs: list[set[int]], scores: list[int], k: int, seed: int) -> None:
    doc_ids = np.random.default_rng(seed).permutation(1000)[:41].astype(np.int64)
    matches = [np.array(sorted(leg), np.int32) for leg in legs]
    found = bm25.best(np.array(scores, float), matches, doc_ids, k)
    everything = sorted(set().union(*legs), key=lambda slot: (-scores[slot], doc_ids[slot]))
    assert found.tolist() == everything[:k]


@given(
    legs=st.lists(st.sets(st.integers(0, 40)), min_size=1, max_size=4),
    scores=st.lists(st.integers(0, 20), min_size=41, max_size=41),
    to_come=st.integers(0, 12),
    k=st.integers(1, 6),
    additions=st.lists(st.floats(0, 1), min_size=41, max_size=41),
)
def test_whatever_is_still_to_come_the_best_are_contenders(
    legs: list[set[int]], scores: list[int], to_come: int, k: int, additions: list[float]
) -> None:
    matched = set().union(*legs)
    now = np.array([score if slot in matched else 0 for slot, score in enumerate(scores)], float)
    found = bm25.contenders(now, [np.array(sorted(leg), np.int32) for leg in legs], to_come, k)
    if found is None:
        return
    assert found.tolist() == sorted(set(found.tolist()) & matched)
    final = now + np.array(additions) * to_come
    for slot in sorted(range(41), key=lambda slot: -final[slot])[:k]:
        assert slot in found or final[slot] == min(final[found])


def test_contenders_are_named_as_soon_as_the_rest_cannot_catch_up() -> None:
    scores, legs = np.array([9.0, 8.0, 3.0, 0.0]), [np.array([0, 1, 2], np.int32)]
    assert bm25.contenders(scores, legs, 8.0, 2) is None
    narrow, wide = (bm25.contenders(scores, legs, to_come, 2) for to_come in (4.0, 6.0))
    assert narrow is not None and narrow.tolist() == [0, 1]
    assert wide is not None and wide.tolist() == [0, 1, 2]
    assert bm25.contenders(scores, legs, 0.5, 4) is None
