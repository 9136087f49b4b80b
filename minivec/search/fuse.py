"""Fusion of the legs' rankings into one: pure functions that keep every part of every score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from minivec.types.answer import ScorePart, Source, TermScore
from minivec.types.query import Fusion

RANK_CONSTANT = 60  # Cormack, Clarke and Büttcher 2009, reciprocal rank fusion
_NEAR_TIE = 1e-14  # squared difference below which two scores count as equal

FORMULAS = {
    "near": "score = 1 - distance for cosine, -distance otherwise",
    "keyword": "BM25F: score = sum over terms and properties of idf * f / (f + k1 * (1 - b + b * length / average)) * boost",
    "relative-score": "score = sum of weight * (value - min) / (max - min) per leg; weights: vector alpha, keyword 1 - alpha",
    "ranked": f"score = sum of weight / (rank + {RANK_CONSTANT}) per leg, rank from 0; weights: vector alpha, keyword 1 - alpha",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """One document of a leg: `raw` as the leg reports it, `value` with more meaning better."""

    doc_id: int
    raw: float
    value: float
    terms: tuple[TermScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """One ranking, best first."""

    source: Source
    name: str
    weight: float
    candidates: Sequence[Candidate]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document with its score and the parts that add up to it."""

    doc_id: int
    score: float
    parts: tuple[ScorePart, ...]


def alone(leg: Leg) -> list[Ranked]:
    """A single ranking as it is: the value of each candidate is its score."""
    return [_ranked([_part(leg, rank, one, one.value)], one.doc_id) for rank, one in enumerate(leg.candidates)]


def fuse(legs: Sequence[Leg], fusion: Fusion) -> list[Ranked]:
    """Join the legs, best first. A document missing from a leg gets nothing for it."""
    normalise = relative_score if fusion == "relative-score" else reciprocal_rank
    parts: dict[int, list[ScorePart]] = {}
    for leg in legs:
        values = normalise([one.value for one in leg.candidates])
        for rank, (one, value) in enumerate(zip(leg.candidates, values, strict=True)):
            parts.setdefault(one.doc_id, []).append(_part(leg, rank, one, value))
    return sorted((_ranked(shares, doc_id) for doc_id, shares in parts.items()), key=cmp_to_key(_order))


def relative_score(values: Sequence[float]) -> list[float]:
    """(v - min) / (max - min) for values in any order; 1 when all are equal. Weaviate's relativeScoreFusion."""
    if not values:
        return []
    least, most = min(values), max(values)
    if most == least:
        return [1.0] * len(values)
    return [(value - least) / (most - least) for value in values]


def reciprocal_rank(values: Sequence[float]) -> list[float]:
    """1 / (rank + 60), rank from 0, for values already in rank order. Weaviate's rankedFusion."""
    return [1.0 / (rank + RANK_CONSTANT) for rank in range(len(values))]


def _part(leg: Leg, rank: int, one: Candidate, normalised: float) -> ScorePart:
    return ScorePart(
        source=leg.source,
        name=leg.name,
        raw=one.raw,
        rank=rank,
        normalised=normalised,
        weight=leg.weight,
        contribution=leg.weight * normalised,
        terms=one.terms,
    )


def _ranked(parts: list[ScorePart], doc_id: int) -> Ranked:
    return Ranked(doc_id, sum(part.contribution for part in parts), tuple(parts))


def _order(one: Ranked, other: Ranked) -> int:
    """Score, then the better place in one of the legs, then the older document."""
    difference = one.score - other.score
    if difference * difference >= _NEAR_TIE:
        return -1 if difference > 0 else 1
    better = max(part.normalised for part in one.parts) - max(part.normalised for part in other.parts)
    if better:
        return -1 if better > 0 else 1
    return -1 if one.doc_id < other.doc_id else 1
