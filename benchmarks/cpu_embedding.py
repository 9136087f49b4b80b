"""The bundled model on the CPU: sentence-transformers, torch in float32 and bfloat16, and what `dtype` "auto" picks.

python -m benchmarks.cpu_embedding --data ../shared/data [--rounds 5] [--texts 400] [--quality]

Contenders take turns in every round (A B C A B C ...), so that a noisy minute hits all of them: read the ratios, which
are taken within a round. Each round embeds other texts, and each contender the same ones. Both take texts in their own
best order: sentence-transformers sorts by length and takes 32 at a time, its default.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from numpy.typing import NDArray

from benchmarks import judged_texts
from benchmarks.judged_texts import JudgedTexts
from benchmarks.record import record
from minivec.embedding import catalog
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.options import Dtype
from tests.embedding.judges import cosines, load_judge

MODEL = "all-MiniLM-L6-v2"
THEIRS, AUTO = "sentence-transformers", "minivec auto"
OURS: dict[str, Dtype] = {
    "minivec torch float32": "float32",
    "minivec torch bfloat16": "bfloat16",
    AUTO: "auto",
}
QUERY_ROUNDS, QUERIES = 5, 60
Vectors = NDArray[np.float32]
Contender = Callable[[list[str]], Vectors]

START = {
    THEIRS: "from sentence_transformers import SentenceTransformer\n"
    "SentenceTransformer({folder!r}, device='cpu', local_files_only=True).encode('first text')",
    **{
        name: "from minivec.embedding.engine import Engine, EngineOptions\n"
        f"engine = Engine(EngineOptions(device='auto', dtype={dtype!r}))\n"
        f"engine.embedder({MODEL!r}).embed(['first text'], input_type='query')\n"
        "engine.close()"
        for name, dtype in OURS.items()
    },
}


def main() -> None:
    """Measure, print and write one record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the folders scifact and wordnet")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: %(default)s)")
    parser.add_argument("--texts", type=int, default=400, help="documents in a round (default: %(default)s)")
    parser.add_argument("--quality", action="store_true", help="also nDCG@10: embeds the whole set")
    arguments = parser.parse_args()
    judged = judged_texts.load(arguments.data / "scifact")
    documents = [f"{document['title']} {document['text']}".strip() for document in judged.documents]
    glosses = _glosses(arguments.data / "wordnet" / "corpus.jsonl.gz")
    engines = {name: Engine(EngineOptions(device="cpu", dtype=dtype)) for name, dtype in OURS.items()}
    load_before = os.getloadavg()
    try:
        contenders = _contenders(engines)
        figures: dict[str, Any] = {
            "openvino": _version("openvino"),
            "start_seconds": start_seconds(),
            "scifact_documents": throughput(contenders, documents, arguments.rounds, arguments.texts),
            "wordnet_glosses": throughput(contenders, glosses, arguments.rounds, 5 * arguments.texts),
            "single_query": query_latency(contenders, list(judged.queries.values())),
        }
        if arguments.quality:
            figures["scifact_quality"] = quality(contenders[AUTO], judged, documents, arguments.data / "scifact")
    finally:
        for engine in engines.values():
            engine.close()
    record("cpu_embedding", {"load_average": {"before": load_before, "after": os.getloadavg()}, **figures})


def throughput(contenders: dict[str, Contender], texts: Sequence[str], rounds: int, count: int) -> dict[str, Any]:
    """Texts per second of the best round, and the median over the rounds of how many times theirs that is."""
    generator = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        chosen = [texts[i] for i in generator.choice(len(texts), min(count, len(texts)), replace=False)]
        if not number:
            chosen = chosen[:64]  # not timed: the first texts warm everyone up
        for name, contender in contenders.items():
            started = time.perf_counter()
            contender(chosen)
            seconds[name].append(time.perf_counter() - started)
        print(number, {name: round(len(chosen) / spent[-1], 1) for name, spent in seconds.items()}, file=sys.stderr)
    return _compared({name: spent[1:] for name, spent in seconds.items()}, per_pass=min(count, len(texts)))


