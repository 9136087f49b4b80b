"""The bundled model's vectors are those of sentence-transformers, alone and in any batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from minivec.embedding.interface import Embedder
from tests.embedding.judges import cosines, in_random_batches
from tests.embedding.mixed_texts import mixed_texts

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

LEAST_COSINE = 0.99999


def test_a_published_vector_is_met(bundled: Embedder) -> None:
    vector = bundled.embed(["This is an example sentence"], input_type="passage").vectors[0]
    expected = [0.06765696, 0.06349595, 0.04871314, 0.07930502, 0.03744804]
    assert vector[:5] == pytest.approx(expected, abs=1e-6)
    assert vector.dtype == np.float32


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.judge)])
def test_vectors_equal_the_judge_alone_and_in_random_batches(
    bundled: Embedder, bundled_judge: SentenceTransformer, count: int
) -> None:
    texts = mixed_texts(count)
    judged = bundled_judge.encode(texts, batch_size=32)
    alone = np.concatenate([bundled.embed([t], input_type="passage", truncate="end").vectors for t in texts])
    assert cosines(alone, judged).min() >= LEAST_COSINE
    for batch in in_random_batches(texts, seed=count):
        together = bundled.embed([texts[i] for i in batch], input_type="query", truncate="end").vectors
        assert cosines(together, judged[batch]).min() >= LEAST_COSINE


def test_token_counts_equal_the_judges(bundled: Embedder, bundled_judge: SentenceTransformer) -> None:
    texts = mixed_texts(60)
    notes = bundled.embed(texts, input_type="passage", truncate="end").notes
    for text, note in zip(texts, notes, strict=True):
        read = bundled_judge.preprocess([text])["input_ids"].shape[1]
        assert note.tokens - note.cut == read
        whole = bundled_judge.tokenizer(text, truncation=False, verbose=False)["input_ids"]
        assert note.tokens == len(whole)


def test_an_empty_text_has_the_vector_the_model_gives_it(bundled: Embedder, bundled_judge: SentenceTransformer) -> None:
    embedded = bundled.embed([""], input_type="passage")
    assert embedded.notes[0].tokens == 2
    assert cosines(embedded.vectors, bundled_judge.encode([""])).min() >= LEAST_COSINE
