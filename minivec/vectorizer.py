"""From a vector space to the embedder that may fill and question it; another model than the one that filled it is refused."""

from __future__ import annotations

from dataclasses import replace

from minivec.embedding.interface import Embedder, EmbedderSource
from minivec.errors import FingerprintMismatch, InvalidInput
from minivec.types.collection import VectorSpace


class Vectorizers:
    """Gives each vector space its embedder."""

    def __init__(self, source: EmbedderSource) -> None:
        self._source = source

    def settle(self, space: VectorSpace) -> VectorSpace:
        """The space with its dimension and fingerprint filled in from its model; a `none` space comes back unchanged.

        Raises ModelNotFound, WeightsMismatch, FingerprintMismatch, InvalidInput for a dimension the model does not have.
        """
        if space.vectorizer == "none":
            return space
        card = self._source.embedder(space.model).card
        if space.dimension not in (None, card.dimension):
            raise InvalidInput(
                f"Model {card.name} makes vectors of {card.dimension} dimensions, not {space.dimension}.",
                field="dimension",
                hint="Leave `dimension` out.",
            )
        self._compare(space, card.fingerprint)
        return replace(space, dimension=card.dimension, fingerprint=card.fingerprint)

    def of(self, space: VectorSpace) -> Embedder:
        """The embedder of a space of a collection.

        Raises InvalidInput for a `none` space, FingerprintMismatch, ModelNotFound, WeightsMismatch.
        """
        if space.vectorizer == "none":
            raise InvalidInput(
                f"Vector space {space.name!r} has no vectorizer, so it cannot embed text.",
                field="space",
                hint="Search it with near_vector or near_object, or give hybrid a `vector`.",
            )
        embedder = self._source.embedder(space.model)
        self._compare(space, embedder.card.fingerprint)
        return embedder

    @staticmethod
    def _compare(space: VectorSpace, fingerprint: str) -> None:
        if space.fingerprint not in (None, fingerprint):
            raise FingerprintMismatch(
                f"The vectors of space {space.name!r} were made by another version of {space.model} "
                f"(fingerprint {space.fingerprint}, loaded {fingerprint}).",
                field="space",
                hint="Load the model that made them, or add a new vector space for this one.",
            )
