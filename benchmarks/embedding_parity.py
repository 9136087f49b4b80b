"""The bundled model against sentence-transformers: are the vectors equal, and who is faster?

python -m benchmarks.embedding_parity [--texts 1000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import record
from minivec.embedding import catalog
from minivec.embedding.engine import Engine
from minivec.embedding.interface import Embedder
from tests.embedding.judges import cosines, in_random_batches, load_judge
from tests.embedding.mixed_texts import mixed_texts

MODEL = "all-MiniLM-L6-v2"
Vectors = NDArray[np.float32]


def main() -> None:
    """Measure, print and write one record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=1000, help="how many mixed texts (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="timed rounds each, the best counts (default: %(default)s)"
    )
    arguments = parser.parse_args()
    engine = Engine()
    try:
        record("embedding_parity", measure(engine.embedder(MODEL), mixed_texts(arguments.texts), arguments.rounds))
    finally:
        engine.close()


def measure(embedder: Embedder, texts: list[str], rounds: int) -> dict[str, Any]:
    """Smallest cosines and texts per second of both, over the same texts in the same process."""
    judge = load_judge(catalog.folder_of(catalog.CATALOG[0]))

    def ours(some: list[str]) -> Vectors:
        return embedder.embed(some, input_type="passage", truncate="end").vectors

    def theirs(some: list[str]) -> Vectors:
        return judge.encode(some, show_progress_bar=False)

    judged = theirs(texts)
    alone = np.concatenate([ours([text]) for text in texts])
    batched = np.zeros_like(judged)
    for batch in in_random_batches(texts, seed=1):
        batched[batch] = ours([texts[i] for i in batch])
    tokens = [note.tokens - note.cut for note in embedder.embed(texts, input_type="passage", truncate="end").notes]
    our_seconds, their_seconds = _best_seconds(rounds, lambda: ours(texts), lambda: theirs(texts))
    return {
        "texts": len(texts),
        "tokens": {"total": sum(tokens), "median": int(np.median(tokens)), "longest": max(tokens)},
        "smallest_cosine": {
            "alone": float(cosines(alone, judged).min()),
            "random_batches": float(cosines(batched, judged).min()),
        },
        "texts_per_second": {
            "minivec": round(len(texts) / our_seconds, 1),
            "sentence_transformers": round(len(texts) / their_seconds, 1),
            "ratio": round(their_seconds / our_seconds, 3),
        },
        "tokens_per_second": {
            "minivec": round(sum(tokens) / our_seconds),
            "sentence_transformers": round(sum(tokens) / their_seconds),
        },
    }


def _best_seconds(rounds: int, *candidates: Callable[[], object]) -> list[float]:
    """The fastest of `rounds` runs of each, taken in turn, so that a noisy minute hits all of them."""
    best = [float("inf")] * len(candidates)
    for _ in range(rounds):
        for i, candidate in enumerate(candidates):
            started = time.perf_counter()
            candidate()
            best[i] = min(best[i], time.perf_counter() - started)
    return best


if __name__ == "__main__":
    main()
