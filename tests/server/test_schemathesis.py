"""schemathesis, with all its checks, against the real server: it knows HTTP and JSON Schema, and nothing of our code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.serving import ROOT, running

CONFIG = Path(__file__).with_name("schemathesis.toml")


def judge(folder: Path, examples: int, *options: str) -> None:
    with running(folder, durability="relaxed", log_level="error") as server:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
                *("run", f"{server.url}/openapi.json", "--checks", "all", "--continue-on-failure", "--no-color"),
                *("--max-examples", str(examples), *options),
            ],
            cwd=folder,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "tests.server.schemathesis_checks", "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2_000:]
        assert re.search(r"(\d+) generated, \1 passed", ended.stdout), ended.stdout[-2_000:]
        assert server.stop() == 0


def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    judge(tmp_path, 2, "--phases", "examples,fuzzing", "--seed", "1")


@pytest.mark.judge
def test_a_full_run_finds_nothing(tmp_path: Path) -> None:
    judge(tmp_path, 100)
