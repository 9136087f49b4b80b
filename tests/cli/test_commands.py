"""Every command against a real server process and against a folder: what is printed, and the exit code."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import minivec
from minivec.cli import main
from minivec.embedding.engine import Engine
from tests.server.serving import running

Run = Callable[..., tuple[int, str, str]]

GOOD = [{"title": "bees dance to talk", "year": 2001}, {"title": "ships sail the sea", "year": 2002}]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server.url


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process: exit code, stdout, stderr."""
    monkeypatch.delenv("MINIVEC_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def fake_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embedded databases opened by a command make vectors without a model."""
    real = minivec.open
    monkeypatch.setattr(minivec, "open", lambda path, **more: real(path, embedders=Engine.fake(8), **more))


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_an_import_makes_the_collection_when_asked(run, url, tmp_path):
    file = write(tmp_path / "a.jsonl", *GOOD)
    code, _, err = run("import", "made", file, "--url", url)
    assert (code, err) == (1, "minivec: There is no collection 'made'. Add --create to make it.\n")
    for _ in range(2):
        code, out, _ = run("import", "made", file, "--url", url, "--create")
        assert code == 0 and "2 inserted" in out


def test_the_same_entry_gets_the_same_uuid_on_request(run, url, tmp_path):
    file = write(tmp_path / "a.jsonl", *GOOD)
    run("import", "same", file, "--url", url, "--create", "--id-from", "title, year")
    code, out, _ = run("import", "same", file, "--url", url, "--id-from", "title,year")
    assert code == 0 and "2 unchanged" in out
    code, out, _ = run("import", "same", file, "--url", url, "--id-from", "title,year", "--mode", "insert")
    assert code == 1 and "2 x object_exists" in out


def test_bad_lines_cost_only_themselves_and_are_named_by_number(run, url, tmp_path):
    file = write(tmp_path / "a.jsonl", GOOD[0], "", "not json", {"year": "nineteen"}, GOOD[1])
    code, out, _ = run("import", "bad_lines", file, "--url", url, "--create")
    assert code == 1
    assert "2 inserted, 2 refused" in out
    assert "(line 3)" in out and "(line 4)" in out and "properties.year" in out


def test_stdin_is_imported(run, url, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(GOOD[0]).encode())))
    code, out, _ = run("import", "stdin", "-", "--url", url, "--create")
    assert code == 0 and "1 inserted" in out


def test_an_import_resumes_with_its_journal(run, url, tmp_path):
    file = write(tmp_path / "a.jsonl", *GOOD)
    for _ in range(2):
        code, out, _ = run("import", "resumed", file, "--url", url, "--create", "--resume")
        assert code == 0 and "2 inserted" in out
    assert (tmp_path / "a.jsonl.journal").exists()
    write(file, *reversed(GOOD))
    code, _, err = run("import", "resumed", file, "--url", url, "--resume")
    assert code == 1 and "are not those the journal has finished" in err
    code, _, _ = run("import", "resumed", file, "--url", url, "--resume", tmp_path / "other.journal", "--batch-size", 1)
    assert code == 0 and (tmp_path / "other.journal").exists()


@pytest.mark.parametrize("mode", ["hybrid", "near-text", "keyword"])
def test_a_search_prints_a_table(run, url, tmp_path, mode):
    run("import", "found", write(tmp_path / "a.jsonl", *GOOD), "--url", url, "--create", "--id-from", "title")
    code, out, _ = run(
        "search", "found", "bees talk", "--mode", mode, "--limit", 1, "--properties", "title", "--url", url
    )
    assert code == 0
    assert out.startswith(f"1 hit by {mode} in ")
    assert "title: bees dance to talk" in out and "year" not in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_search_explains_itself(run, url, tmp_path):
    run("import", "explained", write(tmp_path / "a.jsonl", *GOOD), "--url", url, "--create")
    code, out, _ = run("search", "explained", "bees", "--alpha", 0.3, "--explain", "--url", url)
    assert code == 0
    assert "formula:" in out and "x weight 0.7" in out and "'bees' in title" in out


def test_a_search_prints_json(run, url, tmp_path):
    run("import", "as_json", write(tmp_path / "a.jsonl", {"title": "蜂蜜"}), "--url", url, "--create")
    code, out, _ = run("search", "as_json", "蜂蜜", "--json", "--url", url)
    assert code == 0 and "蜂蜜" in out
    assert json.loads(out)["hits"][0]["properties"] == {"title": "蜂蜜"}


