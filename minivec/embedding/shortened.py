"""An embedder whose vectors are cut to one of the shorter lengths its model was trained for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minivec.embedding.interface import Embedded, Embedder, EmbeddingType, InputType, ModelCard, Truncation


class Shortened:
    """The same model at `dimension` floats; a fingerprint of its own, as vectors of two lengths cannot be compared."""

    def __init__(self, embedder: Embedder, dimension: int) -> None:
        card = embedder.card
        self._embedder = embedder
        self._card = replace(card, dimension=dimension, dimensions=(), fingerprint=f"{card.fingerprint}-{dimension}")

    @property
    def card(self) -> ModelCard:
        """The model's card at this length."""
        return self._card

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        """Embed at this length, or at the shorter one asked for; raises what the model's own embedder raises."""
        length = dimensions or self._card.dimension
        return self._embedder.embed(
            texts, input_type=input_type, truncate=truncate, dimensions=length, embedding_type=embedding_type
        )


def at_length(embedder: Embedder, dimension: int | None) -> Embedder:
    """The embedder, cut where the model knows the length; otherwise as it is."""
    return Shortened(embedder, dimension) if dimension in embedder.card.dimensions and dimension else embedder
