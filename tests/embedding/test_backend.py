"""The fake backend: deterministic, near when words are shared, and never a reason to load torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from minivec.embedding.backend import FakeBackend, FakeTokenizer
from minivec.embedding.engine import Engine


def embed(*texts: str) -> np.ndarray:
    engine = Engine.fake(48)
    try:
        return engine.embedder("any").embed(texts, input_type="passage").vectors
    finally:
        engine.close()


def test_equal_texts_have_equal_vectors_in_every_process() -> None:
    vectors = embed("a cat", "a cat")
    assert (vectors[0] == vectors[1]).all()
    code = (
        "from minivec.embedding.engine import Engine;"
        "v = Engine.fake(48).embedder('any').embed(['a cat'], input_type='passage').vectors;"
        "print(v.tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert bytes.fromhex(done.stdout.strip()) == vectors[0].tobytes()


def test_shared_words_mean_nearness() -> None:
    cat, cat_too, dogs = embed("the cat sat down", "The CAT sat.", "dogs run very fast")
    assert cat @ cat_too > 0.7
    assert abs(cat @ dogs) < 0.5


def test_vectors_have_unit_length_even_without_words() -> None:
    lengths = np.linalg.norm(embed("", "?!", "one", "one two three"), axis=1)
    assert lengths == pytest.approx([1, 1, 1, 1], abs=1e-6)


def test_a_batch_gives_what_single_texts_give() -> None:
    texts = [f"word{i} and {i % 3}" for i in range(30)]
    assert (embed(*texts) == np.concatenate([embed(text) for text in texts])).all()


def test_the_fake_tokenizer_refuses_lone_surrogates() -> None:
    with pytest.raises(UnicodeEncodeError):
        FakeTokenizer().ids(["x\ud800"])


def test_the_fakes_shape_is_the_one_asked_for() -> None:
    assert FakeBackend(7).dimension == 7
    assert Engine.fake(7).embedder("any").card.dimension == 7
