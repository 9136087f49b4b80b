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
    "minivec.vectorizer": {
        *WORDS,
        "minivec.embedding.interface",
        "minivec.embedding.providers",
        "minivec.embedding.remote",
        "minivec.embedding.remote_address",
        "minivec.embedding.remote_ranking",
        "minivec.embedding.remote_refusal",
        "minivec.embedding.shortened",
    },
    "minivec.shard": {*WORDS, "minivec.storage", "minivec.indexes"},
    "minivec.ingest.values": WORDS,
    "minivec.ingest.check": {*WORDS, "minivec.ingest.values"},
    "minivec.definition": {*WORDS, "minivec.ingest.check", "minivec.embedding.remote_address"},
    "minivec.ingest": STORED,
    "minivec.search": {*STORED, "minivec.embedding.interface", "minivec.ingest.values", "minivec.ingest.check"},
    "minivec.jobs": {*STORED, "minivec.ingest", "minivec.progress"},
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
    "minivec_server": {*CORE, "minivec.embedding", "minivec.ingest.values", "minivec.progress"},
}

LATE_ONLY = {"torch", "transformers", "faiss", "sentence_transformers", "tokenizers", "safetensors", "openvino"}


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


def test_the_heavy_libraries_are_loaded_late(found: list[Module]) -> None:
    """Only the engine's back rooms open with one of them, or with a module that does; its front door does not."""
    heavy = {
        module.name
        for module in found
        if any(one.at_import and one.name.partition(".")[0] in LATE_ONLY for one in module.imports)
    }
    opening = edges(found, only_at_import=True)
    while more := {source for source, targets in opening.items() if targets & heavy} - heavy:
        heavy |= more
    assert [name for name in sorted(heavy) if not name.startswith("minivec.embedding.")] == []
    assert heavy.isdisjoint(
        f"minivec.embedding.{name}" for name in ("engine", "model", "interface", "remote", "catalog")
    )


def test_no_module_reads_the_environment_while_it_is_imported(found: list[Module]) -> None:
    reading = [
        f"{module.name}:{getattr(node, 'lineno', 0)}"
        for module in found
        for node in module.run_at_import()
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"))
        or (isinstance(node, ast.Name) and node.id in ("environ", "getenv"))
    ]
    assert reading == []
