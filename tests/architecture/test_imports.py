"""Imports run one way. Each part of the tree names the parts below that it may know; a part not named here fails."""

from __future__ import annotations

import ast

import pytest

from tests.architecture.source import Module, edges, find_cycle, modules

WORDS = {"minivec.types", "minivec.errors"}
STORED = {*WORDS, "minivec.storage", "minivec.indexes", "minivec.shard", "minivec.vectorizer"}
CORE = {*WORDS, "minivec.settings", "minivec.database", "minivec.collection"}

# The part that imports, and what it may import besides itself. The longest name that fits a module is its part.
MAY_IMPORT: dict[str, set[str]] = {
    "minivec.errors": set(),
    "minivec.types": set(),
    "minivec.progress": set(),
    "minivec.settings": {"minivec.errors"},
    "minivec.indexes": WORDS,
    "minivec.embedding": {"minivec.errors"},
    "minivec.storage": {*WORDS, "minivec.indexes.feed", "minivec.indexes.vector"},
    "minivec.client": {*WORDS, "minivec.progress"},
    "minivec.vectorizer": {*WORDS, "minivec.embedding.interface"},
    "minivec.shard": {*WORDS, "minivec.storage", "minivec.indexes"},
    "minivec.ingest.values": WORDS,
    "minivec.ingest.check": {*WORDS, "minivec.ingest.values"},
    "minivec.definition": {*WORDS, "minivec.ingest.check"},
    "minivec.ingest": STORED,
    "minivec.search": {*STORED, "minivec.ingest.values", "minivec.ingest.check"},
    "minivec.jobs": {*STORED, "minivec.ingest"},
    "minivec.collection": {
        *STORED,
        "minivec.definition",
        "minivec.ingest",
        "minivec.search",
        "minivec.jobs",
        "minivec.progress",
    },
    "minivec.database": {*STORED, "minivec.collection", "minivec.definition", "minivec.embedding", "minivec.settings"},
    "minivec.demo": {*WORDS, "minivec.client", "minivec.progress", "minivec.settings"},
    "minivec.cli": {*CORE, "minivec.client", "minivec.demo", "minivec.jobs", "minivec.progress", "minivec_server"},
    "minivec": {*CORE, "minivec.client"},
    "minivec.__main__": {"minivec.cli"},
    "minivec_server": {*CORE, "minivec.embedding", "minivec.ingest.values"},
}

LATE_ONLY = {"torch", "transformers", "faiss", "sentence_transformers", "tokenizers", "safetensors"}


@pytest.fixture(scope="module")
def found() -> list[Module]:
    return modules()


def part_of(name: str) -> str:
    while name and name not in MAY_IMPORT:
        name = name.rpartition(".")[0]
    return name


def is_under(name: str, parts: set[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def test_every_module_has_a_place_in_the_order(found: list[Module]) -> None:
    unplaced = [module.name for module in found if part_of(module.name) in ("", "minivec") and module.name != "minivec"]
    assert unplaced == []


def test_imports_run_downwards_only(found: list[Module]) -> None:
    upwards = []
    for source, targets in edges(found, only_at_import=False).items():
        part = part_of(source)
        for target in sorted(targets - {"minivec"}):
            if not is_under(target, {*MAY_IMPORT[part], part}):
                upwards.append(f"{source} imports {target}")
    assert upwards == []


def test_the_order_itself_has_no_cycle() -> None:
    graph = {part: {part_of(target) for target in targets} - {part} for part, targets in MAY_IMPORT.items()}
    assert find_cycle(graph) == []


def test_no_module_is_part_of_an_import_cycle(found: list[Module]) -> None:
    assert find_cycle(edges(found, only_at_import=True)) == []


def test_a_cycle_would_be_found() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


def test_only_the_heavy_libraries_are_imported_late_and_those_always(found: list[Module]) -> None:
    early = [
        f"{module.name} imports {one.name}"
        for module in found
        for one in module.imports
        if one.at_import and one.name.partition(".")[0] in LATE_ONLY
    ]
    assert [line for line in early if not line.startswith("minivec.embedding.torch_backend ")] == []


def test_no_module_reads_the_environment_while_it_is_imported(found: list[Module]) -> None:
    reading = [
        f"{module.name}:{getattr(node, 'lineno', 0)}"
        for module in found
        for node in module.run_at_import()
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.Name) and node.id in ("environ", "getenv"))
    ]
    assert reading == []
