"""The keyword index against a plain BM25F loop, through inserts, deletes and updates; and what it refuses."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.errors import InvalidInput
from minivec.indexes import bm25
from minivec.indexes.keyword import KeywordHit, KeywordIndex
from minivec.types.collection import KeywordOptions, Property

from .plain_bm25f import Documents, feed_of, plain_bm25f

TITLE, TEXT, TAGS = Property(name="title"), Property(name="text"), Property(name="tags", data_type="text[]")
CODE = Property(name="code", tokenization="whitespace")
GRAMS = Property(name="grams", tokenization="trigram")
ALL = [TITLE, TEXT, TAGS, CODE, GRAMS]

VOCABULARY = ["red", "green", "blue", "Red", "the", "of", "x-ray", "ray", "a", "Zürich"]
PHRASE = st.lists(st.sampled_from(VOCABULARY), max_size=7).map(" ".join)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "title": PHRASE | st.none(),
        "text": PHRASE,
        "tags": st.lists(PHRASE, max_size=3),
        "code": PHRASE,
        "grams": PHRASE,
        "other": PHRASE,
    },
)
BOOSTS = st.dictionaries(
    st.sampled_from([p.name for p in ALL]), st.sampled_from([1, 2, 0.5, 3.75]), min_size=1, max_size=5
)
OPTIONS = st.builds(
    KeywordOptions,
    k1=st.sampled_from([0.0, 1.2, 2.0]),
    b=st.sampled_from([0.0, 0.75, 1.0]),
    stopwords=st.sampled_from(["none", "en"]),
)


def index_of(
    documents: Documents, properties: list[Property] = ALL, options: KeywordOptions | None = None
) -> KeywordIndex:
    index = KeywordIndex(properties, options or KeywordOptions())
    index.insert(list(documents), feed_of(documents))
    return index


def found(index: KeywordIndex, text: str, boosts: Mapping[str, float] | None = None, k: int = 1000) -> dict[int, float]:
    hits = index.search(text, None if boosts is None else list(boosts.items()), k)
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.doc_id))
    return {hit.doc_id: hit.score for hit in hits}


def assert_adds_up(hit: KeywordHit) -> None:
    assert sum(term.contribution for term in hit.terms) == pytest.approx(hit.score, rel=1e-12)
    assert len({(term.property, term.term) for term in hit.terms}) == len(hit.terms)


@settings(max_examples=200, deadline=None)
@given(documents=st.lists(DOCUMENT, max_size=12), query=PHRASE, boosts=BOOSTS, options=OPTIONS)
def test_scores_are_those_of_a_plain_loop(
    documents: list[dict[str, Any]], query: str, boosts: dict[str, float], options: KeywordOptions
) -> None:
    query = query or "red"
    numbered = {7 * number: document for number, document in enumerate(documents)}
    scores = found(index_of(numbered, options=options), query, boosts)
    assert scores == pytest.approx(plain_bm25f(numbered, ALL, options, query, boosts), rel=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(st.lists(DOCUMENT, max_size=4) | st.lists(st.integers(0, 30), max_size=8), max_size=10),
    query=PHRASE,
    boosts=BOOSTS,
)
def test_scores_stay_exact_through_inserts_and_deletes(
    steps: list[list[Any]], query: str, boosts: dict[str, float]
) -> None:
    live: dict[int, dict[str, Any]] = {}
    index, next_id = KeywordIndex(ALL, KeywordOptions()), 0
    for step in steps:
        if step and isinstance(step[0], int):
            index.delete(step)
            live = {doc_id: document for doc_id, document in live.items() if doc_id not in step}
        else:
            added = dict(enumerate(step, next_id))
            next_id += len(added)
            live |= added
            index.insert(list(added), feed_of(live))
        assert len(index) == len(live)
    expected = plain_bm25f(live, ALL, KeywordOptions(), query or "red", boosts)
    assert found(index, query or "red", boosts) == pytest.approx(expected, rel=1e-9)


def test_reading_long_lists_only_for_contenders_changes_no_ranking(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(3)
    narrowed: list[Any] = []
    words = [f"w{number}" for number in range(200)]
    documents = {
        doc_id: {"title": rng.choice(words), "text": " ".join(rng.choices(words, [1 / n for n in range(1, 201)], k=20))}
        for doc_id in range(400)
    }
    boosts = {"title": 1.0, "text": 2.0}
    index = index_of(documents, [TITLE, TEXT])
    index.delete(range(0, 80, 3))
    live = {doc_id: document for doc_id, document in documents.items() if doc_id >= 80 or doc_id % 3}
    contenders = bm25.contenders

    def counted(*given: Any) -> Any:
        narrowed.append(contenders(*given))
        return narrowed[-1]

    monkeypatch.setattr(bm25, "contenders", counted)
    for _ in range(60):
        query = " ".join([*rng.choices(words, k=2), "w0", "w1"])
        everything = index.search(query, list(boosts.items()), 1000)
        assert index.search(query, list(boosts.items()), 5) == everything[:5]
        expected = plain_bm25f(live, [TITLE, TEXT], KeywordOptions(), query, boosts)
        assert {hit.doc_id: hit.score for hit in everything} == pytest.approx(expected, rel=1e-9)
    assert sum(found is not None for found in narrowed) >= 20


def test_a_thousand_changes_leave_what_a_fresh_index_has() -> None:
    rng = random.Random(20)
    words = [f"w{number}" for number in range(60)]
    live: dict[int, dict[str, Any]] = {}
    index = KeywordIndex([TITLE, TEXT], KeywordOptions())
    for doc_id in range(1000):
        if live and rng.random() < 0.45:
            gone = rng.choice(list(live))
            del live[gone]
            index.delete([gone])
        text = " ".join(rng.choices(words, k=rng.randrange(12)))
        live[doc_id] = {"title": rng.choice(words), "text": text}
        index.insert([doc_id], feed_of(live))
    fresh = index_of(live, [TITLE, TEXT])
    assert index.save() != b"" and len(index) == len(fresh) == len(live)
    for _ in range(100):
        query = " ".join(rng.choices(words, k=3))
        assert index.search(query, None, 20) == fresh.search(query, None, 20)


def test_dead_documents_are_cleared_away() -> None:
    documents = {doc_id: {"text": f"word{doc_id} common"} for doc_id in range(100)}
    index = index_of(documents)
    index.delete(range(30))
    assert len(index._doc_ids) == 100
    index.delete([30])
    assert len(index._doc_ids) == len(index) == 69
    assert found(index, "word30 word31").keys() == {31}
    assert len(index.search("common", None, 100)) == 69


@settings(max_examples=50, deadline=None)
@given(documents=st.lists(DOCUMENT, min_size=1, max_size=12), query=PHRASE, k=st.integers(1, 5))
def test_term_scores_add_up_and_tell_frequency_and_length(documents: list[dict[str, Any]], query: str, k: int) -> None:
    index = index_of(dict(enumerate(documents)), [TITLE, TEXT])
    query = query or "red"
    hits = index.search(query, [("title", 2), ("text", 1)], k)
    assert hits == index.search(query, [("title", 2), ("text", 1)], 1000)[:k]
    for hit in hits:
        assert_adds_up(hit)
        for term in hit.terms:
            words = documents[hit.doc_id][term.property].lower().replace("-", " ").split()
            assert (term.frequency, term.length) == (words.count(term.term), len(words))


def test_a_repeated_query_term_counts_again_but_is_told_once() -> None:
    index = index_of({1: {"text": "red green"}})
    once, twice = (index.search(query, None, 1)[0] for query in ("red", "Red red"))
    assert twice.score == 2 * once.score
    assert [term.term for term in twice.terms] == ["red"]
    assert twice.terms[0].idf == once.terms[0].idf


def test_a_boost_multiplies_the_contribution_of_its_property() -> None:
    index = index_of({1: {"title": "red", "text": "red"}})
    plain, boosted = (index.search("red", [("title", boost), ("text", 1)], 1)[0] for boost in (1, 3))
    assert boosted.terms[0].contribution == 3 * plain.terms[0].contribution
    assert boosted.terms[1] == plain.terms[1]


def test_equal_scores_come_by_ascending_id_whatever_the_order_of_insertion() -> None:
    documents = {doc_id: {"text": "red"} for doc_id in (9, 3, 7, 1)}
    assert [hit.doc_id for hit in index_of(documents).search("red", None, 3)] == [1, 3, 7]


def test_each_property_is_searched_by_its_own_tokenization() -> None:
    index = index_of({1: {"code": "AB-12", "text": "AB-12"}, 2: {"code": "ab-12"}, 3: {"grams": "tab1"}})
    assert found(index, "AB-12", {"code": 1}).keys() == {1}
    assert found(index, "ab-12", {"text": 1}).keys() == {1}
    assert found(index, "AB-12").keys() == {1, 2, 3} - {2}


def test_stop_words_are_dropped_from_the_query_yet_counted_in_lengths() -> None:
    documents = {1: {"text": "the cat"}, 2: {"text": "cat"}, 3: {"code": "the"}}
    index = index_of(documents, options=KeywordOptions(stopwords="en"))
    assert index.search("the", [("text", 1)], 10) == []
    assert found(index, "the", {"code": 1}).keys() == {3}
    hits = index.search("the cat", [("text", 1)], 10)
    assert [(hit.doc_id, hit.terms[0].length) for hit in hits] == [(2, 1), (1, 2)]


def test_an_array_counts_as_all_its_elements_together() -> None:
    hit = index_of({1: {"tags": ["red green", "red"]}}).search("red", None, 1)[0]
    assert (hit.terms[0].frequency, hit.terms[0].length) == (2, 3)


def test_only_searchable_top_level_text_counts() -> None:
    hidden = Property(name="hidden", searchable=False)
    number = Property(name="number", data_type="int")
    nested = Property(name="nested", data_type="object", properties=(TEXT,))
    documents: Documents = {1: {"hidden": "red", "number": 3, "nested": {"text": "red"}}, 2: {"title": "red"}}
    index = index_of(documents, [hidden, number, nested, TITLE])
    assert found(index, "red 3").keys() == {2}
    assert index.property_names == {"title"}
    assert len(index) == 2
    for name in ("hidden", "number", "nested", "text", "never"):
        with pytest.raises(InvalidInput) as refusal:
            index.search("red", [(name, 1)], 10)
        assert refusal.value.field == "query_properties"
        assert name in refusal.value.message and "title" in refusal.value.hint


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_blank_query_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        index_of({}).search(text, None, 10)
    assert refusal.value.field == "text"


@pytest.mark.parametrize("boost", [0, -1, float("nan"), float("inf")])
def test_a_boost_that_is_no_positive_number_is_refused(boost: float) -> None:
    with pytest.raises(InvalidInput, match=r"query_properties: .*boost"):
        index_of({}).search("red", [("title", boost)], 10)


def test_a_property_named_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match="twice"):
        index_of({}).search("red", [("title", 1), ("title", 2)], 10)


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert index_of({}).search("red", None, 10) == []
    assert index_of({1: {"text": "red"}}, []).search("red", None, 10) == []
    index = index_of({1: {"text": "red"}})
    assert index.search("!!!", None, 10) == []
    assert index.search("red", None, 0) == []
    assert found(index, "red", {}) == found(index, "red")


def test_documents_that_are_gone_or_known_change_nothing() -> None:
    index = index_of({1: {"text": "red"}})
    index.insert([1, 2, 2], feed_of({1: {"text": "green"}}))
    index.delete([5, 5])
    assert len(index) == 1
    assert found(index, "red green").keys() == {1}
    index.delete([1, 1])
    assert len(index) == 0
    assert index.search("red", None, 10) == []


def test_a_property_added_later_is_searched_from_then_on() -> None:
    documents: dict[int, dict[str, Any]] = {1: {"title": "red"}, 2: {"title": "red", "text": "green"}}
    index = KeywordIndex([TITLE], KeywordOptions())
    index.insert([1], feed_of(documents))
    index.add_property(TEXT)
    index.add_property(TEXT)
    index.insert([2], feed_of(documents))
    boosts = {"title": 1.0, "text": 1.0}
    expected = plain_bm25f(documents, [TITLE, TEXT], KeywordOptions(), "red green", boosts)
    assert found(index, "red green") == pytest.approx(expected, rel=1e-12)


def test_reset_forgets_the_documents_and_keeps_the_properties() -> None:
    documents = {1: {"text": "red"}}
    index = index_of(documents)
    index.reset()
    assert len(index) == 0
    assert index.search("red", None, 10) == []
    index.insert([1], feed_of(documents))
    assert found(index, "red").keys() == {1}
