"""How good are the answers? nDCG and recall of near-text, keyword and hybrid search on judged queries, through the server.

python -m benchmarks.retrieval_quality --data ../shared/data/scifact

A real server process, the Python client, the official judgements, and an evaluation library nobody here wrote
(ir_measures). As BEIR defines a document, its title and text are joined by a space into one property, `document`, which
is embedded and searched for words; title and text are stored beside it as well, to compare one field with two. The
vector index is exact (flat), so that the figure judges the model and not a graph. Every search asks for 100 hits.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
from ir_measures import R, nDCG

import minivec
from benchmarks.judged_texts import JudgedTexts, load
from benchmarks.record import record
from minivec.client.client import Client, RemoteCollection
from minivec.demo.server import temporary_server

DEPTH = 100
MEASURES = {nDCG @ 10: "ndcg@10", R @ 10: "recall@10", R @ 100: "recall@100"}
TARGETS = {  # measure: nDCG@10 on SciFact; the published figure for this model is 0.6451
    "near-text": (0.642, 0.648),
    "keyword": (0.655, 1.0),
    "hybrid, alpha 0.5": (0.705, 1.0),
}
Search = Callable[[str], minivec.Answer]


def main() -> int:
    """Measure, print, write one record; the exit code is 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data/scifact"),
        help="folder in BEIR's layout (default: %(default)s)",
    )
    arguments = parser.parse_args()
    if not (arguments.data / "corpus.jsonl.gz").is_file():
        parser.error(f"there is no corpus.jsonl.gz in {arguments.data}")
    texts = load(arguments.data)
    with temporary_server() as url, minivec.connect(url, timeout=300.0) as client:
        figures = {"data": arguments.data.name, **measure(client, texts)}
    record("retrieval_quality", figures)
    return 0 if _verdict(figures["searches"]) else 1


def measure(client: Client, texts: JudgedTexts) -> dict[str, Any]:
    """Import the documents, ask every query in every way, judge the rankings."""
    collection = _collection(client)
    objects = ({"properties": {**one, "document": f"{one['title']} {one['text']}"}} for one in texts.documents)
    report = collection.import_objects(objects, id_from=["id"], batch_size=128)
    searches = {name: _judged(search, texts) for name, search in _searches(collection).items()}
    return {
        "documents": collection.count(),
        "queries": len(texts.queries),
        "import": {
            "seconds": round(report.seconds, 1),
            "documents_per_second": round(len(report.outcomes) / report.seconds, 1),
            "truncated_documents": len(report.truncated),
            "counts": report.counts,
        },
        "searches": searches,
    }


def _collection(client: Client) -> RemoteCollection:
    return client.create_collection(
        "judged",
        properties=[
            minivec.Property(name="id", tokenization="field", searchable=False),
            minivec.Property(name="title"),
            minivec.Property(name="text"),
            minivec.Property(name="document"),
        ],
        vector_spaces=[minivec.VectorSpace(source_properties=("document",), index="flat")],
    )


def _searches(collection: RemoteCollection) -> Mapping[str, Search]:
    shown: dict[str, Any] = {"limit": DEPTH, "properties": ["id"]}
    one = {"query_properties": ["document"], **shown}
    two = {"query_properties": ["title", "text"], **shown}
    return {
        "near-text": lambda text: collection.near_text(text, **shown),
        "near-text, 10 hits": lambda text: collection.near_text(text, limit=10, properties=["id"]),
        "keyword": lambda text: collection.keyword(text, **one),
        "keyword, two fields": lambda text: collection.keyword(text, **two),
        "hybrid, alpha 0.5": lambda text: collection.hybrid(text, alpha=0.5, **one),
        "hybrid, alpha 0.25": lambda text: collection.hybrid(text, alpha=0.25, **one),
        "hybrid, alpha 0.75": lambda text: collection.hybrid(text, alpha=0.75, **one),
        "hybrid, two fields": lambda text: collection.hybrid(text, alpha=0.5, **two),
        "hybrid, ranked": lambda text: collection.hybrid(text, alpha=0.5, fusion="ranked", **one),
    }


def _judged(search: Search, texts: JudgedTexts) -> dict[str, float]:
    """The measures over all queries, and how long a query took as the client saw it."""
    rankings: dict[str, dict[str, float]] = {}
    seconds = []
    for query_id, text in texts.queries.items():
        started = time.perf_counter()
        answer = search(text)
        seconds.append(time.perf_counter() - started)
        rankings[query_id] = {hit.properties["id"]: -float(place) for place, hit in enumerate(answer.hits)}
    found = ir_measures.calc_aggregate(list(MEASURES), texts.judgements, rankings)
    return {
        **{name: round(found[measure], 4) for measure, name in MEASURES.items()},
        "p50_ms": round(float(np.quantile(seconds, 0.5)) * 1000, 2),
        "p99_ms": round(float(np.quantile(seconds, 0.99)) * 1000, 2),
    }


def _verdict(searches: Mapping[str, Mapping[str, float]]) -> bool:
    met = True
    for name, (least, most) in TARGETS.items():
        reached = searches[name]["ndcg@10"]
        good = least <= reached <= most
        met = met and good
        print(f"{name:20} nDCG@10 {reached:.4f}, target {least} to {most}: {'met' if good else 'MISSED'}")
    return met


if __name__ == "__main__":
    sys.exit(main())
