"""A real server process with the bundled model, and beside it a tiny one that tells queries from passages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from minivec.types.collection import BUNDLED_MODEL
from tests.embedding.tiny_checkpoints import write_old_layout
from tests.embedding.tiny_rerankers import write_cross_encoder

TWO_SIDED = "tiny-two-sided"
RERANKER = "tiny/reranker"
DOCUMENTS = ["Bees dance to tell each other where flowers are.", "Ships sail the seven seas.", "Ünïcödé 日本 🐝"]
SHORT = "bees"
"""A text for the tiny model, which reads letters and few of them."""


@dataclass(frozen=True)
class Server:
    """Where the server is; `embed` asks it as plainly as can be."""

    url: str
    model: str = BUNDLED_MODEL
    two_sided: str = TWO_SIDED
    reranker: str = RERANKER

    def embed(self, texts: list[str], model: str = BUNDLED_MODEL, **members: str) -> list[list[float]]:
        """The vectors of the texts; `members` are those of the request besides."""
        answer = httpx.post(f"{self.url}/v1/embeddings", json={"model": model, "input": texts, **members}, timeout=60)
        assert answer.status_code == 200, answer.text
        return [item["embedding"] for item in answer.json()["data"]]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server over an empty folder, on a free port."""
    folder = tmp_path_factory.mktemp("contract")
    models = folder / "models"
    write_old_layout(models / TWO_SIDED, prompts={"query": "ask: ", "passage": "say: "})
    write_cross_encoder(models / RERANKER)
    variables = {"DATA": str(folder / "data"), "PORT": "0", "MODELS": str(models), "LOG_LEVEL": "warning"}
    process = subprocess.Popen(
        [sys.executable, "-m", "minivec_server"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **{f"MINIVEC_{name}": value for name, value in variables.items()}},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://\S+:\d+", line)
        assert found, f"the server did not start: {line!r}"
        yield Server(found[0])
    finally:
        process.terminate()
        process.wait(timeout=60)
        process.stdout.close()
