"""The demo as a whole, over a real server with the bundled model and a few of the entries: what it prints, how it ends."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from minivec.cli.arguments import make_parser
from minivec.demo import entries, run
from minivec.demo.questions import EXPLAINED, QUESTIONS
from minivec.demo.report import WIDTH

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def printed() -> str:
    answers = {question.answer for question in QUESTIONS}
    found = list(entries())
    words = [entry for entry in found if entry["word"] in answers] + found[:100]
    out = io.StringIO()
    assert run(out, words=words) == 0
    return out.getvalue()


def test_hybrid_search_finds_every_expected_word_first(printed: str):
    table = printed.partition("which word means")[2].splitlines()
    for question, line in zip(QUESTIONS, table[1:], strict=False):
        assert line.startswith(question.text)
        assert line.split()[-1] == "1", line
    assert table[len(QUESTIONS) + 1].endswith("6 of 6")


def test_it_says_how_many_were_imported_without_a_terminal(printed: str):
    assert re.search(r"106 of 106 objects imported\n", printed)
    assert "Imported 106 objects" in printed
    assert "\r" not in printed


def test_it_takes_one_score_apart(printed: str):
    text = printed.partition("Why is ")[2].partition("Go on")[0]
    assert EXPLAINED.answer in text
    contributions = [float(number) for number in re.findall(r"= (\d\.\d{4})$", text, flags=re.MULTILINE)]
    (score,) = [float(number) for number in re.findall(r"^ +score (\d\.\d{4})$", text, flags=re.MULTILINE)]
    assert len(contributions) == 2
    assert sum(contributions) == pytest.approx(score, abs=2e-4)


def test_the_commands_it_ends_with_are_commands(printed: str):
    steps = [
        line.strip() for line in printed.partition("Go on:")[2].splitlines() if line.strip().startswith("minivec ")
    ]
    assert len(steps) == 4
    for step in steps:
        words = re.split(r"\s{2,}| &", step)[0]
        assert callable(make_parser().parse_args(shlex.split(words)[1:]).run)


def test_the_server_is_gone_and_no_line_is_too_wide(printed: str):
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+(?= ?,)", printed)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    file = "wordnet.jsonl.gz"  # its folder may be anywhere
    assert [line for line in printed.splitlines() if len(line) > WIDTH and file not in line] == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_takes_the_server_along(number: signal.Signals, code: int, tmp_path: Path):
    process = subprocess.Popen(
        [sys.executable, "-m", "minivec", "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "http://" in line)
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == code
    assert list(tmp_path.glob("minivec-*")) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(re.findall(r"http://127\.0\.0\.1:\d+", line)[0])
