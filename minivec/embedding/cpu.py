"""Which library runs a model when the user left it open (`dtype` "auto"): OpenVINO on x86 CPUs where it can, else torch.

A GPU is never passed over: where one may be, torch is asked for it. Explicit dtypes always run in torch.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minivec.embedding.backend import Backend
from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.options import EngineOptions
from minivec.embedding.weights import StoredTensor, damaged, stored_tensors, weight_files

log = logging.getLogger(__name__)

WORDS = "embeddings.word_embeddings.weight"
FAMILIES_RUN = ("bert", "roberta", "xlm-roberta")
ACTIVATIONS_RUN = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
STORED_AS = ("F32", "F16")  # what numpy can read
GPU_FILES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What there is to choose from: the package openvino, torch, and whether a GPU may be here."""

    openvino: bool
    torch: bool
    gpu: bool


def this_machine() -> Machine:
    """Asked without loading torch, which takes seconds. Beyond Linux only torch itself can tell whether there is a GPU."""
    torch = importlib.util.find_spec("torch") is not None
    gpu = any(Path(file).exists() for file in GPU_FILES) if sys.platform == "linux" else True
    return Machine(openvino=importlib.util.find_spec("openvino") is not None, torch=torch, gpu=gpu)


def open_quickest(checkpoint: Checkpoint, options: EngineOptions, machine: Machine | None = None) -> Backend | None:
    """The model in OpenVINO, or None when torch shall run it; a log line says which and why.

    Raises WeightsMismatch and EmbeddingFailed as every backend does.
    """
    if options.dtype != "auto" or not _on_cpu(options.device, machine or this_machine()):
        return None
    reason = why_not_openvino(checkpoint, machine or this_machine())
    if reason:
        log.info("%s runs in torch and float32 on the CPU: %s.", checkpoint.spec.name, reason)
        return None
    from minivec.embedding.openvino_backend import OpenVinoBackend  # late: loads openvino

    return OpenVinoBackend(checkpoint, options)


def why_not_openvino(checkpoint: Checkpoint, machine: Machine) -> str:
    """Why the OpenVINO backend cannot run this model here, or nothing when it can."""
    config = checkpoint.config
    if checkpoint.spec.family not in FAMILIES_RUN:
        return f"its architecture {checkpoint.spec.family} has no OpenVINO form here"
    if not machine.openvino:
        return "the package openvino, which is several times as fast, is not installed (pip install 'minivec[cpu]')"
    if checkpoint.spec.dense or "max" in checkpoint.spec.pooling:
        return "what follows its encoder has no OpenVINO form here"
    if config.get("hidden_act", "gelu") not in ACTIVATIONS_RUN or config.get("is_decoder"):
        return "its config.json asks for a variant that has no OpenVINO form here"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return "its relative positions have no OpenVINO form here"
    stored = stored_tensors(weight_files(checkpoint.folder))
    prefix = tensor_prefix(stored)
    lacking = [name for name in tensor_shapes(config) if prefix + name not in stored]
    if lacking:
        return f"its weights have no tensor {prefix}{lacking[0]}"
    kind = _stored_as(stored[prefix + WORDS], prefix + WORDS)
    return "" if kind in STORED_AS else f"its weights are stored as {kind}"


def tensor_prefix(stored: Mapping[str, StoredTensor]) -> str:
    """What stands before the encoder's own names in these weights, such as "bert."."""
    return next((name.removesuffix(WORDS) for name in stored if name.endswith(WORDS)), "")


def tensor_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every tensor that the encoder of this config.json computes with, by its name within it, and its shape."""
    width, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    layers: dict[str, tuple[int, ...]] = {"embeddings.LayerNorm": (width,)}
    for layer in range(int(config["num_hidden_layers"])):
        name = f"encoder.layer.{layer}."
        layers |= {f"{name}attention.self.{part}": (width, width) for part in ("query", "key", "value")}
        layers |= {f"{name}attention.output.dense": (width, width), f"{name}attention.output.LayerNorm": (width,)}
        layers |= {f"{name}intermediate.dense": (inner, width), f"{name}output.dense": (width, inner)}
        layers |= {f"{name}output.LayerNorm": (width,)}
    shapes: dict[str, tuple[int, ...]] = {
        WORDS: (int(config["vocab_size"]), width),
        "embeddings.position_embeddings.weight": (int(config["max_position_embeddings"]), width),
        "embeddings.token_type_embeddings.weight": (int(config.get("type_vocab_size", 2)), width),
    }
    for name, shape in layers.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def count_weights(config: Mapping[str, Any]) -> int:
    """How many numbers those tensors hold."""
    return sum(map(math.prod, tensor_shapes(config).values()))


def _on_cpu(device: str, machine: Machine) -> bool:
    if device != "auto":
        return device == "cpu"
    if not (machine.torch and machine.gpu):
        return True
    from minivec.embedding.torch_backend import choose_device  # late: loads torch

    return str(choose_device(device).type) == "cpu"


def _stored_as(tensor: StoredTensor, name: str) -> str:
    from safetensors import safe_open

    try:
        with safe_open(str(tensor.file), framework="np") as opened:
            return str(opened.get_slice(name).get_dtype())
    except Exception as error:  # safetensors has an error class of its own
        raise damaged(tensor.file, error) from error
