"""One model as callers see it: order, notes, errors that cost one text, and calls longer than the queue."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.embedding.backend import Backend, FakeBackend, FakeTokenizer
from minivec.embedding.embedder import WINDOW, ScheduledEmbedder
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Embedder, ModelCard
from minivec.embedding.model import LoadedModel
from minivec.embedding.prompts import Prompts
from minivec.embedding.scheduler import Scheduler
from minivec.errors import Busy, Closed, EmbeddingFailed, InvalidInput, TextTooLong
from tests.embedding.backends import TIMEOUT, GatedBackend, PoisonedBackend, text


@pytest.fixture
def embedder() -> Iterator[Embedder]:
    engine = Engine.fake(16, options=EngineOptions(batch_tokens=64))
    yield engine.embedder("any")
    engine.close()


NO_PROMPTS = Prompts()


def around(backend: Backend, *, prompts: Prompts = NO_PROMPTS, queue_tokens: int = 1000) -> ScheduledEmbedder:
    model = LoadedModel(
        card=ModelCard(name="test", fingerprint="f", dimension=backend.dimension, max_tokens=10),
        prompts=prompts,
        pool_prompt=True,
        tokenizer=FakeTokenizer(),
        backend=backend,
    )
    return ScheduledEmbedder(model, Scheduler("test", batch_tokens=100, queue_tokens=queue_tokens))


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text(max_size=40), max_size=40))
def test_any_texts_give_one_row_and_one_note_each(texts: list[str]) -> None:
    engine = Engine.fake(16, options=EngineOptions(batch_tokens=20))
    try:
        embedded = engine.embedder("any").embed(texts, input_type="passage", truncate="end")
        assert embedded.vectors.shape == (len(texts), 16)
        assert embedded.vectors.dtype == np.float32
        assert len(embedded.notes) == len(texts)
        for one, row in zip(texts, embedded.vectors, strict=True):
            alone = engine.embedder("any").embed([one], input_type="query", truncate="end")
            assert (alone.vectors[0] == row).all()
    finally:
        engine.close()


def test_a_failed_text_has_zeros_and_its_reason(embedder: Embedder) -> None:
    embedded = embedder.embed(["one", "x\ud800", "word " * 300, "two"], input_type="passage")
    assert [note.error is None for note in embedded.notes] == [True, False, False, True]
    assert isinstance(embedded.notes[1].error, InvalidInput)
    assert isinstance(embedded.notes[2].error, TextTooLong)
    assert [bool(row.any()) for row in embedded.vectors] == [True, False, False, True]


def test_cut_texts_say_how_much_was_cut(embedder: Embedder) -> None:
    head, tail = "alpha " * 254, "omega " * 254
    end = embedder.embed([head + tail], input_type="passage", truncate="end")
    start = embedder.embed([head + tail], input_type="passage", truncate="start")
    assert (end.notes[0].tokens, end.notes[0].cut) == (510, 254)
    assert (end.vectors == embedder.embed([head], input_type="passage").vectors).all()
    assert (start.vectors == embedder.embed([tail], input_type="passage").vectors).all()


def test_a_call_longer_than_the_queue_is_served_in_parts() -> None:
    embedder = around(FakeBackend(8), queue_tokens=50)
    texts = [f"text number{i}" for i in range(5 * WINDOW + 3)]
    embedded = embedder.embed(texts, input_type="passage")
    assert all(note.error is None for note in embedded.notes)
    for i in (0, WINDOW, 5 * WINDOW + 2):
        assert (embedded.vectors[i] == embedder.embed([texts[i]], input_type="passage").vectors[0]).all()
    embedder._scheduler.close()


def test_a_full_queue_is_busy_at_the_first_text() -> None:
    backend = GatedBackend()
    embedder = around(backend, queue_tokens=4)
    held = embedder._scheduler.submit(backend, [text(99)], "passage")
    assert backend.entered.wait(TIMEOUT)
    waiting = embedder._scheduler.submit(backend, [text(5, 6, 7)], "passage")
    with pytest.raises(Busy):
        embedder.embed(["one two three"], input_type="passage")
    backend.gate.set()
    for ticket in (held, waiting):
        embedder._scheduler.wait(ticket)
    embedder._scheduler.close()


def test_the_prompt_of_the_input_type_goes_before_each_text() -> None:
    backend = GatedBackend()
    backend.gate.set()
    embedder = around(backend, prompts=Prompts(query="ask ", passage="tell "))
    embedder.embed(["it"], input_type="query")
    embedder.embed(["it"], input_type="passage")
    assert backend.batches == [FakeTokenizer().ids(["ask it"]), FakeTokenizer().ids(["tell it"])]
    embedder._scheduler.close()


def test_the_models_failure_on_one_text_is_in_its_note(monkeypatch: pytest.MonkeyPatch) -> None:
    poisonous = FakeTokenizer().ids(["poison"])[0][1]
    monkeypatch.setattr("tests.embedding.backends.POISON", poisonous)
    embedder = around(PoisonedBackend(8))
    embedded = embedder.embed(["good", "poison", "better"], input_type="passage")
    assert [type(note.error) for note in embedded.notes] == [type(None), EmbeddingFailed, type(None)]
    embedder._scheduler.close()


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("texts", {"texts": "one text"}),
        ("texts", {"texts": [b"bytes"]}),
        ("input_type", {"input_type": "document"}),
        ("truncate", {"truncate": "END"}),
    ],
)
def test_wrong_arguments_are_named(embedder: Embedder, field: str, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        embedder.embed(**({"texts": ["a"], "input_type": "query"} | arguments))
    assert caught.value.field == field


def test_after_close_it_says_closed() -> None:
    engine = Engine.fake(8)
    embedder = engine.embedder("any")
    engine.close()
    with pytest.raises(Closed):
        embedder.embed(["a"], input_type="query")
