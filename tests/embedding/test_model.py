"""Loading: names and folders, verified weights, and no network."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path

import pytest

from minivec.embedding import catalog
from minivec.embedding.catalog import CATALOG
from minivec.embedding.engine import Engine
from minivec.embedding.model import load_model, model_key, open_checkpoint
from minivec.embedding.options import EngineOptions
from minivec.errors import ModelNotFound, WeightsMismatch

MINILM = CATALOG[0]


@pytest.fixture
def copied(bundled_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled model's files in a folder of their own, which the catalog now points at."""
    copy = tmp_path / "copy"
    shutil.copytree(bundled_folder, copy)
    monkeypatch.setattr(catalog, "folder_of", lambda spec, models: copy)
    return copy


def test_one_flipped_bit_in_the_weights_is_refused(copied: Path) -> None:
    assert open_checkpoint(MINILM.name).spec == MINILM
    with (copied / "model.safetensors").open("r+b") as weights:
        weights.seek(40_000_000)
        byte = weights.read(1)[0]
        weights.seek(40_000_000)
        weights.write(bytes([byte ^ 1]))
    with pytest.raises(WeightsMismatch, match=MINILM.weights_sha256):
        load_model(MINILM.name, EngineOptions())


def test_weights_that_went_away_are_named(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"model\.safetensors"):
        load_model(MINILM.name, EngineOptions())


def test_a_folder_of_the_same_files_has_the_same_fingerprint(bundled_folder: Path) -> None:
    card = open_checkpoint(str(bundled_folder)).spec.card
    assert card.fingerprint == MINILM.fingerprint
    assert card.name == str(bundled_folder)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="all-MiniLM-L6-v2"):
        load_model(str(tmp_path / "nowhere"), EngineOptions())


def test_loading_and_embedding_touch_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model(MINILM.name, EngineOptions())


def test_one_key_for_every_way_to_write_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_key("model") == model_key(str(tmp_path / "x" / ".." / "model"))
    assert model_key(MINILM.name) == MINILM.name


def test_a_model_in_the_folder_of_models_goes_by_its_name(tmp_path: Path, bundled_folder: Path) -> None:
    (tmp_path / "ours").symlink_to(bundled_folder)
    engine = Engine(EngineOptions(device="cpu", models=tmp_path))
    assert engine.embedder("ours").card.fingerprint == engine.embedder("all-MiniLM-L6-v2").card.fingerprint
    assert engine.embedder("ours") is engine.embedder(str(bundled_folder))
    with pytest.raises(ModelNotFound):
        engine.embedder("theirs")
    engine.close()
