"""Many token vectors to one: each way sentence-transformers knows, over texts laid end to end. Pure torch, late loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from minivec.embedding.spec import PoolingMode

if TYPE_CHECKING:
    from torch import Tensor

    from minivec.embedding.packed import Packed

SMALLEST_COUNT = 1e-9  # keeps a text without pooled tokens from dividing by zero


def pool(states: Tensor, batch: Packed, modes: Sequence[PoolingMode]) -> Tensor:
    """One float32 vector a text, the modes' results side by side: shape (texts, modes x width).

    `states` has shape (tokens, width), in the order of the batch; each text's first `unpooled` tokens are left out.
    """
    import torch

    states = states.float()
    return torch.cat([_POOLS[mode](states, batch) for mode in modes], dim=-1)


def normalize(vectors: Tensor) -> Tensor:
    """The rows at L2 length 1; a row of zeros stays zeros."""
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def _cls(states: Tensor, batch: Packed) -> Tensor:
    first = batch.unpooled * (batch.unpooled < batch.counts)
    return states[batch.offsets[:-1] + first]


def _last(states: Tensor, batch: Packed) -> Tensor:
    return states[batch.offsets[1:].long() - 1]


def _max(states: Tensor, batch: Packed) -> Tensor:
    hidden = states.masked_fill(~batch.pooled.unsqueeze(1), float("-inf"))
    return batch.padded(hidden, filling=float("-inf")).amax(dim=1)


def _mean(states: Tensor, batch: Packed) -> Tensor:
    return _sum(states, batch) / _counts(batch)


def _mean_sqrt(states: Tensor, batch: Packed) -> Tensor:
    return _sum(states, batch) / _counts(batch).sqrt()


def _weighted_mean(states: Tensor, batch: Packed) -> Tensor:
    places = ((batch.positions + 1) * batch.pooled).unsqueeze(1).float()  # a token's place in its text, from 1
    return _sum(states * places, batch) / batch.sums(places).clamp(min=SMALLEST_COUNT)


def _sum(states: Tensor, batch: Packed) -> Tensor:
    return batch.sums(states * batch.pooled.unsqueeze(1) if batch.skips else states)


def _counts(batch: Packed) -> Tensor:
    return (batch.counts - batch.unpooled).unsqueeze(1).clamp(min=SMALLEST_COUNT)


_POOLS: dict[PoolingMode, Callable[[Tensor, Packed], Tensor]] = {
    "cls": _cls,
    "lasttoken": _last,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
}
