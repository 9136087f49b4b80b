"""BERT and RoBERTa encoders as an OpenVINO graph, built from the safetensors themselves: nothing is traced or exported.

Inputs, of any number of texts and tokens:     Output:
  ids      int32    (texts, tokens)              vectors  float32  (texts, ways x width)
  bias     float32  (texts, 1, 1, tokens)                 each way's weighted sum of the token vectors
  weights  float32  (texts, ways, tokens)
Import late: this loads openvino.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.checkpoint import Checkpoint
from minivec.embedding.cpu import WORDS, tensor_prefix, tensor_shapes
from minivec.embedding.families import FAMILIES
from minivec.embedding.openvino_library import op, ov
from minivec.embedding.weights import check_shapes, damaged, stored_tensors, weight_files

# config.json's `hidden_act`; the list is minivec.embedding.cpu.ACTIVATIONS_RUN.
_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": lambda states: op.gelu(states, "erf"),
    "gelu_new": lambda states: op.gelu(states, "tanh"),
    "gelu_pytorch_tanh": lambda states: op.gelu(states, "tanh"),
    "relu": op.relu,
}

Tensors = Mapping[str, NDArray[np.float32]]


def build_graph(checkpoint: Checkpoint) -> ov.Model:
    """The graph of this checkpoint in float32. Raises WeightsMismatch when the weights are damaged or do not fit."""
    return _Builder(checkpoint.config, _first_position(checkpoint), _read(checkpoint)).model()


class _Builder:
    """Each method adds some nodes and returns the last one."""

    def __init__(self, config: Mapping[str, Any], first_position: int, tensors: Tensors) -> None:
        self._layers = int(config["num_hidden_layers"])
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._activate = _ACTIVATIONS[config.get("hidden_act", "gelu")]
        self._first_position = first_position
        self._tensors = tensors

    def model(self) -> ov.Model:
        """The whole graph."""
        ids = op.parameter([-1, -1], np.int32, name="ids")
        bias = op.parameter([-1, 1, 1, -1], np.float32, name="bias")
        weights = op.parameter([-1, -1, -1], np.float32, name="weights")
        states = self._embedded(ids)
        for layer in range(self._layers):
            states = self._layer(states, bias, f"encoder.layer.{layer}.")
        return ov.Model([op.matmul(weights, states, False, False)], [ids, bias, weights])

    def _embedded(self, ids: Any) -> Any:
        places = self._tensors["embeddings.position_embeddings.weight"][self._first_position :]
        kinds = self._tensors["embeddings.token_type_embeddings.weight"][0]
        length = op.gather(op.shape_of(ids), _whole(1), _whole(0))
        positions = op.slice(op.constant(places + kinds), _whole(0), length, _whole(1), _whole(0))
        words = op.gather(op.constant(self._tensors[WORDS]), ids, _whole(0))
        return self._normed(op.add(words, positions), "embeddings.LayerNorm")

    def _layer(self, states: Any, bias: Any, name: str) -> Any:
        query, key, value = (
            self._split(self._linear(states, f"{name}attention.self.{part}")) for part in ("query", "key", "value")
        )
        mixed = op.transpose(op.scaled_dot_product_attention(query, key, value, bias), _whole(0, 2, 1, 3))
        mixed = op.reshape(mixed, _whole(0, 0, -1), True)
        mixed = self._linear(mixed, f"{name}attention.output.dense")
        states = self._normed(op.add(states, mixed), f"{name}attention.output.LayerNorm")
        inner = self._activate(self._linear(states, f"{name}intermediate.dense"))
        return self._normed(op.add(states, self._linear(inner, f"{name}output.dense")), f"{name}output.LayerNorm")

    def _split(self, states: Any) -> Any:
        """(texts, tokens, width) to (texts, heads, tokens, width of a head)."""
        width = self._tensors[WORDS].shape[1] // self._heads
        return op.transpose(op.reshape(states, _whole(0, 0, self._heads, width), True), _whole(0, 2, 1, 3))

    def _linear(self, states: Any, name: str) -> Any:
        product = op.matmul(states, op.constant(self._tensors[f"{name}.weight"]), False, True)
        return op.add(product, op.constant(self._tensors[f"{name}.bias"]))

    def _normed(self, states: Any, name: str) -> Any:
        centred = op.mvn(states, _whole(-1), True, self._epsilon, "inside_sqrt")
        scaled = op.multiply(centred, op.constant(self._tensors[f"{name}.weight"]))
        return op.add(scaled, op.constant(self._tensors[f"{name}.bias"]))


def _whole(*numbers: int) -> Any:
    return op.constant(np.array(numbers, np.int64))


def _first_position(checkpoint: Checkpoint) -> int:
    padding = int(checkpoint.config.get("pad_token_id") or 0)
    return padding + 1 if FAMILIES[checkpoint.spec.family].offset_positions else 0


def _read(checkpoint: Checkpoint) -> dict[str, NDArray[np.float32]]:
    from safetensors import safe_open

    stored = stored_tensors(weight_files(checkpoint.folder))
    prefix = tensor_prefix(stored)
    names = tensor_shapes(checkpoint.config)
    check_shapes({prefix + name: shape for name, shape in names.items()}, stored)
    tensors = {}
    for file in {stored[prefix + name].file for name in names}:
        try:
            with safe_open(str(file), framework="np") as opened:
                for name in (name for name in names if stored[prefix + name].file == file):
                    tensors[name] = np.asarray(opened.get_tensor(prefix + name), np.float32)
        except Exception as error:  # safetensors has an error class of its own
            raise damaged(file, error) from error
    return tensors
