"""Decoders of the Llama kind (Llama, Mistral, Ministral 3, Qwen 3) over packed texts, causal or looking both ways.

embed → layers of: norm → queries, keys, values → rotary positions → attention → + → norm → gated linear unit → +   → norm
Weights are plain tensors; those that are multiplied with the same input lie together. Import late: this loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import embedding, linear, rms_norm, silu

from minivec.embedding.attention import Attend
from minivec.embedding.packed import Packed
from minivec.embedding.rope import Rope, rope_of, rope_settings, rotated
from minivec.errors import ModelNotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class DecoderShape:
    """The sizes and switches of config.json. `query_norm`: queries and keys are normalised head by head, as in Qwen 3.

    `growth` and `growth_start`: queries grow by growth x log(1 + whole multiples of growth_start in their position),
    as in Llama 4; 0 for none.
    """

    vocabulary: int
    width: int
    inner: int
    layers: int
    heads: int
    key_heads: int
    head_width: int
    epsilon: float
    causal: bool
    query_norm: bool
    growth: float
    growth_start: int


def decoder_shape(config: Mapping[str, Any], *, causal: bool) -> DecoderShape:
    """The shape a config.json describes. Raises ModelNotFound for an activation other than SiLU."""
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise ModelNotFound(f"config.json asks for the activation {activation!r}; minivec's decoders run silu only.")
    rope = rope_settings(config)
    heads, width = int(config["num_attention_heads"]), int(config["hidden_size"])
    return DecoderShape(
        vocabulary=int(config["vocab_size"]),
        width=width,
        inner=int(config["intermediate_size"]),
        layers=int(config["num_hidden_layers"]),
        heads=heads,
        key_heads=int(config.get("num_key_value_heads") or heads),
        head_width=int(config.get("head_dim") or width // heads),
        epsilon=float(config.get("rms_norm_eps", 1e-6)),
        causal=bool(config.get("is_causal", causal)),
        query_norm=config.get("model_type") == "qwen3",
        growth=float(rope.get("llama_4_scaling_beta") or 0.0),
        growth_start=int(rope.get("original_max_position_embeddings") or 1),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One layer's weights; `qkv` and `gate_up` hold matrices that read the same input, one under the other."""

    norm: torch.Tensor
    qkv: torch.Tensor
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    out: torch.Tensor
    inner_norm: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class _Surroundings:
    """What every layer of one pass reads besides the states."""

    batch: Packed
    attend: Attend
    angles: tuple[torch.Tensor, torch.Tensor]
    growth: torch.Tensor | None


