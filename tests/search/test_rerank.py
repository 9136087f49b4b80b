"""Reranking a search: order, pages, depth, what the hits and the plan tell, and what happens to passages that fail."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

import minivec
from minivec.collection import Collection
from minivec.database import Database
from minivec.embedding.engine import Engine
from minivec.embedding.interface import Embedder, ModelCard, Reranker, Scores, TextNote, Truncation
from minivec.errors import EmbeddingFailed, InvalidInput, LimitExceeded, MinivecError, ModelNotFound
from minivec.types.answer import Answer
from minivec.types.collection import Property, VectorSpace
from minivec.types.display import explain_text
from minivec.types.query import Rerank

TEXTS = [
    "red bird",
    "blue bird sings",
    "red fish",
    "green tree",
    "tall green tree",
    "bird bird bird",
    "a red red robin",
]
WISH = Rerank(model="words")


class Failing:
    """An engine whose reranker fails on passages that hold `poison`, and answers the others with `logits`' numbers."""

    def __init__(self, poison: str = "robin", **logits: float) -> None:
        self.engine = Engine.fake(16)
        self.poison = poison
        self.logits = logits
        self.asked: list[tuple[str, list[str], str]] = []

    @property
    def card(self) -> ModelCard:
        return ModelCard(name="failing", fingerprint="f", dimension=1, max_tokens=9)

    def embedder(self, model: str) -> Embedder:
        return self.engine.embedder(model)

    def reranker(self, model: str) -> Reranker:
        if model != "failing":
            raise ModelNotFound(f"No reranker is named {model!r}.")
        return self

    def rank(self, query: str, passages: Sequence[str], *, truncate: Truncation = "end") -> Scores:
        self.asked.append((query, list(passages), truncate))
        errors = [EmbeddingFailed("It choked.") if self.poison in passage else None for passage in passages]
        found = [self.logits.get(passage.split()[0], -1.0) if passage else -2.0 for passage in passages]
        logits = [-math.inf if error else logit for logit, error in zip(found, errors, strict=True)]
        notes = tuple(TextNote(tokens=1, error=error) for error in errors)
        return Scores(logits=np.array(logits, np.float32), notes=notes)

    def close(self) -> None:
        self.engine.close()


@pytest.fixture
def failing() -> Failing:
    return Failing(red=3.0, green=1000.0)


@pytest.fixture
def words(database: Database) -> Collection:
    return filled(database)


@pytest.fixture
def choking(failing: Failing) -> Iterator[Collection]:
    with minivec.open(":memory:", embedders=failing) as database:
        yield filled(database)


def filled(database: Database) -> Collection:
    properties = [Property(name="text"), Property(name="tags", data_type="text[]"), Property(name="n", data_type="int")]
    collection = database.create_collection("Words", properties=properties)
    collection.import_objects(
        [{"properties": {"text": text, "n": n, "tags": [f"tag{n}", "all"]}} for n, text in enumerate(TEXTS)]
    )
    return collection


def numbers(answer: Answer) -> list[int]:
    return [hit.properties["n"] for hit in answer.hits]


