"""Many token vectors to one: each way sentence-transformers knows, over right-padded batches. Pure torch, late loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minivec.embedding.catalog import PoolingMode

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST_COUNT = 1e-9  # keeps a text without pooled tokens from dividing by zero


def pool(states: Tensor, mask: Tensor, modes: Sequence[PoolingMode]) -> Tensor:
    """One float32 vector a text, the modes' results side by side: shape (texts, modes x width).

    `states` has shape (texts, tokens, width); `mask`, bool of shape (texts, tokens), is True where a token counts.
    """
    import torch

    states = states.float()
    return torch.cat([_POOLS[mode](states, mask) for mode in modes], dim=-1)


def normalize(vectors: Tensor) -> Tensor:
    """The rows at L2 length 1; a row of zeros stays zeros."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def _cls(states: Tensor, mask: Tensor) -> Tensor:
    first = mask.int().argmax(dim=1)
    return _rows(states, first)


def _last(states: Tensor, mask: Tensor) -> Tensor:
    last = mask.shape[1] - 1 - mask.flip(1).int().argmax(dim=1)
    return _rows(states, last)


def _max(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return _sum(states, mask) / _counts(mask)


def _mean_sqrt(states: Tensor, mask: Tensor) -> Tensor:
    return _sum(states, mask) / _counts(mask).sqrt()


def _weighted_mean(states: Tensor, mask: Tensor) -> Tensor:
    places = mask.new_ones(mask.shape).cumsum(dim=1) * mask  # a token's place in its text, from 1
    return _sum(states, places) / places.sum(dim=1, keepdim=True).clamp(min=SMALLEST_COUNT)


def _sum(states: Tensor, weights: Tensor) -> Tensor:
    return (states * weights.unsqueeze(-1)).sum(dim=1)


def _counts(mask: Tensor) -> Tensor:
    return mask.sum(dim=1, keepdim=True).clamp(min=SMALLEST_COUNT)


def _rows(states: Tensor, positions: Tensor) -> Tensor:
    return states.gather(1, positions.view(-1, 1, 1).expand(-1, 1, states.shape[-1])).squeeze(1)


_POOLS: dict[PoolingMode, Callable[[Tensor, Tensor], Tensor]] = {
    "cls": _cls,
    "lasttoken": _last,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
}
