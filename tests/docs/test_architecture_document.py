"""ARCHITECTURE.md is a true map: what it names exists, and what exists is named."""

from __future__ import annotations

import re

import pytest

from minivec import errors
from tests.docs.documents import ROOT, links

DOCUMENT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
MAP = DOCUMENT.partition("\n## The map\n")[2].partition("\n## ")[0]


def named_in_map() -> set[str]:
    """The paths the map names: an indented line under a folder names files in it; several may share a line."""
    found: set[str] = set()
    folder = ""
    for line in MAP.splitlines():
        heading = re.match(r"^### `(.+)/`", line)
        if heading:
            folder = heading[1]
        row = re.match(r"^\| (.+?) \|", line)
        if row and folder:
            found |= {f"{folder}/{name}" for name in re.findall(r"`([^`]+)`", row[1])}
    return found


def test_the_map_names_only_what_exists():
    found = named_in_map()
    assert len(found) > 50
    assert sorted(path for path in found if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("package", ["minivec", "server/minivec_server"])
def test_the_map_names_every_module(package):
    modules = {
        str(path.relative_to(ROOT))
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py" or path.parent == ROOT / package
    }
    assert sorted(modules - named_in_map()) == []


def test_every_folder_it_names_exists():
    folders = re.findall(r"`([a-z_/]+/)`", DOCUMENT)
    places = [ROOT, ROOT / "minivec", ROOT / "server/minivec_server"]
    assert sorted({name for name in folders if not any((place / name).is_dir() for place in places)}) == []


def test_every_link_leads_somewhere():
    assert [target for target in links(DOCUMENT) if not (ROOT / target).exists()] == []


def test_every_error_it_names_exists():
    table = DOCUMENT.partition("\n## What fails, and what then\n")[2].partition("\n## ")[0]
    names = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
    assert names
    assert sorted(name for name in names if not hasattr(errors, name)) == []
