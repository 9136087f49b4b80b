"""Vectors cut to a length of the model's: asked of the model, fingerprinted apart, refused where it has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from minivec.embedding.engine import Engine
from minivec.embedding.interface import Embedder
from minivec.embedding.shortened import Shortened, at_length
from minivec.errors import InvalidInput
from minivec.types.collection import VectorSpace
from minivec.vectorizer import Vectorizers


class Matryoshka(Engine):
    """The fake engine, as if its models had been trained at 8 and 16 floats too."""

    def embedder(self, model: str) -> Embedder:
        embedder = super().embedder(model)
        card = replace(embedder.card, dimensions=(8, 16))
        embedder._model = replace(embedder._model, card=card)  # type: ignore[attr-defined]
        return embedder


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Matryoshka.fake(dimension=32)
    yield made
    made.close()


def test_the_first_floats_normalised_again(engine: Engine) -> None:
    whole = engine.embedder("m").embed(["a bird"], input_type="passage").vectors[0]
    cut = at_length(engine.embedder("m"), 8).embed(["a bird"], input_type="passage").vectors[0]
    np.testing.assert_allclose(cut, whole[:8] / np.linalg.norm(whole[:8]), rtol=1e-5)


def test_the_card_tells_the_lengths_apart(engine: Engine) -> None:
    embedder = engine.embedder("m")
    assert at_length(embedder, None) is embedder
    assert at_length(embedder, 32) is embedder
    assert at_length(embedder, 7) is embedder
    cards = [Shortened(embedder, length).card for length in (8, 16)]
    assert [card.dimension for card in cards] == [8, 16]
    assert len({embedder.card.fingerprint, *(card.fingerprint for card in cards)}) == 3


def test_a_space_of_a_local_model_may_be_shorter(engine: Engine) -> None:
    vectorizers = Vectorizers(engine)
    space = vectorizers.settle(VectorSpace(model="m", dimension=16))
    assert vectorizers.of(space).embed(["a"], input_type="query").vectors.shape == (1, 16)
    assert vectorizers.settle(space) == space
    with pytest.raises(InvalidInput, match="or give one of 8, 16"):
        vectorizers.settle(VectorSpace(model="m", dimension=9))
