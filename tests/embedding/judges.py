"""sentence-transformers, the judge: the same folder loaded by a library nobody here wrote."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def load_judge(folder: Path) -> SentenceTransformer:
    """sentence-transformers' own model of this folder, on the CPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while they are imported is not judged here
        from sentence_transformers import SentenceTransformer

        return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def cosines(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float64]:
    """The cosine of each row of `left` with the same row of `right`."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    products: NDArray[np.float64] = (a * b).sum(axis=1)
    return products / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))


def in_random_batches(texts: Sequence[str], *, seed: int) -> list[list[int]]:
    """The positions of the texts, shuffled and cut into batches of 1 to 40."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(texts))
    batches = []
    while len(order):
        size = int(generator.integers(1, 41))
        batches.append(order[:size].tolist())
        order = order[size:]
    return batches
