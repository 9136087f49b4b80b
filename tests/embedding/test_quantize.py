"""Quantising: packed bits are sentence-transformers' own, bytes are a plain loop's, on the device as on the host."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from minivec.embedding.embedder import ScheduledEmbedder
from minivec.embedding.engine import Engine
from minivec.embedding.interface import EmbeddingType, ModelCard
from minivec.embedding.quantize import PLAIN, VectorForm, form_for, shape_on_device, shape_on_host
from minivec.errors import InvalidInput

BYTES: list[EmbeddingType] = ["int8", "uint8"]
BITS: list[EmbeddingType] = ["binary", "ubinary"]


def unit_vectors(count: int = 50, dimension: int = 64, seed: int = 0) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    vectors[:, 3] = 0.0  # a bit of an exact zero is 0
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def both(vectors: NDArray[np.float32], form: VectorForm) -> NDArray[Any]:
    """The form made on the device, after checking that the host makes the same."""
    device = shape_on_device(torch.from_numpy(vectors), form).numpy()
    host = shape_on_host(vectors, form)
    assert device.dtype == host.dtype == form.dtype
    assert device.shape == host.shape == (len(vectors), form.columns(vectors.shape[1]))
    if form.embedding_type == "float":
        np.testing.assert_allclose(device, host, atol=1e-7)
    else:
        np.testing.assert_array_equal(device, host)
    return device


@pytest.mark.parametrize("kind", BITS)
def test_bits_equal_sentence_transformers(kind: EmbeddingType) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while they are imported is not judged here
        from sentence_transformers import quantize_embeddings

    vectors = unit_vectors()
    judged = quantize_embeddings(vectors, precision=kind)
    found = both(vectors, VectorForm(embedding_type=kind))
    assert found.dtype == judged.dtype
    np.testing.assert_array_equal(found, judged)


@pytest.mark.parametrize("kind", BYTES)
def test_bytes_equal_a_plain_loop(kind: EmbeddingType) -> None:
    vectors = unit_vectors()
    found = both(vectors, VectorForm(embedding_type=kind))
    for row, vector in zip(found.tolist(), vectors.tolist(), strict=True):
        peak = max(abs(x) for x in vector)
        for got, x in zip(row, vector, strict=True):
            exact = 127 * x / peak + (128 if kind == "uint8" else 0)
            assert abs(got - exact) <= 0.5 + 1e-4


def test_bytes_keep_the_direction() -> None:
    vectors = unit_vectors(dimension=384)
    levels = both(vectors, VectorForm(embedding_type="int8")).astype(np.float64)
    cosines = (levels * vectors).sum(axis=1) / np.linalg.norm(levels, axis=1)
    assert cosines.min() > 0.9995
    assert (np.abs(levels).max(axis=1) == 127).all()


def test_the_signed_and_the_unsigned_types_differ_by_an_offset() -> None:
    vectors = unit_vectors()
    for signed, unsigned in (("int8", "uint8"), ("binary", "ubinary")):
        low = both(vectors, VectorForm(embedding_type=signed)).astype(int)  # type: ignore[arg-type]
        high = both(vectors, VectorForm(embedding_type=unsigned)).astype(int)  # type: ignore[arg-type]
        assert (low + 128 == high).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    dimensions=st.sampled_from([8, 16, 40, 64]),
    kind=st.sampled_from(["float", *BYTES, *BITS]),
)
def test_cutting_is_the_first_numbers_normalised_again(seed: int, dimensions: int, kind: EmbeddingType) -> None:
    vectors = unit_vectors(5, seed=seed)
    cut = vectors[:, :dimensions].astype(np.float64)
    cut /= np.linalg.norm(cut, axis=1, keepdims=True)
    found = both(vectors, VectorForm(dimensions, kind))
    if kind == "float":
        np.testing.assert_allclose(found, cut, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, shape_on_host(cut.astype(np.float32), VectorForm(embedding_type=kind)))


@pytest.mark.parametrize("kind", ["float", *BYTES, *BITS])
def test_a_vector_of_zeros_stays_one(kind: EmbeddingType) -> None:
    found = both(np.zeros((1, 16), np.float32), VectorForm(8, kind)).astype(int)
    zero = {"uint8": 128, "binary": -128}.get(kind, 0)
    assert (found == zero).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", [*BYTES, *BITS])
def test_a_number_that_is_not_finite_is_never_hidden_in_bytes(kind: EmbeddingType, bad: float) -> None:
    vectors = unit_vectors(2)
    vectors[1, 5] = bad
    for shape in (lambda: shape_on_host(vectors, VectorForm(embedding_type=kind)),):
        with pytest.raises(ValueError, match="not finite"):
            shape()
    with pytest.raises(ValueError, match="not finite"):
        shape_on_device(torch.from_numpy(vectors), VectorForm(embedding_type=kind))


CARD = ModelCard(
    name="m",
    fingerprint="f",
    dimension=20,
    max_tokens=9,
    dimensions=(8, 16),
    embedding_types=("float", "int8", "binary"),
)


@pytest.mark.parametrize(
    ("dimensions", "kind", "field"),
    [
        (9, "float", "dimensions"),
        (0, "float", "dimensions"),
        (None, "ubinary", "embedding_type"),
        (None, "float16", "embedding_type"),
        (None, "binary", "embedding_type"),  # 20 dimensions do not fill bytes
    ],
)
def test_what_the_card_does_not_offer_is_named(dimensions: int | None, kind: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        form_for(CARD, dimensions, kind)
    assert caught.value.field == field


def test_what_the_card_offers_is_a_form() -> None:
    assert form_for(CARD, None, "float") == form_for(CARD, 20, "float") == PLAIN
    assert form_for(CARD, 16, "binary").columns(20) == 2
    assert form_for(CARD, 8, "int8").columns(20) == 8


def test_an_embedder_gives_every_form_and_rows_of_zeros_to_what_failed() -> None:
    engine = Engine.fake(64)
    embedder = engine.embedder("any")
    assert isinstance(embedder, ScheduledEmbedder)
    texts = ["one two", "x\ud800", "three"]
    whole = embedder.embed(texts, input_type="passage")
    for kind in embedder.card.embedding_types:
        found = embedder.embed(texts, input_type="passage", embedding_type=kind)
        form = VectorForm(embedding_type=kind)
        assert found.vectors.dtype == form.dtype
        np.testing.assert_array_equal(found.vectors[[0, 2]], shape_on_host(whole.vectors[[0, 2]], form))
        assert not found.vectors[1].any()
    engine.close()
