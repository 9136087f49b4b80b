"""Which indexes to ask, how deep, exactly or not: the plan is data, decided before anything is searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from minivec.search.check import check_cutoff, check_names, check_number, check_paging, check_text, space_of
from minivec.types.collection import CollectionConfig, VectorSpace
from minivec.types.query import Cutoff, Fusion, Hybrid, Keyword, NearObject, NearText, NearVector, Query

HYBRID_CANDIDATES = 100  # at least so many from each leg before fusing, as Weaviate's QUERY_HYBRID_MAXIMUM_RESULTS

MODES: dict[type, str] = {
    NearText: "near-text",
    NearVector: "near-vector",
    NearObject: "near-object",
    Keyword: "keyword",
    Hybrid: "hybrid",
}


@dataclass(frozen=True, slots=True)
class Steps:
    """What the next stages do: the vector space to search or None, whether words are searched, candidates per leg."""

    mode: str
    space: VectorSpace | None
    words: bool
    depth: int
    cutoff: Cutoff = Cutoff()


def plan(query: Query, config: CollectionConfig) -> Steps:
    """Decide how to answer. Raises InvalidInput, LimitExceeded, VectorSpaceNotFound for what cannot be."""
    check_paging(query.paging, config)
    wanted = query.paging.offset + query.paging.limit
    mode = MODES[type(query)]
    if isinstance(query, Keyword):
        check_text(query.text)
        return Steps(mode, None, True, wanted)
    if isinstance(query, Hybrid):
        return _plan_hybrid(query, config, max(wanted, HYBRID_CANDIDATES))
    space = space_of(config, query.space)
    check_cutoff(query.cutoff, space)
    if isinstance(query, NearText):
        check_text(query.text)
    return Steps(mode, space, False, wanted, query.cutoff)


def _plan_hybrid(query: Hybrid, config: CollectionConfig, depth: int) -> Steps:
    check_number(query.alpha, "alpha", 0.0, 1.0)
    check_names((query.fusion,), get_args(Fusion), "fusion", "fusion")
    text = check_text(query.text, may_be_empty=query.vector is not None)
    cutoff = Cutoff(distance=query.max_vector_distance)
    if query.alpha == 0:
        check_text(query.text)
        return Steps("hybrid", None, True, depth)
    space = space_of(config, query.space)
    check_cutoff(cutoff, space)
    words = query.alpha < 1 and bool(text.strip())
    return Steps("hybrid", space, words, depth, cutoff)
