"""The demo's entries: a few thousand words of WordNet 3.0 with their meanings (licence: `WORDNET-LICENSE` in this folder)."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from importlib.resources import files

FILE = "wordnet.jsonl.gz"


def entries() -> Iterator[dict[str, str]]:
    """Every entry: its `word`, `synonyms`, `kind` (noun, verb, ...) and `meaning`."""
    packed = files("minivec.demo").joinpath(FILE).read_bytes()
    for line in gzip.decompress(packed).splitlines():
        yield json.loads(line)
