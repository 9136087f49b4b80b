"""`minivec serve --only engine`: a complete stand-in for NVIDIA's NIM as a process of its own, without a database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest

from minivec.embedding.engine import Engine
from tests.embedding.tiny_checkpoints import write_old_layout
from tests.server.serving import ROOT

BUNDLED = "all-MiniLM-L6-v2"


def command(folder: Path, *arguments: str) -> tuple[Sequence[str], dict[str, str]]:
    """How to start it in this folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MINIVEC_", "NIM_"))}
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'server'}"}
    program = "import sys; from minivec.cli import main; sys.exit(main())"
    return [sys.executable, "-c", program, "serve", "--only", "engine", "--port", "0", *arguments], {**kept, **paths}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A server of the bundled model and of a folder, started by the command line."""
    tiny = write_old_layout(folder / "tiny")
    models = f"{BUNDLED}, {tiny}"
    begin, environment = command(
        folder, "--model", models, "--dtype", "float32", "--device", "cpu", "--log-level", "error"
    )
    process = subprocess.Popen(begin, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"(http://\S+) \(engine only, .*float32 on cpu\)", line)
        assert found, f"the server did not start: {line!r}"
        yield found[1]
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
        process.stdout.close()


def test_its_models_are_those_named_the_first_by_default(url: str) -> None:
    listed = httpx.get(f"{url}/v1/models").json()["data"]
    assert [model["id"] for model in listed] == [BUNDLED, "tiny"]
    assert httpx.get(f"{url}/v1/health/ready").json()["message"] == "Service is ready."


def test_its_vectors_are_the_engines(url: str) -> None:
    asked = {"model": BUNDLED, "input": ["an insect", "a bird"], "input_type": "query"}
    answer = httpx.post(f"{url}/v1/embeddings", json=asked, timeout=60).json()
    engine = Engine()
    expected = engine.embedder(BUNDLED).embed(asked["input"], input_type="query").vectors  # type: ignore[arg-type]
    engine.close()
    np.testing.assert_allclose([item["embedding"] for item in answer["data"]], expected, atol=1e-5)


def test_there_is_no_database(url: str, folder: Path) -> None:
    assert httpx.get(f"{url}/v1/collections").status_code == 404
    assert sorted(file.name for file in folder.iterdir()) == ["tiny"]


def test_a_model_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    begin, environment = command(tmp_path, "--model", "no-such-model", "--log-level", "error")
    ended = subprocess.run(
        begin, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode != 0
    assert "no-such-model" in ended.stderr
    assert "Traceback" not in ended.stderr
