"""The way out, seen from the handle, judged by plain loops over what was put in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minivec.collection import Collection
from minivec.database import Database
from minivec.errors import InvalidInput, LimitExceeded, ObjectNotFound, VectorSpaceNotFound
from minivec.types.answer import Answer
from minivec.types.collection import Distance, IndexType, Property, VectorSpace

TEXTS = ["red bird", "blue bird", "red fish", "green tree", "tall green tree", "bird bird bird"]


@pytest.fixture
def words(database: Database) -> Collection:
    collection = database.create_collection("Words")
    collection.import_objects([{"properties": {"text": text, "n": n}} for n, text in enumerate(TEXTS)])
    return collection


def numbers(answer: Answer) -> list[int]:
    return [hit.properties["n"] for hit in answer.hits]


def test_near_text_finds_what_shares_words_and_scores_are_one_minus_distance(words: Collection) -> None:
    answer = words.near_text("green tree")
    assert set(numbers(answer)[:2]) == {3, 4}
    for hit in answer.hits:
        assert hit.distance is not None
        assert hit.score == pytest.approx(1 - hit.distance)
        assert hit.certainty == pytest.approx(1 - hit.distance / 2)


def test_keyword_ranks_by_bm25_and_terms_add_up(words: Collection) -> None:
    answer = words.keyword("red bird")
    assert numbers(answer)[0] == 0
    assert set(numbers(answer)) == {0, 1, 2, 5}
    for hit in answer.hits:
        (part,) = hit.parts
        assert hit.score == part.contribution == part.raw
        assert sum(term.contribution for term in part.terms) == pytest.approx(part.raw)


def test_hybrid_parts_add_up_and_name_their_legs(words: Collection) -> None:
    answer = words.hybrid("red bird", alpha=0.3)
    assert numbers(answer)[0] == 0
    assert {leg.source for leg in answer.plan.legs} == {"vector", "keyword"}
    for hit in answer.hits:
        assert hit.score == sum(part.contribution for part in hit.parts)
        assert all(part.weight in (0.3, 0.7) for part in hit.parts)


def test_alpha_at_its_ends_asks_one_leg_only(words: Collection) -> None:
    only_words = words.hybrid("red bird", alpha=0)
    only_vectors = words.hybrid("red bird", alpha=1)
    assert [leg.source for leg in only_words.plan.legs] == ["keyword"]
    assert [leg.source for leg in only_vectors.plan.legs] == ["vector"]
    assert numbers(only_words) == numbers(words.keyword("red bird"))
    assert numbers(only_vectors) == numbers(words.near_text("red bird"))


def test_hybrid_without_text_but_with_a_vector_is_a_vector_search(words: Collection) -> None:
    uuid = words.keyword("fish").hits[0].uuid
    vector = words.get(uuid, vectors=["default"]).vectors["default"]
    assert numbers(words.hybrid("", vector=vector))[0] == 2
    with pytest.raises(InvalidInput):
        words.hybrid("")


def test_hybrid_without_a_keyword_hit_is_still_right(words: Collection) -> None:
    assert len(words.hybrid("zebra").hits) == len(TEXTS)


def test_a_maximum_vector_distance_drops_what_only_words_find(words: Collection) -> None:
    vector = words.get(words.keyword("fish").hits[0].uuid, vectors=["default"]).vectors["default"]
    answer = words.hybrid("bird", vector=vector, max_vector_distance=0.001)
    assert numbers(answer) == [2]


def test_near_object_starts_with_itself(words: Collection) -> None:
    uuid = words.keyword("fish").hits[0].uuid
    answer = words.near_object(uuid)
    assert answer.hits[0].uuid == uuid
    assert answer.hits[0].distance == pytest.approx(0, abs=1e-6)
    with pytest.raises(ObjectNotFound):
        words.near_object("00000000-0000-4000-8000-000000000009")


def test_offset_and_limit_cut_one_ranking(words: Collection) -> None:
    for search in (words.near_text, words.keyword, words.hybrid):
        whole = numbers(search("red bird", limit=6))
        pieces = [n for offset in range(0, 6, 2) for n in numbers(search("red bird", limit=2, offset=offset))]
        assert pieces == whole


def test_cutoffs_keep_what_is_near_enough(words: Collection) -> None:
    whole = words.near_text("red bird")
    limit = whole.hits[2].distance
    assert limit is not None
    assert numbers(words.near_text("red bird", distance=limit)) == numbers(whole)[:3]
    assert numbers(words.near_text("red bird", certainty=1 - limit / 2)) == numbers(whole)[:3]
    assert words.near_text("red bird", distance=-0.5).hits == ()


def test_choice_of_properties_and_vectors(words: Collection) -> None:
    hit = words.near_text("red bird", properties=["n"], vectors=["default"], limit=1).hits[0]
    assert list(hit.properties) == ["n"]
    assert len(hit.vectors["default"]) == 32


def test_the_plan_and_the_timings_are_told(words: Collection) -> None:
    answer = words.hybrid("red bird")
    assert answer.plan.mode == "hybrid"
    assert "min" in answer.plan.formula
    assert {"plan", "embed", "vector", "keyword", "fuse", "fetch"} == set(answer.milliseconds)


def test_boosts_change_the_order(database: Database) -> None:
    films = database.create_collection("Films", vector_spaces=[])
    films.import_objects(
        [{"properties": {"title": "snow", "plot": "rain rain"}}, {"properties": {"title": "rain", "plot": "snow"}}]
    )
    assert films.keyword("rain", query_properties=["title^10", "plot"]).hits[0].properties["title"] == "rain"
    assert films.keyword("rain", query_properties=["title", "plot^10"]).hits[0].properties["title"] == "snow"
    assert len(films.keyword("rain", query_properties=["title"]).hits) == 1


BAD_SEARCHES: list[tuple[Callable[[Collection], Any], type[Exception], str]] = [
    (lambda c: c.near_text(""), InvalidInput, "text"),
    (lambda c: c.near_text(7), InvalidInput, "text"),
    (lambda c: c.near_text("a\0"), InvalidInput, "text"),
    (lambda c: c.near_text("a", limit=0), InvalidInput, "limit"),
    (lambda c: c.near_text("a", limit=True), InvalidInput, "limit"),
    (lambda c: c.near_text("a", offset=-1), InvalidInput, "offset"),
    (lambda c: c.near_text("a", limit=10_001), LimitExceeded, "limit"),
    (lambda c: c.near_text("a", space="none"), VectorSpaceNotFound, "space"),
    (lambda c: c.near_text("a", distance=1, certainty=1), InvalidInput, "certainty"),
    (lambda c: c.near_text("a", distance=float("nan")), InvalidInput, "distance"),
    (lambda c: c.near_text("a", certainty=2), InvalidInput, "certainty"),
    (lambda c: c.near_text("a", properties=["b"]), InvalidInput, "properties"),
    (lambda c: c.near_text("a", vectors=["b"]), InvalidInput, "vectors"),
    (lambda c: c.near_vector([1.0]), InvalidInput, "vector"),
    (lambda c: c.near_vector("a"), InvalidInput, "vector"),
    (lambda c: c.near_vector([float("inf")] * 32), InvalidInput, "vector[0]"),
    (lambda c: c.near_object("a"), InvalidInput, "uuid"),
    (lambda c: c.keyword("  "), InvalidInput, "text"),
    (lambda c: c.keyword("a", query_properties=["n"]), InvalidInput, "query_properties"),
    (lambda c: c.keyword("a", query_properties=["text^x"]), InvalidInput, "query_properties"),
    (lambda c: c.keyword("a", query_properties=["text^-1"]), InvalidInput, "query_properties"),
    (lambda c: c.hybrid("a", alpha=1.5), InvalidInput, "alpha"),
    (lambda c: c.hybrid("a", fusion="best"), InvalidInput, "fusion"),
]


@pytest.mark.parametrize(("search", "error", "field"), BAD_SEARCHES)
def test_what_cannot_be_answered_names_its_field(
    words: Collection, search: Callable[[Collection], Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error) as caught:
        search(words)
    assert caught.value.field == field  # type: ignore[attr-defined]


def plain_distances(distance: Distance, query: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    if distance == "hamming":
        return ((matrix > 0) != (query > 0)).sum(axis=1).astype(float)
    if distance == "l2-squared":
        return ((matrix - query) ** 2).sum(axis=1)
    if distance == "dot":
        return -(matrix @ query)
    return 1 - (matrix @ query) / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(query))


@pytest.mark.parametrize("distance", ["cosine", "dot", "l2-squared", "hamming"])
@pytest.mark.parametrize("index", ["flat", "hnsw", "binary"])
def test_distances_are_the_plain_ones_for_every_index(database: Database, distance: Distance, index: IndexType) -> None:
    if (distance, index) == ("hamming", "hnsw"):
        with pytest.raises(InvalidInput, match="Hamming"):
            database.create_collection(
                "V", vector_spaces=[VectorSpace(vectorizer="none", distance=distance, index=index)]
            )
        return
    rng = np.random.default_rng(5)
    matrix, query = rng.standard_normal((200, 24)).astype(np.float32), rng.standard_normal(24).astype(np.float32)
    collection = database.create_collection(
        "V", vector_spaces=[VectorSpace(vectorizer="none", distance=distance, index=index)]
    )
    collection.import_objects([{"properties": {"n": n}, "vector": row.tolist()} for n, row in enumerate(matrix)])
    expected = plain_distances(distance, query, matrix)
    answer = collection.near_vector(query.tolist(), limit=10)
    assert len(answer.hits) == 10
    for hit in answer.hits:
        assert hit.distance == pytest.approx(expected[hit.properties["n"]], rel=1e-5, abs=1e-5)
    if index != "binary" or distance == "hamming":
        assert [hit.distance for hit in answer.hits] == pytest.approx(np.sort(expected)[:10], rel=1e-5, abs=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6), min_size=1, max_size=12),
    st.sampled_from("abcdef"),
)
def test_keyword_finds_exactly_the_objects_with_the_word(
    database: Database, documents: list[list[str]], word: str
) -> None:
    collection = database.create_collection("K", properties=[Property(name="text")], vector_spaces=[])
    try:
        collection.import_objects([{"properties": {"text": " ".join(d), "n": n}} for n, d in enumerate(documents)])
        found = set(numbers(collection.keyword(word, limit=50)))
        assert found == {n for n, document in enumerate(documents) if word in document}
    finally:
        database.drop_collection("K")


def test_a_collection_without_vectors_and_an_empty_one_answer_emptily(database: Database) -> None:
    empty = database.create_collection("Empty")
    assert empty.near_text("a").hits == ()
    assert empty.hybrid("a").hits == ()
    empty.add_property(Property(name="text"))
    assert empty.keyword("a").hits == ()
    bare = database.create_collection("Bare", vector_spaces=[])
    with pytest.raises(InvalidInput, match="no vector space"):
        bare.near_text("a")
