"""The way out: plan, candidates, fuse, answer, and where it is wished for, rerank."""

from __future__ import annotations

from minivec.errors import VersionConflict
from minivec.indexes.vector import Vectors
from minivec.search.answer import hits
from minivec.search.candidates import nearest, query_vector, with_words
from minivec.search.fuse import FORMULAS, Candidate, Leg, Ranked, alone, fuse
from minivec.search.plan import Steps, plan
from minivec.search.rerank import check_rerank, reranked, widened
from minivec.search.stopwatch import Stopwatch
from minivec.shard import Shard
from minivec.types.answer import Answer, Plan, PlanLeg
from minivec.types.query import Hybrid, Keyword, Query
from minivec.vectorizer import Vectorizers

_ATTEMPTS = 3  # with writers at work; then once more while they wait


def search(shard: Shard, query: Query, vectorizers: Vectorizers) -> Answer:
    """Answer a query. Raises InvalidInput, LimitExceeded, NotFound errors, and what embedder and reranker raise."""
    watch = Stopwatch()
    with watch.stage("plan"):
        steps = plan(query, shard.truth.config)
        reranking = check_rerank(query, shard.truth.config)
    if reranking is None:
        return _first_stage(shard, query, steps, vectorizers, watch)
    with watch.stage("rerank"):
        reranker = vectorizers.reranker(reranking.wish)
    wide = widened(query, reranking)
    answer = _first_stage(shard, wide, plan(wide, shard.truth.config), vectorizers, watch)
    with watch.stage("rerank"):
        return reranked(answer, reranking, reranker, query.paging)


def _first_stage(shard: Shard, query: Query, steps: Steps, vectorizers: Vectorizers, watch: Stopwatch) -> Answer:
    vector = None
    if steps.space is not None:
        with watch.stage("embed"):
            vector = query_vector(query, steps.space, shard, vectorizers)
    for _ in range(_ATTEMPTS):
        answer = _attempt(shard, query, steps, vector, watch)
        if answer is not None:
            return answer
        shard.catch_up()
    answer = shard.while_still(lambda: _attempt(shard, query, steps, vector, watch))
    if answer is None:
        raise VersionConflict("The objects found kept changing while they were fetched.", hint="Try again.")
    return answer


def _attempt(shard: Shard, query: Query, steps: Steps, vector: Vectors | None, watch: Stopwatch) -> Answer | None:
    """Ask, fuse and fetch once; None when objects found were changed or deleted before they were fetched."""
    legs, plan_legs = _ask(shard, query, steps, vector, watch)
    with watch.stage("fuse"):
        ranking, formula = _rank(query, legs, steps)
    with watch.stage("fetch"):
        page = hits(shard, ranking, query.paging, None if steps.mode == "hybrid" else steps.space)
    if page is None:
        return None
    described = Plan(mode=steps.mode, legs=tuple(plan_legs), formula=formula)
    return Answer(hits=tuple(page), plan=described, milliseconds=watch.milliseconds)


def _ask(
    shard: Shard, query: Query, steps: Steps, vector: Vectors | None, watch: Stopwatch
) -> tuple[list[Leg], list[PlanLeg]]:
    """Ask every index the plan names."""
    answers = []
    if steps.space is not None and vector is not None:
        with watch.stage("vector"):
            answers.append(nearest(shard, steps.space, vector, steps))
    if steps.words and isinstance(query, (Keyword, Hybrid)):
        with watch.stage("keyword"):
            answers.append(with_words(shard, query, steps))
    return [_leg(query, described, found) for found, described in answers], [described for _, described in answers]


def _leg(query: Query, described: PlanLeg, found: list[Candidate]) -> Leg:
    weight = 1.0
    if isinstance(query, Hybrid):
        weight = query.alpha if described.source == "vector" else 1.0 - query.alpha
    return Leg(described.source, described.name, weight, found)


def _rank(query: Query, legs: list[Leg], steps: Steps) -> tuple[list[Ranked], str]:
    if not isinstance(query, Hybrid):
        return alone(legs[0]), FORMULAS["keyword" if steps.words else "near"]
    if query.max_vector_distance is not None and steps.space is not None and steps.words:
        legs = _only_near(legs)
    return fuse(legs, query.fusion), FORMULAS[query.fusion]


def _only_near(legs: list[Leg]) -> list[Leg]:
    """With a maximum vector distance, words alone do not make a hit."""
    near = {one.doc_id for leg in legs if leg.source == "vector" for one in leg.candidates}
    return [
        Leg(leg.source, leg.name, leg.weight, [one for one in leg.candidates if one.doc_id in near]) for leg in legs
    ]
