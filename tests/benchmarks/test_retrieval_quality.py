"""The measurement of quality, over a server with a model that is none: it reads BEIR's layout and judges every search."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

import minivec
from benchmarks.judged_texts import load
from benchmarks.retrieval_quality import TARGETS, measure
from tests.server.serving import running

TEXTS = {"d1": ("bees", "bees dance"), "d2": ("tides", "the moon pulls the sea"), "d3": ("bread", "dough with yeast")}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = [{"_id": key, "title": title, "text": text, "metadata": {}} for key, (title, text) in TEXTS.items()]
    queries = [{"_id": "q1", "text": "bees dance"}, {"_id": "q2", "text": "moon sea"}, {"_id": "unjudged", "text": "x"}]
    with gzip.open(tmp_path / "corpus.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in corpus)
    (tmp_path / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (tmp_path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td2\t2\n")
    return tmp_path


def test_texts_in_beirs_layout_are_read_and_unjudged_queries_left_out(folder: Path):
    texts = load(folder)
    assert texts.documents[0] == {"id": "d1", "title": "bees", "text": "bees dance"}
    assert texts.queries == {"q1": "bees dance", "q2": "moon sea"}
    assert texts.judgements == {"q1": {"d1": 1}, "q2": {"d2": 2}}


def test_every_search_is_judged(folder: Path, tmp_path: Path):
    with running(tmp_path / "data") as server, minivec.connect(server.url) as client:
        figures = measure(client, load(folder))
    assert (figures["documents"], figures["queries"]) == (3, 2)
    assert figures["import"]["counts"] == {"inserted": 3}
    assert set(TARGETS) <= set(figures["searches"])
    for name in ("keyword", "keyword, two fields", "hybrid, alpha 0.5"):
        assert figures["searches"][name]["ndcg@10"] == 1.0
        assert figures["searches"][name]["p50_ms"] <= figures["searches"][name]["p99_ms"]
