"""Fusion: the formulas by hand, and that parts always add up."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.search.fuse import RANK_CONSTANT, Candidate, Leg, alone, fuse, reciprocal_rank, relative_score
from minivec.types.query import Fusion


def leg(source: str, weight: float, values: dict[int, float]) -> Leg:
    ordered = sorted(values.items(), key=lambda item: (-item[1], item[0]))
    return Leg(source, source, weight, [Candidate(doc_id, value, value) for doc_id, value in ordered])  # type: ignore[arg-type]


def test_relative_score_by_hand() -> None:
    words = leg("keyword", 0.25, {1: 10.0, 2: 6.0, 3: 2.0})
    vectors = leg("vector", 0.75, {2: 0.9, 4: 0.5})
    ranking = fuse([vectors, words], "relative-score")
    assert {one.doc_id: one.score for one in ranking} == {2: 0.75 * 1 + 0.25 * 0.5, 1: 0.25, 4: 0.0, 3: 0.0}
    assert [one.doc_id for one in ranking[:2]] == [2, 1]


def test_ranked_fusion_by_hand() -> None:
    words = leg("keyword", 0.5, {1: 10.0, 2: 6.0})
    vectors = leg("vector", 0.5, {2: 0.9, 4: 0.5})
    scores = {one.doc_id: one.score for one in fuse([vectors, words], "ranked")}
    assert scores == pytest.approx({2: 0.5 / 60 + 0.5 / 61, 1: 0.5 / 60, 4: 0.5 / 61})


def test_a_single_or_level_leg_counts_in_full() -> None:
    assert relative_score([]) == []
    assert relative_score([0.3]) == [1.0]
    assert relative_score([2.0, 2.0]) == [1.0, 1.0]
    assert reciprocal_rank([5, 4]) == [1 / RANK_CONSTANT, 1 / (RANK_CONSTANT + 1)]


def test_ties_are_broken_the_same_way_every_time() -> None:
    ranking = fuse([leg("vector", 1.0, {3: 1.0, 1: 1.0, 2: 1.0})], "relative-score")
    assert [one.doc_id for one in ranking] == [1, 2, 3]


def test_one_leg_alone_keeps_its_order_and_its_values() -> None:
    ranking = alone(Leg("vector", "default", 1.0, [Candidate(7, 0.1, 0.9), Candidate(5, 0.4, 0.6)]))
    assert [(one.doc_id, one.score, one.parts[0].raw, one.parts[0].rank) for one in ranking] == [
        (7, 0.9, 0.1, 0),
        (5, 0.6, 0.4, 1),
    ]


values = st.dictionaries(st.integers(1, 30), st.floats(-100, 100), max_size=20)


@given(values, values, st.floats(0, 1), st.sampled_from(["relative-score", "ranked"]))
def test_parts_add_up_and_nothing_is_lost_or_doubled(
    words: dict[int, float], vectors: dict[int, float], alpha: float, fusion: Fusion
) -> None:
    ranking = fuse([leg("vector", alpha, vectors), leg("keyword", 1 - alpha, words)], fusion)
    assert sorted(one.doc_id for one in ranking) == sorted(words.keys() | vectors.keys())
    for one in ranking:
        assert one.score == sum(part.contribution for part in one.parts)
        assert {part.source for part in one.parts} == {
            source for source, found in (("vector", vectors), ("keyword", words)) if one.doc_id in found
        }
        for part in one.parts:
            assert part.contribution == part.weight * part.normalised
    scores = [one.score for one in ranking]
    assert all(a >= b or math.isclose(a, b, abs_tol=1.1e-7) for a, b in pairwise(scores))
