"""The command line as a whole: exit codes, sentences instead of tracebacks, and help that teaches."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import minivec
from minivec import cli
from minivec.cli import arguments, commands, main
from minivec.errors import Busy
from minivec.settings import Settings
from tests.server.serving import running

COMMANDS = ["serve", "import", "search", "collections", "check", "demo", "version"]
ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:1"


def minivec_process(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "minivec", *words], capture_output=True, text=True, timeout=60, cwd=ROOT
    )


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_a_program_of_its_own_runs():
    ended = minivec_process("version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"minivec {minivec.__version__}\n", "")
    ended = minivec_process("collections", "--url", NOBODY)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"minivec: No server answers at {NOBODY}. Start one with `minivec serve --data DIR`, or give its url.\n"
    )


def test_the_installed_script_is_this_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"minivec": "minivec.cli:main"}
    assert project["version"] == minivec.__version__


def test_without_a_command_it_shows_help(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    assert all(f"    {command} " in out or f"    {command}\n" in out for command in COMMANDS)


def test_the_version_is_also_a_flag(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"minivec {minivec.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, capsys):
    assert help_of(command, capsys).startswith(f"usage: minivec {command}")


@pytest.mark.parametrize("about", ["_ABOUT", "_SERVE", "_IMPORT", "_SEARCH", "_CHECK"])
def test_every_example_in_the_help_can_be_parsed(about):
    lines = [
        line.strip() for line in getattr(arguments, about).splitlines() if "minivec " in line and line.startswith("  ")
    ]
    examples = [line.partition("minivec ")[2] for line in lines]
    assert examples
    for example in examples:
        words = shlex.split(re.split(r"\s{3,}| \| | &", example)[0])
        parsed = arguments.make_parser().parse_args(words)
        assert callable(parsed.run)


def test_every_setting_is_a_flag_of_serve_with_its_help(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    text = help_of("serve", capsys)
    for setting in fields(Settings):
        assert f"--{setting.name.replace('_', '-')} " in text
        assert setting.metadata["help"] in text


def test_flags_variables_and_file_make_the_settings(tmp_path, monkeypatch):
    file = tmp_path / "minivec.toml"
    file.write_text('batch_tokens = 1\nport = 1\nhost = "file"\n')
    monkeypatch.setenv("MINIVEC_PORT", "2")
    monkeypatch.setenv("MINIVEC_HOST", "variable")
    parsed = arguments.make_parser().parse_args(["serve", "--settings", str(file), "--host", "flag"])
    settings = commands._settings(parsed)
    assert (settings.batch_tokens, settings.port, settings.host) == (1, 2, "flag")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["search", "notes"],
        ["search", "notes", "x", "--limit", "0"],
        ["search", "notes", "x", "--limit", "many"],
        ["search", "notes", "x", "--mode", "psychic"],
        ["search", "notes", "x", "--mode", "keyword", "--alpha", "1"],
        ["search", "notes", "x", "--mode", "keyword", "--space", "s"],
        ["search", "notes", "x", "--url", NOBODY, "--data", "d"],
        ["import", "notes", "f", "--id-from", ","],
        ["serve", "--durability", "none"],
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_wrong(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["-", "--resume"], ["f.jsonl", "--resume", "--data", "d"]])
def test_a_journal_that_cannot_be_kept_is_wrong_usage(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("f.jsonl").write_text("{}\n")
    with minivec.open("d") as db:
        db.create_collection("notes", vector_spaces=[])
    with running(tmp_path / "server") as server:
        monkeypatch.setenv("MINIVEC_URL", server.url)
        with minivec.connect(server.url) as client:
            client.create_collection("notes", vector_spaces=[])
        with pytest.raises(SystemExit) as ended:
            main(["import", "notes", *words])
    assert ended.value.code == 2
    assert "--resume needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["collections", "--url", "nonsense"], "url: 'nonsense' is not a URL"),
        (["serve", "--port", "many"], "port: 'many' is not a int."),
        (["serve", "--port", "-1"], "port: '-1' is too small. At least 0."),
        (["serve", "--settings", "missing.toml"], "settings: The settings file missing.toml cannot be read"),
        (["check", "--data", "missing"], "missing"),
    ],
)
def test_what_fails_is_said_in_one_line(words, sentence, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("minivec: ") and sentence in err and err.count("\n") == 1


def test_a_missing_file_is_named(capsys, tmp_path):
    with running(tmp_path / "server") as server:
        assert main(["import", "notes", "missing.jsonl", "--url", server.url]) == 1
    assert capsys.readouterr().err == "minivec: missing.jsonl: No such file or directory\n"


def raising(error: BaseException):
    def run(parsed: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (KeyboardInterrupt(), 130, "interrupted; what was finished is kept."),
        (Busy("The queue is full.", hint="Wait."), 1, "The queue is full. Wait."),
        (
            ModuleNotFoundError("No module named 'numpy'", name="numpy"),
            1,
            "package 'numpy': pip install 'minivec[all]'",
        ),
        (OSError(28, "No space left on device", "data/x"), 1, "data/x: No space left on device"),
        (OSError("strange"), 1, "strange"),
        (RuntimeError("oops"), 1, "unexpected RuntimeError: oops. This is a bug"),
        (Busy("\x1b[31mred\nline"), 1, "\ufffd[31mred line"),
    ],
)
def test_every_error_becomes_a_sentence_and_a_code(error, code, sentence, capsys, monkeypatch):
    monkeypatch.setattr(commands, "version", raising(error))
    assert main(["version"]) == code
    err = capsys.readouterr().err
    assert sentence in err and "Traceback" not in err and err.count("\n") == 1


def test_a_bug_can_be_looked_at(monkeypatch):
    monkeypatch.setattr(commands, "version", raising(RuntimeError("oops")))
    monkeypatch.setenv("MINIVEC_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(["version"])


def test_demo_runs_the_demonstration(monkeypatch):
    import minivec.demo

    monkeypatch.setattr(minivec.demo, "run", lambda: 3, raising=False)
    assert main(["demo"]) == 3


def test_serve_hands_on_the_settings(monkeypatch):
    import minivec_server.serve

    seen: list[Settings] = []
    monkeypatch.setattr(minivec_server.serve, "run", lambda settings: seen.append(settings) or 0)
    assert main(["serve", "--data", "there", "--port", "0"]) == 0
    assert (seen[0].data, seen[0].port) == ("there", 0)


def test_a_reader_that_goes_away_is_no_error_to_tell(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "minivec", "serve", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()


def test_ctrl_c_ends_a_command_with_130(tmp_path):
    """Stdin stays open and silent, so the import waits for a line until the signal comes."""
    with running(tmp_path / "server") as server:
        with minivec.connect(server.url) as client:
            client.create_collection("notes", vector_spaces=[])
        process = subprocess.Popen(
            [sys.executable, "-m", "minivec", "import", "notes", "-", "--url", server.url, "--batch-size", "1"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
        )
        with process, minivec.connect(server.url) as client:
            process.stdin.write(b'{"a": "1"}\n{"a": "2"}\n')
            process.stdin.flush()
            while client.collection("notes").count() < 2:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (cli.INTERRUPTED, b"")
    assert err == b"minivec: interrupted; what was finished is kept.\n"


def test_importing_the_command_line_is_light():
    heavy = "torch faiss sqlalchemy numpy httpx asyncio transformers"
    code = f"import sys, minivec.cli; print([name for name in '{heavy}'.split() if name in sys.modules])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.stdout == "[]\n"
