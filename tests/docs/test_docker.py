"""The Dockerfiles fit the repository: extras, copied paths, settings and the health route exist; the process is not root."""

from __future__ import annotations

import re
import shlex
import tomllib
from dataclasses import fields

import httpx
import pytest

from minivec.settings import PREFIX, Settings
from tests.docs.documents import ROOT
from tests.server.serving import running

FILES = ["docker/Dockerfile", "docker/Dockerfile.cuda"]


def instructions(file: str) -> list[tuple[str, str]]:
    """Each instruction with its arguments, continued lines joined."""
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def all_of(file: str, name: str) -> list[str]:
    return [rest for found, rest in instructions(file) if found == name]


@pytest.mark.parametrize("file", FILES)
def test_the_extras_it_installs_exist(file):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = [
        name
        for rest in all_of(file, "RUN")
        for group in re.findall(r"\.\[([a-z,]+)\]", rest)
        for name in group.split(",")
    ]
    assert asked
    assert set(asked) <= set(extras)


@pytest.mark.parametrize("file", FILES)
def test_what_it_copies_is_there_and_not_ignored(file):
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [word for rest in all_of(file, "COPY") if not rest.startswith("--from") for word in shlex.split(rest)[:-1]]
    assert {"minivec", "server", "pyproject.toml"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists() or path in ignored] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["readme"] in copied
    assert all(path in copied or path.split("/")[0] in copied for path in project["license-files"])


@pytest.mark.parametrize("file", FILES)
def test_the_settings_it_makes_exist(file):
    names = {name for rest in all_of(file, "ENV") for name in re.findall(rf"\b{PREFIX}([A-Z_]+)=", rest)}
    assert {"DATA", "HOST", "PORT"} <= names
    assert {name.lower() for name in names} <= {setting.name for setting in fields(Settings)}


@pytest.mark.parametrize("file", FILES)
def test_the_process_is_not_root_and_keeps_its_data_in_the_volume(file):
    order = [name for name, _ in instructions(file)]
    assert all_of(file, "USER") == ["minivec"]
    assert order.index("USER") < order.index("CMD")
    assert all_of(file, "VOLUME") == ["/data"]
    assert "MINIVEC_DATA=/data" in " ".join(all_of(file, "ENV"))


@pytest.mark.parametrize("file", FILES)
def test_its_health_check_asks_a_running_server(file, tmp_path, monkeypatch):
    """The command of the check, run as it stands, against a server that is there and one that is not."""
    (check,) = all_of(file, "HEALTHCHECK")
    program, flag, code = eval(check.partition("CMD ")[2])  # the JSON form of CMD is a Python list, too
    assert (program, flag) == ("python", "-c")
    with running(tmp_path) as server:
        monkeypatch.setenv("MINIVEC_PORT", str(server.port))
        exec(code)
    with pytest.raises(httpx.TransportError):
        exec(code)


def test_both_files_install_the_same():
    assert all_of(FILES[0], "RUN") == all_of(FILES[1], "RUN")


def test_the_dockerfiles_of_compose_exist():
    text = (ROOT / "docker/compose.yaml").read_text()
    assert sorted(re.findall(r"dockerfile: (\S+)", text)) == FILES
    assert "127.0.0.1:8080:8080" in text
