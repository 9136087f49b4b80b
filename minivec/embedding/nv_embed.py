"""NV-Embed's latent-attention head, with what is constant in it computed once, when the weights are loaded.

The head looks from every token at a few hundred learned latents, then runs a gated unit, then takes the mean. Three exact
rewrites make it cheap: the latents' keys and values are constants; the keys are folded into the query matrix and the
values into the output matrix; and the unit's last matrix, being linear, is applied to the mean. Import late: loads torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import gelu, layer_norm, linear

from minivec.embedding.packed import Packed
from minivec.embedding.pooling import pool

BACKBONE = "embedding_model."
HEAD = "latent_attention_model."
READ, UNIT = "cross_attend_blocks.0.", "cross_attend_blocks.1."
EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class HeadShape:
    """The sizes of `latent_attention_config`, whose file in the real models leaves all of them out."""

    width: int
    latents: int = 512
    heads: int = 8
    head_width: int = 4096
    inner: int = 16384
    normalize: bool = True

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Each tensor of the head in the checkpoint, by name without prefix, and its shape."""
        across = self.heads * self.head_width
        return {
            "latents": (self.latents, self.width),
            f"{READ}norm.weight": (self.width,),
            f"{READ}norm.bias": (self.width,),
            f"{READ}norm_context.weight": (self.width,),
            f"{READ}norm_context.bias": (self.width,),
            f"{READ}fn.to_q.weight": (across, self.width),
            f"{READ}fn.to_kv.weight": (2 * across, self.width),
            f"{READ}fn.to_out.weight": (self.width, across),
            f"{UNIT}norm.weight": (self.width,),
            f"{UNIT}norm.bias": (self.width,),
            f"{UNIT}fn.net.0.weight": (2 * self.inner, self.width),
            f"{UNIT}fn.net.0.bias": (2 * self.inner,),
            f"{UNIT}fn.net.2.weight": (self.width, self.inner),
            f"{UNIT}fn.net.2.bias": (self.width,),
        }


def head_shape(config: Mapping[str, Any]) -> HeadShape:
    """The head of an NV-Embed config.json, with the defaults of NVIDIA's code where it says nothing."""
    told = config.get("latent_attention_config") or {}
    width = int(told.get("hidden_dim", 4096))
    return HeadShape(
        width=width,
        latents=int(told.get("num_latents_value", 512)),
        heads=int(told.get("num_cross_heads", 8)),
        head_width=int(told.get("cross_dim_head", 4096)),
        inner=4 * width,
        normalize=bool(told.get("output_normalize", True)),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentHead:
    """The folded head: `scores` and `mixed` have shape (heads x latents, width)."""

    heads: int
    norm: tuple[torch.Tensor, torch.Tensor]
    scores: torch.Tensor
    mixed: torch.Tensor
    unit_norm: tuple[torch.Tensor, torch.Tensor]
    value_gate: tuple[torch.Tensor, torch.Tensor]
    down: tuple[torch.Tensor, torch.Tensor]

    def vectors(self, states: torch.Tensor, batch: Packed) -> torch.Tensor:
        """One pooled float32 vector a text, not yet normalised, from the decoder's states of shape (tokens, width)."""
        read = linear(_normed(states, self.norm), self.scores).unflatten(1, (self.heads, -1)).softmax(dim=-1)
        states = torch.addmm(states, read.flatten(1), self.mixed)
        value, gate = linear(_normed(states, self.unit_norm), *self.value_gate).chunk(2, dim=-1)
        unit = pool(value * gelu(gate), batch, ["mean"]).to(states.dtype)
        return linear(unit, *self.down).float() + pool(states, batch, ["mean"])


def fold(stored: Mapping[str, torch.Tensor], shape: HeadShape, *, dtype: torch.dtype) -> LatentHead:
    """The head of the checkpoint's tensors (float32, names without prefix), folded in float32 and cast at the end."""
    context = _normed(stored["latents"], (stored[f"{READ}norm_context.weight"], stored[f"{READ}norm_context.bias"]))
    keys, values = linear(context, stored[f"{READ}fn.to_kv.weight"]).chunk(2, dim=-1)
    split = (shape.heads, shape.head_width)
    keys, values = (part.unflatten(1, split).transpose(0, 1) for part in (keys, values))
    queries = stored[f"{READ}fn.to_q.weight"].unflatten(0, split)
    out = stored[f"{READ}fn.to_out.weight"].unflatten(1, split).permute(1, 2, 0)
    return LatentHead(
        heads=shape.heads,
        norm=_pair(stored, f"{READ}norm", dtype),
        scores=(torch.bmm(keys, queries) * shape.head_width**-0.5).flatten(0, 1).to(dtype),
        mixed=torch.bmm(values, out).flatten(0, 1).to(dtype),
        unit_norm=_pair(stored, f"{UNIT}norm", dtype),
        value_gate=_pair(stored, f"{UNIT}fn.net.0", dtype),
        down=_pair(stored, f"{UNIT}fn.net.2", dtype),
    )


def _pair(stored: Mapping[str, torch.Tensor], name: str, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return stored[f"{name}.weight"].to(dtype), stored[f"{name}.bias"].to(dtype)


def _normed(states: torch.Tensor, norm: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return layer_norm(states, states.shape[-1:], *norm, EPSILON)
