"""The cache: what was asked before is not asked again, whatever else differs is, and failures are never kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.embedding.cache import ENTRY_BYTES, CachedEmbedder, Kept, VectorCache
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Embedded, Embedder, ModelCard, TextNote
from minivec.errors import Busy, EmbeddingFailed, InvalidInput
from tests.embedding.backends import TIMEOUT

CARD = ModelCard(
    name="m", fingerprint="f", dimension=8, max_tokens=9, dimensions=(4,), embedding_types=("float", "int8", "binary")
)
DTYPES = {"float": np.float32, "int8": np.int8, "binary": np.int8}


class Source:
    """Numbers its vectors in the order they are asked for; texts that start with ! fail, and Busy when told so."""

    def __init__(self, card: ModelCard = CARD) -> None:
        self.card = card
        self.asked: list[str] = []
        self.busy = False

    def embed(self, texts: Any, *, dimensions: int | None = None, embedding_type: Any = "float", **_: Any) -> Embedded:
        if self.busy:
            raise Busy("full")
        columns = 1 if embedding_type == "binary" else dimensions or 8
        vectors = np.zeros((len(texts), columns), DTYPES[embedding_type])
        notes = []
        for row, text in enumerate(texts):
            self.asked.append(text)
            bad = text.startswith("!")
            vectors[row] = 0 if bad else len(self.asked)
            notes.append(TextNote(tokens=len(text), cut=len(text) // 2, error=EmbeddingFailed(text) if bad else None))
        return Embedded(vectors=vectors, notes=tuple(notes))


@pytest.fixture
def source() -> Source:
    return Source()


def over(source: Source, limit: int = 10**6) -> CachedEmbedder:
    return CachedEmbedder(source, VectorCache(limit))


def test_a_text_is_asked_once_and_answers_the_same(source: Source) -> None:
    embedder = over(source)
    first = embedder.embed(["a", "bb"], input_type="query")
    second = embedder.embed(["bb", "ccc", "a"], input_type="query")
    assert source.asked == ["a", "bb", "ccc"]
    assert second.vectors[:, 0].tolist() == [2, 3, 1]
    assert [(note.tokens, note.cut) for note in second.notes] == [(2, 1), (3, 1), (1, 0)]
    assert second.vectors.dtype == first.vectors.dtype == np.float32


def test_a_text_that_comes_twice_in_one_call_is_asked_once(source: Source) -> None:
    embedded = over(source).embed(["a", "b", "a", "!", "!"], input_type="query")
    assert source.asked == ["a", "b", "!"]
    assert embedded.vectors[:, 0].tolist() == [1, 2, 1, 0, 0]
    assert [note.error is not None for note in embedded.notes] == [False, False, False, True, True]


@pytest.mark.parametrize(
    "other",
    [{"input_type": "passage"}, {"truncate": "end"}, {"dimensions": 4}, {"embedding_type": "int8"}],
    ids=lambda other: next(iter(other)),
)
def test_whatever_else_is_asked_is_another_entry(source: Source, other: dict[str, Any]) -> None:
    embedder = over(source)
    embedder.embed(["a"], input_type="query")
    embedder.embed(["a"], **{"input_type": "query", **other})
    assert source.asked == ["a", "a"]
    again = embedder.embed(["a"], **{"input_type": "query", **other})
    assert again.vectors[0, 0] == 2
    assert source.asked == ["a", "a"]


def test_the_whole_length_by_name_is_the_whole_length(source: Source) -> None:
    embedder = over(source)
    embedder.embed(["a"], input_type="query")
    embedder.embed(["a"], input_type="query", dimensions=8)
    assert source.asked == ["a"]


def test_models_of_one_cache_do_not_answer_for_each_other() -> None:
    cache = VectorCache(10**6)
    first = Source()
    second = Source(ModelCard(name="m", fingerprint="g", dimension=8, max_tokens=9))
    for source in (first, second):
        CachedEmbedder(source, cache).embed(["a"], input_type="query")
    assert first.asked == second.asked == ["a"]


def test_packed_vectors_come_back_packed(source: Source) -> None:
    embedder = over(source)
    for _ in range(2):
        embedded = embedder.embed(["a", "b"], input_type="query", embedding_type="binary")
        assert embedded.vectors.dtype == np.int8
        assert embedded.vectors.tolist() == [[1], [2]]


def test_failures_are_asked_again(source: Source) -> None:
    embedder = over(source)
    for _ in range(2):
        embedded = embedder.embed(["!", "a"], input_type="query")
        assert isinstance(embedded.notes[0].error, EmbeddingFailed)
    assert source.asked == ["!", "a", "!"]


def test_a_call_that_fails_keeps_nothing_and_what_is_kept_still_answers(source: Source) -> None:
    embedder = over(source)
    embedder.embed(["a"], input_type="query")
    source.busy = True
    with pytest.raises(Busy):
        embedder.embed(["a", "b"], input_type="query")
    assert embedder.embed(["a"], input_type="query").vectors[0, 0] == 1
    source.busy = False
    assert embedder.embed(["b"], input_type="query").vectors[0, 0] == 2


def test_a_full_cache_needs_no_model(source: Source) -> None:
    embedder = over(source)
    embedder.embed(["a"], input_type="query")
    source.busy = True
    assert embedder.embed(["a"], input_type="query").vectors[0, 0] == 1


def test_what_a_caller_does_to_its_vectors_stays_its_own(source: Source) -> None:
    embedder = over(source)
    for _ in range(2):
        vectors = embedder.embed(["a"], input_type="query").vectors
        assert (vectors == 1).all()
        vectors[:] = 99


def test_wrong_arguments_are_refused_before_the_cache_is_asked(source: Source) -> None:
    embedder = over(source)
    for texts, options in (("a", {}), ([1], {}), (["a"], {"dimensions": 5}), (["a"], {"truncate": "middle"})):
        with pytest.raises(InvalidInput):
            embedder.embed(texts, input_type="query", **options)  # type: ignore[arg-type]
    assert source.asked == []


def test_no_texts_are_no_trouble(source: Source) -> None:
    assert over(source).embed([], input_type="query").vectors.shape == (0, 8)


def test_half_a_surrogate_pair_has_a_key_too(source: Source) -> None:
    over(source).embed(["x\ud800"], input_type="query")
    assert source.asked == ["x\ud800"]


def entry(size: int) -> Kept:
    return Kept(b"x" * size, 1, 0)


def test_what_was_used_longest_ago_goes_first() -> None:
    cache = VectorCache(2 * (ENTRY_BYTES + 10))
    cache.keep([(b"a", entry(10)), (b"b", entry(10))])
    cache.find([b"a"])
    cache.keep([(b"c", entry(10))])
    assert [kept is not None for kept in cache.find([b"a", b"b", b"c"])] == [True, False, True]
    assert cache.use.entries == 2
    assert (cache.use.hits, cache.use.misses) == (3, 1)


def test_what_is_larger_than_the_cache_is_not_kept_and_evicts_nothing() -> None:
    cache = VectorCache(ENTRY_BYTES + 10)
    cache.keep([(b"a", entry(10)), (b"b", entry(11))])
    assert [kept is not None for kept in cache.find([b"a", b"b"])] == [True, False]


@settings(max_examples=50, deadline=None)
@given(
    puts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 500)), max_size=60),
    limit=st.integers(1, 5000),
)
def test_the_limit_holds_and_the_count_is_right(puts: list[tuple[int, int]], limit: int) -> None:
    cache = VectorCache(limit)
    for key, size in puts:
        cache.keep([(bytes([key]), entry(size))])
        kept = [found for found in cache.find([bytes([key]) for key in range(21)]) if found is not None]
        assert cache.use.bytes == sum(one.size for one in kept) <= limit
        assert cache.use.entries == len(kept)


@pytest.fixture
def cached_engine() -> Iterator[Engine]:
    engine = Engine.fake(16, options=EngineOptions(cache_bytes=4000))
    yield engine
    engine.close()


def test_many_threads_get_the_right_vectors(cached_engine: Engine) -> None:
    plain = Engine.fake(16)
    texts = [f"word{i}" for i in range(30)]
    expected = plain.embedder("any").embed(texts, input_type="query").vectors
    plain.close()
    wrong: list[int] = []
    start = threading.Barrier(4)

    def ask(seed: int) -> None:
        start.wait(TIMEOUT)
        embedder: Embedder = cached_engine.embedder("any")
        for order in np.random.default_rng(seed).permuted(np.tile(np.arange(30), (20, 1)), axis=1):
            vectors = embedder.embed([texts[i] for i in order[:7]], input_type="query").vectors
            wrong.extend(i for i, vector in zip(order, vectors, strict=False) if not (vector == expected[i]).all())

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert wrong == []
    use = cached_engine.health().cache
    assert use is not None
    assert use.hits + use.misses == 4 * 20 * 7
    assert 0 < use.bytes <= 4000


def test_zero_bytes_are_no_cache() -> None:
    engine = Engine.fake(16)
    engine.embedder("any").embed(["a"], input_type="query")
    assert engine.health().cache is None
    engine.close()
