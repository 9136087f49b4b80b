"""Weights: shards are one model, every damage is named, and nothing is taken that the model would ignore."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from minivec.embedding.networks import refuse_unknown
from minivec.embedding.weights import (
    check_shapes,
    fill,
    hash_weights,
    logged_progress,
    read_tensors,
    stored_tensors,
    weight_files,
)
from minivec.errors import ModelNotFound, WeightsMismatch
from tests.embedding.tiny_checkpoints import write_json

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.bfloat16), "c": torch.zeros(1)}


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    save_file({"a": TENSORS["a"]}, tmp_path / "one.safetensors")
    save_file({"b": TENSORS["b"], "c": TENSORS["c"]}, tmp_path / "two.safetensors")
    weight_map = {"a": "one.safetensors", "b": "two.safetensors", "c": "two.safetensors"}
    write_json(tmp_path / "model.safetensors.index.json", {"weight_map": weight_map})
    return tmp_path


def test_tensors_are_known_from_the_headers_alone(sharded: Path) -> None:
    stored = stored_tensors(weight_files(sharded))
    assert {name: tensor.shape for name, tensor in stored.items()} == {"a": (2, 3), "b": (4,), "c": (1,)}
    assert {name: tensor.bytes for name, tensor in stored.items()} == {"a": 24, "b": 8, "c": 4}


def test_shards_fill_their_slots_in_the_slots_dtype_and_report(sharded: Path) -> None:
    stored = stored_tensors(weight_files(sharded))
    together = torch.empty(3, 3, dtype=torch.float64)
    slots = {"a": together[:2], "b": torch.empty(4)}
    heard: list[tuple[int, int]] = []
    fill(slots, stored, lambda done, total: heard.append((done, total)))
    assert torch.equal(together[:2], TENSORS["a"].double())
    assert torch.equal(slots["b"], torch.ones(4))
    assert heard == [(24, 32), (32, 32)]


def test_one_file_and_shards_are_read_alike(sharded: Path, tmp_path: Path) -> None:
    single = tmp_path / "single"
    single.mkdir()
    save_file(TENSORS, single / "model.safetensors")
    for folder in (single, sharded):
        stored = stored_tensors(weight_files(folder))
        for name, tensor in read_tensors(stored, list(TENSORS)):
            assert torch.equal(tensor, TENSORS[name])


def test_a_lacking_tensor_and_a_wrong_shape_are_named(sharded: Path) -> None:
    stored = stored_tensors(weight_files(sharded))
    with pytest.raises(WeightsMismatch, match="lack the tensor missing"):
        check_shapes({"missing": (1,)}, stored)
    with pytest.raises(WeightsMismatch, match=r"a has shape \[2, 3\], not \[3, 2\]"):
        check_shapes({"a": (3, 2)}, stored)


def test_a_tensor_the_model_would_ignore_is_refused(sharded: Path) -> None:
    stored = stored_tensors(weight_files(sharded))
    refuse_unknown(stored, {"a", "b", "c"})
    with pytest.raises(WeightsMismatch, match="the tensor b"):
        refuse_unknown(stored, {"a", "c"})


@pytest.mark.parametrize("content", [b"", b"12345678", b"\x02\0\0\0\0\0\0\0{}x", b"\xff" * 64, b"\x01\0\0\0\0\0\0\0["])
def test_a_damaged_header_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(WeightsMismatch, match=r"model\.safetensors cannot be loaded"):
        stored_tensors(weight_files(tmp_path))


def test_a_file_cut_off_is_named(sharded: Path) -> None:
    shard = sharded / "two.safetensors"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(WeightsMismatch, match=r"two\.safetensors"):
        stored_tensors(weight_files(sharded))


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "two.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"two\.safetensors"):
        weight_files(sharded)


def test_the_hubs_cache_names_its_blobs_by_their_hash(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "main"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_file(TENSORS, tmp_path / "model.safetensors")
    content = (tmp_path / "model.safetensors").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    (blobs / sha256).write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(blobs / sha256)
    assert hash_weights(snapshot) == hash_weights(tmp_path) == sha256


def test_progress_is_logged_for_large_models_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    small, large = logged_progress("small"), logged_progress("large")
    for done in range(101):
        small(done, 100)
        large(done * 10**8, 10**10)
    assert len(caplog.records) == 10
    assert "Loading large: 10.0 of 10.0 GB." in caplog.messages
