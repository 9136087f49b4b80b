"""What near means: the four distances as pure functions in float32. Smaller is nearer.

cosine = 1 - cos, from 0 to 2 (a zero vector is 1 away from everything) · dot = -(a·b) · l2-squared = |a-b|²
· hamming = how many sign bits differ, where a bit is set when its number is greater than 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.indexes.vector import Vectors
from minivec.types.collection import Distance

Codes = NDArray[np.uint8]

LARGEST_POWER = 64  # bytes; FAISS has fast code for 8, 16, 32, 64 and whole multiples of 64 bytes


def prepare(vectors: Vectors, distance: Distance) -> Vectors:
    """The vectors, shape (..., dimension), as their distance compares them: a contiguous copy, of length 1 for cosine."""
    if distance != "cosine":
        plain: Vectors = np.array(vectors, dtype=np.float32, order="C")
        return plain
    wide = np.asarray(vectors, dtype=np.float64)  # the square of a float32 can be too large or too small for one
    lengths = np.sqrt(np.einsum("...i,...i->...", wide, wide))[..., np.newaxis]
    unit: Vectors = np.ascontiguousarray(wide / np.where(lengths == 0.0, 1.0, lengths), dtype=np.float32)
    return unit


def distances(query: Vectors, matrix: Vectors, distance: Distance) -> Vectors:
    """The distance of `query`, shape (dimension,), to each row of `matrix`, shape (n, dimension): float32 (n,).

    Equal rows are always equally far, which a matrix product does not promise.
    """
    if distance == "hamming":
        differing = np.bitwise_count(sign_codes(matrix) ^ sign_codes(query))
        return np.asarray(differing.sum(axis=-1), dtype=np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        point, rows = prepare(query, distance), prepare(matrix, distance)
        if distance == "l2-squared":
            rows -= point
            return _finite(np.einsum("ij,ij->i", rows, rows))
        return from_faiss(np.einsum("ij,j->i", rows, point), distance)


def from_faiss(scores: Vectors, distance: Distance) -> Vectors:
    """FAISS's inner products of prepared vectors, or its squared l2 distances, as distances."""
    if distance == "cosine":
        return _finite(np.clip(np.float32(1.0) - scores, 0.0, 2.0))
    return _finite(-scores if distance == "dot" else scores)


def sign_codes(vectors: Vectors) -> Codes:
    """The sign bits of vectors, shape (..., dimension), packed and padded with zeros: uint8 (..., code bytes)."""
    packed = np.packbits(np.asarray(vectors) > 0, axis=-1)
    padding: list[tuple[int, int]] = [(0, 0)] * packed.ndim
    padding[-1] = (0, code_bytes(np.shape(vectors)[-1]) - packed.shape[-1])
    return np.pad(packed, padding)


def code_bytes(dimension: int) -> int:
    """How many bytes the padded sign code of a vector takes: codes of an odd size are scanned at half speed."""
    needed = -(-dimension // 8)
    if needed > LARGEST_POWER:
        return -(-needed // LARGEST_POWER) * LARGEST_POWER
    return max(8, 1 << (needed - 1).bit_length())


def _finite(values: NDArray[Any]) -> Vectors:
    """Distances beyond float32 as infinitely far."""
    return np.where(np.isnan(values), np.float32(np.inf), values).astype(np.float32, copy=False)
