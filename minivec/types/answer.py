"""What comes back: hits with typed score parts that add up, the plan and the timings. Every facade translates from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from minivec.types.display import answer_html, answer_text
from minivec.types.object import Vector

Source = Literal["vector", "keyword", "rerank"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TermScore:
    """What one query term earned in one property: BM25F's numbers. Their contributions add up to the raw keyword score."""

    property: str
    term: str
    frequency: int
    length: int
    idf: float
    contribution: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ScorePart:
    """One source's share of a score.

    `raw` is the source's own number (a distance for vectors, BM25F for keywords, a reranker's logit), `rank` its place
    there from 0, `normalised` that number brought to the scale of the fusion, and `contribution` = weight x normalised.
    The contributions of a hit add up to its score.
    """

    source: Source
    name: str
    raw: float
    rank: int
    normalised: float
    weight: float
    contribution: float
    terms: tuple[TermScore, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstStage:
    """What a hit was before it was reranked: its score, its place from 0, and the parts that add up to that score."""

    score: float
    rank: int
    parts: tuple[ScorePart, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One object found. `score`: more is better. `distance` and `certainty` where one vector search made the ranking.

    A reranked hit's score is 1 / (1 + exp(-logit)), its only part the reranker's, and `first_stage` what it was before.
    """

    uuid: str
    score: float
    properties: Mapping[str, Any]
    distance: float | None = None
    certainty: float | None = None
    parts: tuple[ScorePart, ...] = ()
    vectors: Mapping[str, Vector] = field(default_factory=dict)
    first_stage: FirstStage | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLeg:
    """One index asked: which, how many candidates, exactly or approximately, and why."""

    source: Source
    name: str
    index: str
    candidates: int
    exact: bool
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanRerank:
    """The reranking: by which model, of how many candidates, reading which properties.

    `unscored` of them stay last with score 0, the first for this `reason`; `first_formula` made the scores before it.
    """

    model: str
    candidates: int
    properties: tuple[str, ...]
    first_formula: str
    unscored: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How the query was answered; the formula and its constants are named."""

    mode: str
    legs: tuple[PlanLeg, ...]
    formula: str
    rerank: PlanRerank | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The hits in order, best first; `milliseconds` by stage."""

    hits: tuple[Hit, ...]
    plan: Plan
    milliseconds: Mapping[str, float] = field(default_factory=dict)

    def __repr__(self) -> str:
        return answer_text(self)

    def _repr_html_(self) -> str:
        return answer_html(self)
