"""The last step of a vector: cut to fewer dimensions, normalised again, and packed into the type the caller asked for.

float    float32 as it is            int8    round(127 * x / max|x|) of each vector: keeps its direction, needs no calibration
binary   ubinary - 128               uint8   int8 + 128
ubinary  one bit a dimension, 1 where x > 0, the first dimension in the highest bit of the first byte
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import EmbeddingType, ModelCard
from minivec.errors import InvalidInput

if TYPE_CHECKING:
    from torch import Tensor

DTYPES: dict[EmbeddingType, Any] = {
    "float": np.float32,
    "int8": np.int8,
    "uint8": np.uint8,
    "binary": np.int8,
    "ubinary": np.uint8,
}
PACKED = frozenset({"binary", "ubinary"})
LEVELS = 127  # the largest magnitude an int8 value takes here
OFFSET = 128  # between the signed and the unsigned form of one byte
SMALLEST = 1e-12  # keeps a vector of zeros from dividing by zero


@dataclass(frozen=True, slots=True)
class VectorForm:
    """How a caller wants vectors: `dimensions` None keeps them whole."""

    dimensions: int | None = None
    embedding_type: EmbeddingType = "float"

    def columns(self, dimension: int) -> int:
        """How many numbers a vector of `dimension` floats has in this form."""
        kept = self.dimensions or dimension
        return kept // 8 if self.embedding_type in PACKED else kept

    @property
    def dtype(self) -> Any:
        """The numpy type of those numbers."""
        return DTYPES[self.embedding_type]

    def cuts(self, dimension: int) -> bool:
        """True when vectors of `dimension` floats lose some."""
        return self.dimensions is not None and self.dimensions < dimension


PLAIN = VectorForm()


def form_for(card: ModelCard, dimensions: int | None, embedding_type: EmbeddingType) -> VectorForm:
    """The form a caller asks of this model. Raises InvalidInput naming what the model does not offer."""
    if embedding_type not in card.embedding_types:
        raise InvalidInput(
            f"{card.name} does not give embeddings of the type {embedding_type!r}.",
            field="embedding_type",
            hint=f"It gives {', '.join(card.embedding_types)}.",
        )
    if dimensions is not None and dimensions != card.dimension and dimensions not in card.dimensions:
        raise InvalidInput(
            f"{card.name} does not give vectors of {dimensions} dimensions.",
            field="dimensions",
            hint=f"It gives {', '.join(map(str, [*card.dimensions, card.dimension]))}.",
        )
    if embedding_type in PACKED and (dimensions or card.dimension) % 8:
        raise InvalidInput(
            f"{embedding_type} packs eight dimensions into a byte and {dimensions or card.dimension} is no multiple of 8.",
            field="embedding_type",
        )
    return VectorForm(None if dimensions == card.dimension else dimensions, embedding_type)


def shape_on_device(vectors: Tensor, form: VectorForm) -> Tensor:
    """Float vectors, shape (texts, dimension), in this form, on the device they lie on.

    Raises ValueError when a row of a whole-number type is not finite, since the type could not show it.
    """
    if form.cuts(vectors.shape[1]):
        vectors = vectors[:, : form.dimensions]
        vectors = vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=SMALLEST)
    if form.embedding_type == "float":
        return vectors
    if not bool(vectors.isfinite().all()):
        raise ValueError("the vector has numbers that are not finite")
    if form.embedding_type in PACKED:
        return _packed(vectors, signed=form.embedding_type == "binary")
    return _bytes(vectors, signed=form.embedding_type == "int8")


def shape_on_host(vectors: NDArray[np.float32], form: VectorForm) -> NDArray[Any]:
    """The same in numpy, for vectors that no device holds."""
    if form.cuts(vectors.shape[1]):
        vectors = vectors[:, : form.dimensions]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), SMALLEST)
    if form.embedding_type == "float":
        return np.asarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise ValueError("the vector has numbers that are not finite")
    if form.embedding_type in PACKED:
        bits = np.packbits(vectors > 0, axis=-1)
        return bits if form.embedding_type == "ubinary" else (bits.astype(np.int16) - OFFSET).astype(np.int8)
    peaks = np.maximum(np.abs(vectors).max(axis=-1, keepdims=True), SMALLEST)
    levels: NDArray[np.int16] = np.rint(vectors * (LEVELS / peaks)).astype(np.int16)
    return levels.astype(np.int8) if form.embedding_type == "int8" else (levels + OFFSET).astype(np.uint8)


def _packed(vectors: Tensor, *, signed: bool) -> Tensor:
    import torch

    weights = torch.tensor([128, 64, 32, 16, 8, 4, 2, 1], dtype=torch.int16, device=vectors.device)
    bits = (vectors > 0).view(len(vectors), -1, 8).to(torch.int16)
    packed = (bits * weights).sum(dim=-1, dtype=torch.int16)
    return (packed - OFFSET).to(torch.int8) if signed else packed.to(torch.uint8)


def _bytes(vectors: Tensor, *, signed: bool) -> Tensor:
    import torch

    peaks = vectors.abs().amax(dim=-1, keepdim=True).clamp(min=SMALLEST)
    levels = (vectors * (LEVELS / peaks)).round().to(torch.int16)
    return levels.to(torch.int8) if signed else (levels + OFFSET).to(torch.uint8)
