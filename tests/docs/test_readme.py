"""The README is true: its Python runs and prints what it says, its commands and requests are accepted, its tables are whole."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

import minivec
from minivec.cli.arguments import make_parser
from minivec.demo.questions import QUESTIONS
from minivec.settings import Settings
from minivec.types.collection import Distance, IndexType, Tokenization, Truncation, Vectorizer
from minivec.types.object import ImportMode
from tests.docs.documents import ROOT, blocks, commands, links, rows
from tests.server.serving import running

README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server.url


def test_a_result_stands_in_its_first_ten_lines():
    head = README.splitlines()[:10]
    found = [row for row in head if row.rstrip().endswith(" 1")]
    assert [row[: len(question.text)] for row, question in zip(found, QUESTIONS, strict=True)] == [
        question.text for question in QUESTIONS
    ]


def test_every_python_block_runs_and_prints_what_it_says(url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(README, "python"):
        promised = re.findall(r"^\s*print\(.*?\)\s+# (.+)$", block, flags=re.MULTILINE)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block.replace(ADDRESS, url), "README.md", "exec"), names)
        for line in promised:
            pattern = r".*".join(re.escape(part) for part in re.split(r"\d+\.\d+ s|…", line))
            assert re.search(f"^{pattern}$", out.getvalue(), flags=re.MULTILINE), (
                f"{line!r} is not in {out.getvalue()!r}"
            )


def test_every_minivec_command_is_one():
    found = [line for block in blocks(README, "sh") for line in commands(block) if line.startswith("minivec ")]
    found += [text for text in re.findall(r"`(minivec [^`]+)`", README) if "--help" not in text]
    assert len(found) > 8
    for line in found:
        assert callable(make_parser().parse_args(shlex.split(line, comments=True)[1:]).run)


def test_every_make_target_is_one():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.findall(r"\bmake ([a-z]+)\b", "\n".join(blocks(README, "sh")) + README.splitlines()[2])
    assert found
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in found)


def test_every_curl_request_is_answered_well(url):
    found = [line for block in blocks(README, "sh") for line in commands(block) if line.startswith("curl ")]
    assert len(found) >= 6
    for line in found:
        answer = as_request(shlex.split(line), url)
        assert answer.is_success, (line, answer.text)
        assert answer.json().get("counts", {}).get("refused", 0) == 0


def as_request(words: list[str], url: str) -> httpx.Response:
    """What curl would send for -X, -H, -d and an address."""
    method, headers, body, address = "GET", {}, None, ""
    rest = iter(words[1:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = json.dumps(json.loads(next(rest)))
        else:
            address = word
    return httpx.request(method, address.replace(ADDRESS, url), headers=headers, content=body, timeout=60)


def test_every_route_of_the_table_exists(url):
    known = httpx.get(f"{url}/openapi.json").json()["paths"]
    for what, _ in rows(README, "REST"):
        methods: list[str] = []
        for part in re.findall(r"`([^`]+)`", what):
            *given, path = part.split()
            methods = given or methods or ["GET"]
            paths = known[path.replace("…", "/v1/collections/{name}")]
            assert all(method.lower() in paths for method in methods), part


def test_every_setting_is_documented_with_its_default():
    documented = {name.strip("`"): default.strip("`") for name, default, _ in rows(README, "Settings")}
    assert documented == {setting.name: str(setting.default) or "none" for setting in fields(Settings)}


def test_every_extra_is_documented():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {row[0].strip("`[]") for row in rows(README, "Install")} == {"none", *extras}


def test_every_choice_is_documented():
    table = " ".join(" ".join(row) for row in rows(README, "Embedded"))
    for choices in (Tokenization, Vectorizer, Distance, IndexType, Truncation, ImportMode):
        for choice in get_args(choices):
            assert re.search(rf"[`\" ]{re.escape(choice)}[`\" ]", table), choice


def test_every_link_leads_somewhere():
    assert links(README)
    assert [target for target in links(README) if not (ROOT / target).exists()] == []


def test_the_first_import_is_the_public_name():
    assert "import minivec" in blocks(README, "python")[0]
    assert all(hasattr(minivec, name) for name in re.findall(r"minivec\.([a-z_]+)\(", README))


def test_licences_are_there():
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")
    assert "Princeton" in Path(ROOT / "minivec/demo/WORDNET-LICENSE").read_text()