class Decoder:
    """The weights of a decoder on one device, and its pass. Memory is taken at once; `slots` say what fills it."""

    def __init__(self, shape: DecoderShape, rope: Rope, *, device: torch.device, dtype: torch.dtype) -> None:
        self.shape = shape
        self.rope = rope if device.type == "meta" else Rope(rope.frequencies.to(device), rope.scale)
        self._place: dict[str, Any] = {"device": device, "dtype": dtype}
        self.embedding = self._empty(shape.vocabulary, shape.width)
        self.norm = self._empty(shape.width)
        self.layers = [self._layer() for _ in range(shape.layers)]

    def on(self, device: torch.device) -> Decoder:
        """An empty decoder of the same form on another device."""
        return Decoder(self.shape, self.rope, device=device, dtype=self._place["dtype"])

    def slots(self) -> dict[str, torch.Tensor]:
        """Each tensor of the checkpoint by its name there, without a prefix, as the piece of memory it belongs in."""
        named = {"embed_tokens.weight": self.embedding, "norm.weight": self.norm}
        for number, layer in enumerate(self.layers):
            named |= {f"layers.{number}.{name}.weight": slot for name, slot in self._slots_of(layer).items()}
        return named

    def states(self, batch: Packed, attend: Attend) -> torch.Tensor:
        """The last layer's states after the final norm, shape (tokens, width)."""
        states = embedding(batch.ids, self.embedding)
        surroundings = _Surroundings(
            batch=batch,
            attend=attend,
            angles=self.rope.angles(batch.positions, states.dtype),
            growth=self._growth(batch, states.dtype),
        )
        for layer in self.layers:
            states = self._attended(layer, states, surroundings)
            gate, up = linear(self._normed(states, layer.inner_norm), layer.gate_up).chunk(2, dim=-1)
            states = torch.addmm(states, silu(gate).mul_(up), layer.down.t())
        return self._normed(states, self.norm)

    def _attended(self, layer: Layer, states: torch.Tensor, around: _Surroundings) -> torch.Tensor:
        shape = self.shape
        together = linear(self._normed(states, layer.norm), layer.qkv).view(len(states), -1, shape.head_width)
        turning, values = together.split([shape.heads + shape.key_heads, shape.key_heads], dim=1)
        if layer.query_norm is None:
            queries, keys = rotated(turning, around.angles).split([shape.heads, shape.key_heads], dim=1)
        else:
            queries, keys = turning.split([shape.heads, shape.key_heads], dim=1)
            queries = rotated(self._normed(queries, layer.query_norm), around.angles)
            keys = rotated(self._normed(keys, layer.key_norm), around.angles)
        if around.growth is not None:
            queries = queries * around.growth
        mixed = around.attend(queries, keys, values, around.batch, causal=shape.causal)
        return torch.addmm(states, mixed.reshape(len(states), -1), layer.out.t())

    def _growth(self, batch: Packed, dtype: torch.dtype) -> torch.Tensor | None:
        if not self.shape.growth or batch.longest <= self.shape.growth_start:
            return None
        grown = 1 + self.shape.growth * torch.log1p(torch.floor(batch.positions / self.shape.growth_start))
        return grown.to(dtype).view(-1, 1, 1)

    def _normed(self, states: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        return rms_norm(states, states.shape[-1:], weight, self.shape.epsilon)

    def _empty(self, *sizes: int) -> torch.Tensor:
        return torch.empty(*sizes, **self._place)

    def _layer(self) -> Layer:
        shape = self.shape
        query_width = shape.heads * shape.head_width
        return Layer(
            norm=self._empty(shape.width),
            qkv=self._empty(query_width + 2 * shape.key_heads * shape.head_width, shape.width),
            query_norm=self._empty(shape.head_width) if shape.query_norm else None,
            key_norm=self._empty(shape.head_width) if shape.query_norm else None,
            out=self._empty(shape.width, query_width),
            inner_norm=self._empty(shape.width),
            gate_up=self._empty(2 * shape.inner, shape.width),
            down=self._empty(shape.width, shape.inner),
        )

    def _slots_of(self, layer: Layer) -> dict[str, torch.Tensor]:
        shape = self.shape
        key_width = shape.key_heads * shape.head_width
        queries, keys, values = layer.qkv.split([shape.heads * shape.head_width, key_width, key_width])
        gate, up = layer.gate_up.chunk(2)
        named = {
            "input_layernorm": layer.norm,
            "self_attn.q_proj": queries,
            "self_attn.k_proj": keys,
            "self_attn.v_proj": values,
            "self_attn.o_proj": layer.out,
            "post_attention_layernorm": layer.inner_norm,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": layer.down,
        }
        if layer.query_norm is not None and layer.key_norm is not None:
            named |= {"self_attn.q_norm": layer.query_norm, "self_attn.k_norm": layer.key_norm}
        return named


def empty_decoder(config: Mapping[str, Any], *, causal: bool, dtype: torch.dtype) -> Decoder:
    """A decoder of this config.json on the device "meta", where it takes no memory: it knows its tensors and their shapes.

    `causal` is the attention when the config does not say.
    """
    shape = decoder_shape(config, causal=causal)
    return Decoder(shape, rope_of(config, shape.head_width), device=torch.device("meta"), dtype=dtype)