SEARCHES: dict[str, Any] = {
    "near_text": lambda words, **more: words.near_text("red bird", **more),
    "near_vector": lambda words, **more: words.near_vector([1.0] * 32, **more),
    "near_object": lambda words, **more: words.near_object(words.keyword("fish").hits[0].uuid, **more),
    "keyword": lambda words, **more: words.keyword("red bird tree", **more),
    "hybrid": lambda words, **more: words.hybrid("red bird", **more),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_is_put_in_order_and_tells_what_was_before(words: Collection, search: str) -> None:
    before = SEARCHES[search](words, limit=7)
    after = SEARCHES[search](words, limit=7, rerank=Rerank(model="words", query="red bird"))
    old = {hit.uuid: (place, hit) for place, hit in enumerate(before.hits)}
    assert set(old) == {hit.uuid for hit in after.hits}
    for rank, hit in enumerate(after.hits):
        place, first = old[hit.uuid]
        assert hit.first_stage == minivec.FirstStage(score=first.score, rank=place, parts=first.parts)
        assert (hit.distance, hit.certainty, hit.properties) == (first.distance, first.certainty, first.properties)
        (part,) = hit.parts
        assert (part.source, part.name, part.rank, part.weight) == ("rerank", "words", rank, 1.0)
        assert part.raw == len({"red", "bird"} & set(hit.properties["text"].split()))
        assert hit.score == sum(part.contribution for part in hit.parts) == pytest.approx(1 / (1 + math.exp(-part.raw)))
        assert sum(part.contribution for part in hit.first_stage.parts) == hit.first_stage.score
    keys = [(-hit.parts[0].raw, old[hit.uuid][0]) for hit in after.hits]
    assert keys == sorted(keys)
    assert numbers(after)[0] == 0


def test_the_plan_and_the_timings_name_the_step(words: Collection) -> None:
    before = words.hybrid("red bird")
    answer = words.hybrid("red bird", rerank=WISH)
    step = answer.plan.rerank
    assert step == minivec.PlanRerank(
        model="words", candidates=7, properties=("text", "tags"), first_formula=before.plan.formula
    )
    assert "logit" in answer.plan.formula
    assert before.plan.rerank is None and before.hits[0].first_stage is None
    assert "rerank" in answer.milliseconds and "rerank" not in before.milliseconds
    told = explain_text(answer)
    assert "rerank by words: 7 candidates, reading text, tags" in told
    assert "before: place" in told and "logit 2.0000" in told


def test_pages_cut_one_ranking(words: Collection) -> None:
    whole = numbers(words.near_text("red bird", limit=7, rerank=WISH))
    pages = [numbers(words.near_text("red bird", limit=2, offset=offset, rerank=WISH)) for offset in (0, 2, 4, 6)]
    assert [n for page in pages for n in page] == whole


def test_only_the_first_candidates_are_read_and_returned(choking: Collection, failing: Failing) -> None:
    first = numbers(choking.near_text("blue bird", limit=3))
    answer = choking.near_text("blue bird", limit=3, rerank=Rerank(model="failing", depth=3))
    assert sorted(numbers(answer)) == sorted(first)
    assert [len(passages) for _, passages, _ in failing.asked] == [3]


def test_the_named_properties_are_read_in_their_order(choking: Collection, failing: Failing) -> None:
    wish = Rerank(model="failing", properties=("tags", "text"), query="something else", depth=1)
    hit = choking.keyword("fish", properties=["n"], limit=1, rerank=wish).hits[0]
    assert failing.asked == [("something else", ["tag2\nall\nred fish"], "end")]
    assert hit.properties == {"n": 2}
    choking.insert({"n": 9, "tags": ["fish"]})
    choking.keyword("fish", rerank=Rerank(model="failing", properties=("text",)))
    assert sorted(failing.asked[1][1]) == ["", "red fish"]


def test_what_cannot_be_scored_stays_last_in_the_old_order(choking: Collection, failing: Failing) -> None:
    failing.poison = "bird"
    before = numbers(choking.near_text("red bird", limit=7))
    answer = choking.near_text("red bird", limit=7, rerank=Rerank(model="failing"))
    lost = [n for n in before if "bird" in TEXTS[n]]
    assert numbers(answer)[-3:] == lost
    for hit in answer.hits[-3:]:
        assert (hit.score, hit.parts) == (0.0, ())
        assert hit.first_stage is not None and hit.first_stage.parts
    assert answer.plan.rerank is not None
    assert (answer.plan.rerank.unscored, answer.plan.rerank.reason) == (3, "It choked.")
    scores = [hit.score for hit in answer.hits]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0


def test_when_nothing_can_be_scored_the_search_says_why(choking: Collection, failing: Failing) -> None:
    failing.poison = ""
    with pytest.raises(EmbeddingFailed, match="It choked"):
        choking.near_text("red", rerank=Rerank(model="failing"))
    assert choking.keyword("zebra", rerank=Rerank(model="failing")).hits == ()


@pytest.mark.parametrize(
    ("wish", "kind", "field"),
    [
        (Rerank(model="words", properties=("nowhere",)), InvalidInput, "rerank.properties"),
        (Rerank(model="words", properties=("n",)), InvalidInput, "rerank.properties"),
        (Rerank(model="words", properties=()), InvalidInput, "rerank.properties"),
        (Rerank(model="words", properties="text"), InvalidInput, "rerank.properties"),  # type: ignore[arg-type]
        (Rerank(model="words", depth=0), InvalidInput, "rerank.depth"),
        (Rerank(model="words", depth=1001), LimitExceeded, "rerank.depth"),
        (Rerank(model="words", depth=9), InvalidInput, "limit"),
        (Rerank(model="words", query=" "), InvalidInput, "rerank.query"),
        (Rerank(model="words", query=7), InvalidInput, "rerank.query"),  # type: ignore[arg-type]
        (Rerank(model=""), InvalidInput, "rerank.model"),
        (Rerank(model="words", service="cohere"), InvalidInput, "rerank.service"),  # type: ignore[arg-type]
        (Rerank(model="words", base_url="http://nim:8000"), InvalidInput, "rerank.base_url"),
        ("words", InvalidInput, "rerank"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(words: Collection, wish: Any, kind: type[MinivecError], field: str) -> None:
    with pytest.raises(kind) as refused:
        words.near_text("red", rerank=wish)
    assert refused.value.field == field


def test_a_search_without_words_needs_a_query(words: Collection) -> None:
    vector = [1.0] * 32
    with pytest.raises(InvalidInput) as refused:
        words.near_vector(vector, rerank=WISH)
    assert refused.value.field == "rerank.query"
    with pytest.raises(InvalidInput):
        words.hybrid("", vector=vector, rerank=WISH)


def test_an_unknown_model_and_an_engine_without_rerankers_say_so(choking: Collection) -> None:
    with pytest.raises(ModelNotFound, match="no/such-model"):
        choking.near_text("red", rerank=Rerank(model="no/such-model"))

    class Plain:
        def __init__(self) -> None:
            self.engine = Engine.fake(8)

        def embedder(self, model: str) -> Embedder:
            return self.engine.embedder(model)

        def close(self) -> None:
            self.engine.close()

    with minivec.open(":memory:", embedders=Plain()) as database, pytest.raises(ModelNotFound, match="no reranker"):
        filled(database).near_text("red", rerank=WISH)


def test_a_collection_without_text_cannot_be_reranked(database: Database) -> None:
    collection = database.create_collection("Numbers", vector_spaces=[VectorSpace(vectorizer="none")])
    collection.insert({}, vectors={"default": [1.0, 2.0]})
    with pytest.raises(InvalidInput, match="no text property"):
        collection.near_vector([1.0, 2.0], rerank=Rerank(model="words", query="red"))
