"""A test collection in BEIR's layout: documents, queries, and which documents are relevant to which query."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class JudgedTexts:
    """`documents`: id, title and text of each; `queries`: text by id; `judgements`: relevance by query and document."""

    documents: tuple[dict[str, str], ...]
    queries: dict[str, str]
    judgements: dict[str, dict[str, int]]


def load(folder: Path) -> JudgedTexts:
    """Read `corpus.jsonl.gz`, `queries.jsonl` and `qrels.tsv`; only judged queries are kept."""
    with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
        documents = tuple(_document(json.loads(line)) for line in lines)
    judgements: dict[str, dict[str, int]] = {}
    with (folder / "qrels.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            judgements.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    with (folder / "queries.jsonl").open(encoding="utf-8") as lines:
        queries = {query["_id"]: query["text"] for query in map(json.loads, lines) if query["_id"] in judgements}
    return JudgedTexts(documents, queries, judgements)


def _document(raw: dict[str, Any]) -> dict[str, str]:
    return {"id": raw["_id"], "title": raw["title"], "text": raw["text"]}
