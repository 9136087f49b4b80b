"""Rotary positions: how fast each pair of numbers in a head turns from token to token, in the kinds checkpoints ask for.

default  theta^(-2i/d)        linear  slowed by a factor        llama3  slow turns slowed, fast ones kept
yarn     the same with a ramp between, and larger queries and keys
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minivec.errors import ModelNotFound

if TYPE_CHECKING:
    from torch import Tensor

DEFAULT_THETA = 10_000.0


@dataclass(frozen=True, slots=True)
class Rope:
    """`frequencies`, float32 of shape (head width / 2,), in radians a token; `scale` multiplies cosines and sines."""

    frequencies: Tensor
    scale: float = 1.0

    def angles(self, positions: Tensor, dtype: Any) -> tuple[Tensor, Tensor]:
        """Cosines and sines of shape (tokens, 1, head width), both halves alike, for tokens at these positions."""
        import torch

        turned = positions.float().unsqueeze(1) * self.frequencies
        turned = torch.cat((turned, turned), dim=1).unsqueeze(1)
        return (turned.cos() * self.scale).to(dtype), (turned.sin() * self.scale).to(dtype)


def rope_of(config: Mapping[str, Any], head_width: int) -> Rope:
    """The rope of a config.json. Raises ModelNotFound for a kind minivec does not know."""
    import torch

    settings = rope_settings(config)
    kind = str(settings.get("rope_type", settings.get("type", "default")))
    if kind not in _KINDS:
        raise ModelNotFound(
            f"config.json asks for rotary positions of the kind {kind!r}, which minivec does not run.",
            hint=f"It runs {', '.join(_KINDS)}.",
        )
    theta = float(settings["rope_theta"])
    exponents = torch.arange(0, head_width, 2, dtype=torch.int64).float() / head_width
    return _KINDS[kind](1.0 / theta**exponents, settings)


def rope_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """`rope_parameters` of new configs, or `rope_scaling` with `rope_theta` beside it of old ones."""
    settings = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    settings.setdefault("rope_theta", config.get("rope_theta", DEFAULT_THETA))
    settings.setdefault("original_max_position_embeddings", config.get("max_position_embeddings"))
    return settings


def rotated(states: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Queries or keys, shape (tokens, heads, head width), turned to their positions."""
    import torch

    cosines, sines = angles
    left, right = states.chunk(2, dim=-1)
    return states * cosines + torch.cat((-right, left), dim=-1) * sines


def _default(frequencies: Tensor, settings: Mapping[str, Any]) -> Rope:
    return Rope(frequencies)


def _linear(frequencies: Tensor, settings: Mapping[str, Any]) -> Rope:
    return Rope(frequencies / settings["factor"])


def _llama3(frequencies: Tensor, settings: Mapping[str, Any]) -> Rope:
    import torch

    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    turns = settings["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    kept = ((turns - low) / (high - low)).clamp(0, 1)
    return Rope(torch.lerp(frequencies / settings["factor"], frequencies, kept))


def _yarn(frequencies: Tensor, settings: Mapping[str, Any]) -> Rope:
    import torch

    pairs = len(frequencies)
    first = _pair_that_turns(settings.get("beta_fast") or 32, pairs, settings)
    last = _pair_that_turns(settings.get("beta_slow") or 1, pairs, settings)
    if settings.get("truncate", True):
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * pairs - 1)
    ramp = (torch.arange(pairs, dtype=torch.float32) - first) / max(last - first, 0.001)
    slowed = torch.lerp(frequencies, frequencies / settings["factor"], ramp.clamp(0, 1))
    return Rope(slowed, _yarn_scale(settings))


def _pair_that_turns(times: float, pairs: int, settings: Mapping[str, Any]) -> float:
    """Which pair turns this often over the length the model was trained on."""
    length = settings["original_max_position_embeddings"]
    return pairs * math.log(length / (times * 2 * math.pi)) / math.log(settings["rope_theta"])


def _yarn_scale(settings: Mapping[str, Any]) -> float:
    if (given := settings.get("attention_factor")) is not None:
        return float(given)
    stretch = 0.1 * math.log(settings["factor"]) if settings["factor"] > 1 else 0.0
    upper, lower = settings.get("mscale"), settings.get("mscale_all_dim")
    return (stretch * upper + 1) / (stretch * lower + 1) if upper and lower else stretch + 1


_KINDS: dict[str, Callable[[Tensor, Mapping[str, Any]], Rope]] = {
    "default": _default,
    "linear": _linear,
    "llama3": _llama3,
    "yarn": _yarn,
}