def test_a_search_is_reranked(run, url, tmp_path):
    run("import", "reranked", write(tmp_path / "a.jsonl", *GOOD), "--url", url, "--create")
    asked = ("search", "reranked", "the sea", "--url", url)
    wish = ("--rerank", "words", "--rerank-depth", 20, "--rerank-properties", "title", "--rerank-at", "local")
    code, out, _ = run(*asked, *wish, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["plan"]["rerank"]["properties"] == ["title"]
    assert answer["hits"][0]["parts"][0]["raw"] == 2.0
    code, out, _ = run(*asked, *wish, "--explain")
    assert code == 0 and "rerank by words: 2 candidates, reading title" in out and "before: place" in out
    code, _, err = run(*asked, "--rerank-depth", 5)
    assert code == 2 and "belong to --rerank MODEL" in err
    code, _, err = run(*asked, "--rerank", "words", "--rerank-depth", 5)
    assert code == 1 and "only 5 candidates" in err


def test_collections_are_listed(run, url, tmp_path):
    run("import", "listed", write(tmp_path / "a.jsonl", *GOOD), "--url", url, "--create")
    code, out, _ = run("collections", "--url", url)
    assert code == 0
    assert out.splitlines()[0].split() == ["collection", "objects", "vector", "spaces", "properties", "indexes"]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("listed ")] == ["2"]
    code, out, _ = run("collections", "--url", url, "--json")
    assert "listed" in [info["config"]["name"] for info in json.loads(out)]


def test_the_address_may_come_from_the_environment(run, url, monkeypatch):
    monkeypatch.setenv("MINIVEC_URL", url)
    assert run("collections")[0] == 0


def test_a_folder_is_used_without_a_server(run, tmp_path, fake_models):
    data, file = tmp_path / "data", write(tmp_path / "a.jsonl", *GOOD)
    assert run("collections", "--data", data)[1].startswith("There is no collection yet.")
    code, out, _ = run("import", "embedded", file, "--data", data, "--create")
    assert code == 0 and "2 inserted" in out
    assert "bees dance" in run("search", "embedded", "bees", "--data", data)[1]
    code, out, _ = run("check", "--data", data)
    assert (code, out) == (0, f"{data}: 1 collections, 2 objects: sound\n")


def test_the_folder_may_come_from_a_settings_file(run, tmp_path, fake_models):
    settings = tmp_path / "minivec.toml"
    settings.write_text(f'data = "{tmp_path / "data"}"\n')
    with minivec.open(tmp_path / "data") as db:
        db.create_collection("notes", vector_spaces=[])
    assert "1 collections" in run("check", "--settings", settings)[1]


def test_check_ends_with_1_and_names_what_is_damaged(run, tmp_path, fake_models):
    data = tmp_path / "data"
    with minivec.open(data) as db:
        db.create_collection("notes", vector_spaces=[]).insert({"title": "a very particular text"})
    for file in data.glob("collections/*/*"):
        content = file.read_bytes()
        file.write_bytes(content.replace(b"a very particular text", b"a very particular test"))
    code, out, _ = run("check", "--data", data)
    assert code == 1
    assert "notes: " in out and "damaged" in out


def test_a_space_is_made_anew_and_brought_back(run, url, tmp_path):
    run("import", "reembedded", write(tmp_path / "a.jsonl", *GOOD), "--create", "--url", url)
    code, out, err = run("reembed", "reembedded", "--model", "another", "--url", url)
    assert (code, err) == (0, "")
    assert "default: 2 vectors made in" in out
    assert "the old ones are kept as default_before" in out
    assert run("reembed", "reembedded", "--model", "another", "--url", url)[0] == 1
    code, out, _ = run("reembed", "reembedded", "--space", "default", "--back", "--url", url)
    assert (code, "0 vectors made" in out) == (0, True)
    code, _, err = run("reembed", "reembedded", "--back", "--model", "x", "--url", url)
    assert (code, "--back brings back" in err) == (2, True)


def test_a_folder_can_be_reembedded_without_a_server(run, fake_models, tmp_path):
    run("import", "notes", write(tmp_path / "a.jsonl", *GOOD), "--create", "--data", tmp_path / "data")
    code, out, _ = run("reembed", "notes", "--model", "another", "--data", tmp_path / "data")
    assert (code, "2 vectors made" in out) == (0, True)
