"""The choice behind `dtype` "auto", with every machine and model injected."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from minivec.embedding import cpu
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.cpu import Machine, open_quickest, why_not_openvino
from minivec.embedding.model import load_model, open_checkpoint
from minivec.embedding.openvino_backend import OpenVinoBackend
from minivec.embedding.options import EngineOptions
from minivec.embedding.torch_backend import TorchBackend
from minivec.errors import ModelNotFound
from tests.embedding.conftest import BUNDLED
from tests.embedding.tiny_checkpoints import write_new_layout, write_old_layout

LAPTOP = Machine(openvino=True, torch=True, gpu=False)
AUTO = EngineOptions(device="cpu", dtype="auto")


@pytest.fixture
def tiny(tmp_path: Path) -> Checkpoint:
    return open_checkpoint(str(write_old_layout(tmp_path / "model")))


def with_config(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return replace(checkpoint, config={**checkpoint.config, **changes})


def with_spec(checkpoint: Checkpoint, **changes: Any) -> Checkpoint:
    return replace(checkpoint, spec=replace(checkpoint.spec, **changes))


def test_a_laptop_with_openvino_uses_it(tiny: Checkpoint) -> None:
    assert isinstance(open_quickest(tiny, AUTO, LAPTOP), OpenVinoBackend)
    assert isinstance(open_quickest(tiny, replace(AUTO, device="auto"), LAPTOP), OpenVinoBackend)


def test_a_machine_without_torch_needs_no_look_for_gpus(tiny: Checkpoint) -> None:
    bare = Machine(openvino=True, torch=False, gpu=True)
    assert isinstance(open_quickest(tiny, replace(AUTO, device="auto"), bare), OpenVinoBackend)


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps"])
def test_a_named_accelerator_is_left_to_torch(tiny: Checkpoint, device: str) -> None:
    assert open_quickest(tiny, replace(AUTO, device=device), LAPTOP) is None


def test_a_gpu_that_torch_finds_is_never_passed_over(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    here = replace(LAPTOP, gpu=True)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert isinstance(open_quickest(tiny, replace(AUTO, device="auto"), here), OpenVinoBackend)
    monkeypatch.setattr("minivec.embedding.torch_backend.choose_device", lambda wanted: Device("cuda"))
    assert open_quickest(tiny, replace(AUTO, device="auto"), here) is None


class Device:
    """As much of a torch device as the choice looks at."""

    def __init__(self, kind: str) -> None:
        self.type = kind


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_explicit_dtype_runs_in_torch(tiny: Checkpoint, dtype: Any) -> None:
    assert open_quickest(tiny, replace(AUTO, dtype=dtype), LAPTOP) is None


def test_without_the_package_torch_runs_it_and_one_line_says_so(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cpu, "this_machine", lambda: replace(LAPTOP, openvino=False))
    with caplog.at_level(logging.INFO, logger=cpu.log.name):
        backend = load_model(str(tiny.root), AUTO).backend
    assert isinstance(backend, TorchBackend)
    (said,) = [record.getMessage() for record in caplog.records if record.name == cpu.log.name]
    assert "openvino" in said
    assert "pip install" in said


def test_with_neither_library_the_error_says_what_to_install(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "this_machine", lambda: Machine(openvino=False, torch=False, gpu=False))
    monkeypatch.setitem(sys.modules, "minivec.embedding.torch_backend", None)
    with pytest.raises(ModelNotFound, match="not installed") as caught:
        load_model(str(tiny.root), AUTO)
    assert "pip install" in caught.value.hint


def test_what_the_graph_does_not_know_is_left_to_torch(tiny: Checkpoint, tmp_path: Path) -> None:
    assert why_not_openvino(tiny, LAPTOP) == ""
    left = [
        with_spec(tiny, family="modernbert"),
        with_spec(tiny, pooling=("max",)),
        with_config(tiny, hidden_act="silu"),
        with_config(tiny, is_decoder=True),
        with_config(tiny, position_embedding_type="relative_key"),
        with_config(tiny, num_hidden_layers=3),
        open_checkpoint(str(write_new_layout(tmp_path / "dense", dense=((32, 16, "Tanh"),)))),
    ]
    assert all(why_not_openvino(checkpoint, LAPTOP) for checkpoint in left)


def test_bfloat16_files_are_left_to_torch(tiny: Checkpoint) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    file = tiny.folder / "model.safetensors"
    halved = {name: tensor.to(torch.bfloat16) for name, tensor in load_file(file).items()}
    save_file(halved, file)
    assert "BF16" in why_not_openvino(tiny, LAPTOP)


def test_float16_files_and_prefixed_names_are_read(tiny: Checkpoint) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    file = tiny.folder / "model.safetensors"
    halved = {f"bert.{name}": tensor.to(torch.float16) for name, tensor in load_file(file).items()}
    save_file(halved, file)
    assert isinstance(open_quickest(tiny, AUTO, LAPTOP), OpenVinoBackend)


def test_the_fingerprint_is_the_models_whatever_runs_it() -> None:
    quick = load_model(BUNDLED, AUTO)
    assert quick.card == load_model(BUNDLED, replace(AUTO, dtype="float32")).card
    assert quick.card.fingerprint == "fa5a0e531535b13d777ac35186cce7c1"


def test_the_quick_path_loads_neither_torch_nor_transformers_and_asks_no_network() -> None:
    program = """
import socket, sys
def refuse(*_):
    raise AssertionError("the network was asked for")
socket.socket.connect = socket.getaddrinfo = refuse
from minivec.embedding import cpu
cpu.this_machine = lambda: cpu.Machine(openvino=True, torch=True, gpu=False)
from minivec.embedding.engine import Engine, EngineOptions
engine = Engine(EngineOptions(dtype="auto"))
engine.embedder("all-MiniLM-L6-v2").embed(["first text"], input_type="query")
engine.close()
print(sorted({"torch", "transformers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