def _compared(seconds: dict[str, list[float]], *, per_pass: int) -> dict[str, Any]:
    theirs = np.array(seconds[THEIRS])
    return {
        name: {
            "texts_per_second_best": round(per_pass / min(spent), 1),
            "texts_per_second_median": round(per_pass / float(np.median(spent)), 1),
            "times_theirs_median": round(float(np.median(theirs / np.array(spent))), 2),
            "times_theirs_each_round": [round(float(ratio), 2) for ratio in theirs / np.array(spent)],
        }
        for name, spent in seconds.items()
    }


def query_latency(contenders: dict[str, Contender], queries: Sequence[str]) -> dict[str, Any]:
    """Milliseconds of one query alone, from the text to its vector."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(QUERY_ROUNDS + 1):
        asked = queries[number * QUERIES % len(queries) :][:QUERIES]
        for name, contender in contenders.items():
            for query in asked:
                started = time.perf_counter()
                contender([query])
                if number:
                    spent[name].append(1000 * (time.perf_counter() - started))
    theirs = float(np.median(spent[THEIRS]))
    return {
        name: {
            "p50_ms": round(float(np.median(times)), 2),
            "p99_ms": round(float(np.quantile(times, 0.99)), 2),
            "p50_of_theirs": round(float(np.median(times)) / theirs, 3),
        }
        for name, times in spent.items()
    }


def quality(contender: Contender, judged: JudgedTexts, documents: list[str], folder: Path) -> dict[str, Any]:
    """nDCG@10 by plain exact search over the whole set, beside that of sentence-transformers' float32 vectors."""
    queries = list(judged.queries.values())
    ours = contender(documents), contender(queries)
    theirs = _stored(folder / "emb_minilm.npy"), _stored(folder / "emb_minilm_queries.npy")
    our_gain, their_gain = 100 * _ndcg(*ours, judged), 100 * _ndcg(*theirs, judged)
    return {
        "ndcg_at_10": {
            AUTO: round(our_gain, 2),
            THEIRS: round(their_gain, 2),
            "difference": round(our_gain - their_gain, 2),
        },
        "smallest_cosine": round(float(cosines(ours[0], theirs[0]).min()), 6),
    }


def _stored(file: Path) -> Vectors:
    vectors: Vectors = np.load(file).astype(np.float32)
    return vectors


def _ndcg(vectors: Vectors, queries: Vectors, judged: JudgedTexts) -> float:
    scores = queries @ vectors.T
    best = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    run = {
        query: {judged.documents[i]["id"]: float(scores[row, i]) for i in best[row]}
        for row, query in enumerate(judged.queries)
    }
    measure = ir_measures.nDCG @ 10
    return float(ir_measures.calc_aggregate([measure], judged.judgements, run)[measure])


def start_seconds() -> dict[str, float]:
    """From starting Python to the first vector, in a process of its own, the best of two."""
    folder = str(catalog.folder_of(catalog.CATALOG[0]))
    best = dict.fromkeys(START, float("inf"))
    for _ in range(2):
        for name, program in START.items():
            started = time.perf_counter()
            command = [sys.executable, "-c", program.format(folder=folder)]
            subprocess.run(command, check=True, capture_output=True)
            best[name] = min(best[name], time.perf_counter() - started)
    return {name: round(seconds, 2) for name, seconds in best.items()}


def _contenders(engines: dict[str, Engine]) -> dict[str, Contender]:
    judge = load_judge(catalog.folder_of(catalog.CATALOG[0]))

    def theirs(texts: list[str]) -> Vectors:
        return judge.encode(texts, show_progress_bar=False)

    return {THEIRS: theirs} | {name: _ours(engine) for name, engine in engines.items()}


def _ours(engine: Engine) -> Contender:
    embedder = engine.embedder(MODEL)

    def embed(texts: list[str]) -> Vectors:
        return embedder.embed(texts, input_type="query" if len(texts) == 1 else "passage", truncate="end").vectors

    return embed


def _glosses(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [entry["text"] for entry in map(json.loads, lines)]


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
