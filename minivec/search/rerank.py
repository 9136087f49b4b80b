"""The step after fusing: a cross-encoder reads the query with each candidate's text and puts them in order anew."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args
from urllib.parse import urlsplit

from minivec.embedding.interface import Reranker, relevance
from minivec.errors import InvalidInput, LimitExceeded
from minivec.search.check import check_names, check_text
from minivec.types.answer import Answer, FirstStage, Hit, PlanRerank, ScorePart
from minivec.types.collection import CollectionConfig
from minivec.types.query import Hybrid, Keyword, NearText, Paging, Query, Rerank, RerankService

MOST_CANDIDATES = 1_000
FORMULA = "score = 1 / (1 + exp(-logit)) of the reranker, for the first candidates by the first stage's score"
TEXT_TYPES = ("text", "text[]")


@dataclass(frozen=True, slots=True)
class Reranking:
    """A checked request to rerank: the words to rank by and the properties to read."""

    wish: Rerank
    query: str
    properties: tuple[str, ...]


def check_rerank(query: Query, config: CollectionConfig) -> Reranking | None:
    """What is to be reranked and how, None when nothing is. Raises InvalidInput, LimitExceeded."""
    wish = query.rerank
    if wish is None:
        return None
    if not isinstance(wish, Rerank):
        raise InvalidInput(
            "rerank is no minivec.Rerank.", field="rerank", hint='Give minivec.Rerank(model="…") or leave it out.'
        )
    if not isinstance(wish.model, str) or not wish.model:
        raise InvalidInput("rerank names no model.", field="rerank.model", hint="Name a reranker.")
    if wish.service not in get_args(RerankService):
        raise InvalidInput(
            f"rerank.service is {wish.service!r}.", field="rerank.service", hint="One of local and nvidia."
        )
    if wish.base_url and (wish.service != "nvidia" or not urlsplit(wish.base_url).netloc):
        raise InvalidInput(
            "rerank.base_url is the URL of a service.", field="rerank.base_url", hint='Set service="nvidia" with it.'
        )
    _check_depth(wish, query.paging)
    return Reranking(wish, _query_text(query, wish), _properties(wish, config))


def widened(query: Query, reranking: Reranking) -> Query:
    """The first stage's query: all the candidates, with everything the reranker may read."""
    paging = Paging(limit=reranking.wish.depth, vectors=query.paging.vectors)
    return replace(query, paging=paging, rerank=None)


def reranked(answer: Answer, reranking: Reranking, reranker: Reranker, paging: Paging) -> Answer:
    """The asked-for page of the answer's hits in the reranker's order, equal logits in the first stage's.

    Raises what the reranker raises, and the first passage's error when none could be scored.
    """
    passages = [_passage(hit.properties, reranking.properties) for hit in answer.hits]
    scores = reranker.rank(reranking.query, passages, truncate="end")
    errors = [note.error for note in scores.notes if note.error is not None]
    if errors and len(errors) == len(passages):
        raise errors[0]
    logits = [None if note.error else float(logit) for logit, note in zip(scores.logits, scores.notes, strict=True)]
    order = sorted(range(len(logits)), key=lambda place: (-_or_least(logits[place]), place))
    step = PlanRerank(
        model=reranker.card.name,
        candidates=len(passages),
        properties=reranking.properties,
        first_formula=answer.plan.formula,
        unscored=len(errors),
        reason=errors[0].message if errors else "",
    )
    hits = [
        _hit(answer.hits[place], place, _part(step.model, logits[place], rank), paging)
        for rank, place in enumerate(order)
    ]
    return replace(
        answer,
        hits=tuple(hits[paging.offset : paging.offset + paging.limit]),
        plan=replace(answer.plan, formula=FORMULA, rerank=step),
    )


def _hit(hit: Hit, place: int, part: ScorePart | None, paging: Paging) -> Hit:
    """The hit that stood at this place before, as the reranker's part of its score makes it."""
    names = paging.properties
    shown = (
        hit.properties if names is None else {name: hit.properties[name] for name in names if name in hit.properties}
    )
    return replace(
        hit,
        score=part.contribution if part else 0.0,
        parts=(part,) if part else (),
        properties=shown,
        first_stage=FirstStage(score=hit.score, rank=place, parts=hit.parts),
    )


def _part(model: str, logit: float | None, rank: int) -> ScorePart | None:
    if logit is None:
        return None
    score = relevance(logit)
    return ScorePart(
        source="rerank", name=model, raw=logit, rank=rank, normalised=score, weight=1.0, contribution=score
    )


def _or_least(logit: float | None) -> float:
    return -math.inf if logit is None else logit


def _passage(properties: Mapping[str, Any], names: Sequence[str]) -> str:
    """The texts of these properties, each on a line of its own."""
    found = (properties.get(name) for name in names)
    return "\n".join(
        line for value in found for line in (value if isinstance(value, list) else [value]) if isinstance(line, str)
    )


def _query_text(query: Query, wish: Rerank) -> str:
    text = wish.query
    if text is None and isinstance(query, (NearText, Keyword, Hybrid)):
        text = query.text
    if text is None or (isinstance(text, str) and not text.strip()):
        raise InvalidInput(
            "There is no text to rerank by.", field="rerank.query", hint="Give one as the query of `rerank`."
        )
    try:
        return check_text(text)
    except InvalidInput as error:
        error.field = "rerank.query"
        raise


def _properties(wish: Rerank, config: CollectionConfig) -> tuple[str, ...]:
    readable = [prop.name for prop in config.properties if prop.data_type in TEXT_TYPES]
    if wish.properties is None:
        if not readable:
            raise InvalidInput(
                f"Collection {config.name!r} has no text property to rerank by.", field="rerank.properties"
            )
        return tuple(readable)
    if isinstance(wish.properties, str) or not wish.properties:
        raise InvalidInput(
            "rerank names no properties.", field="rerank.properties", hint="Give a list, or leave it out."
        )
    check_names(wish.properties, [prop.name for prop in config.properties], "rerank.properties", "property")
    check_names(wish.properties, readable, "rerank.properties", "text property")
    return tuple(wish.properties)


def _check_depth(wish: Rerank, paging: Paging) -> None:
    if not isinstance(wish.depth, int) or isinstance(wish.depth, bool) or wish.depth < 1:
        raise InvalidInput(
            f"rerank.depth is {wish.depth!r}.", field="rerank.depth", hint=f"A whole number up to {MOST_CANDIDATES}."
        )
    if wish.depth > MOST_CANDIDATES:
        raise LimitExceeded(
            f"rerank.depth is more than {MOST_CANDIDATES}.", field="rerank.depth", hint="Rerank fewer candidates."
        )
    if paging.offset + paging.limit > wish.depth:
        raise InvalidInput(
            f"offset + limit is {paging.offset + paging.limit}, but only {wish.depth} candidates are reranked.",
            field="limit",
            hint="Ask for less, or set a larger depth in `rerank`.",
        )
