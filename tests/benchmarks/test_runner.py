"""The runner of the benchmarks: it finds what can be run, says what it is, and tells when one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as runner


def test_it_finds_modules_that_can_be_run_with_their_promise(tmp_path: Path):
    (tmp_path / "speed.py").write_text('"""How fast it is.\n\nMore.\n"""\n\ndef main() -> None: ...\n')
    (tmp_path / "record.py").write_text('"""Not one."""\n\ndef record() -> None: ...\n')
    (tmp_path / "__main__.py").write_text("def main() -> None: ...\n")
    assert runner.benchmarks(tmp_path) == {"speed": "How fast it is."}


def test_every_benchmark_says_what_it_measures(capsys: pytest.CaptureFixture[str]):
    found = runner.benchmarks()
    assert "retrieval_quality" in found
    assert all(found.values())
    assert runner.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(found)


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]):
    assert runner.main(["nonsense"]) == 2
    assert "Known: " in capsys.readouterr().err


def test_one_that_fails_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(runner, "_run", lambda name, arguments: int(name == "retrieval_quality"))
    assert runner.main([]) == 1
    assert capsys.readouterr().out.endswith("failed: retrieval_quality\n")
    assert runner.main(["retrieval_quality", "--data", "x"]) == 1


def test_arguments_reach_the_benchmark(capfd: pytest.CaptureFixture[str]):
    assert runner.main(["retrieval_quality", "--help"]) == 0
    assert "folder in BEIR's layout" in capfd.readouterr().out
