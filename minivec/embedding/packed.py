"""Texts laid end to end without padding, as a device reads them. Import late: this loads torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from minivec.embedding.tokens import TokenizedText


@dataclass(frozen=True, kw_only=True)
class Packed:
    """`ids` and `positions` (from 0 in each text) have shape (tokens,), `offsets` int32 (texts + 1,) says where texts begin.

    `lengths` and `longest` are the same on the host; `unpooled`, shape (texts,), counts the first tokens of each text
    that pooling leaves out, and `skips` is True when there are any.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    offsets: torch.Tensor
    unpooled: torch.Tensor
    lengths: tuple[int, ...]
    skips: bool

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return max(self.lengths)

    @property
    def even(self) -> bool:
        """True when every text has the same length, so that nothing would be padding."""
        return min(self.lengths) == self.longest

    @cached_property
    def counts(self) -> torch.Tensor:
        """Tokens of each text, int64 of shape (texts,)."""
        return self.offsets.diff().long()

    @cached_property
    def owners(self) -> torch.Tensor:
        """Which text each token belongs to, shape (tokens,)."""
        rows = torch.arange(len(self.lengths), device=self.ids.device)
        return torch.repeat_interleave(rows, self.counts, output_size=len(self.ids))

    @cached_property
    def pooled(self) -> torch.Tensor:
        """True for each token that pooling counts, shape (tokens,)."""
        return self.positions >= self.unpooled[self.owners]

    @cached_property
    def slots(self) -> torch.Tensor:
        """Where each token stands once every text is padded to the longest: row x longest + position."""
        return self.owners * self.longest + self.positions

    @cached_property
    def mask(self) -> torch.Tensor:
        """True where a padded batch has a token, shape (texts, longest)."""
        return torch.arange(self.longest, device=self.ids.device) < self.counts.unsqueeze(1)

    def sums(self, rows: torch.Tensor) -> torch.Tensor:
        """The float32 sum of each text's rows: (tokens, width) to (texts, width), in the same order every time."""
        if rows.is_cuda:  # adding into rows is not repeatable there, and on the CPU it is the quickest
            return torch.segment_reduce(rows, "sum", lengths=self.counts, axis=0, unsafe=True)
        return rows.new_zeros((len(self.lengths), rows.shape[1])).index_add_(0, self.owners, rows)

    def padded(self, rows: torch.Tensor, *, filling: float = 0.0) -> torch.Tensor:
        """Rows of shape (tokens, ...) as (texts, longest, ...), `filling` where there is no token."""
        shape = (len(self.lengths), self.longest, *rows.shape[1:])
        if self.even:
            return rows.view(shape)
        spread = rows.new_full((shape[0] * shape[1], *shape[2:]), filling)
        spread[self.slots] = rows
        return spread.view(shape)

    def flat(self, states: torch.Tensor) -> torch.Tensor:
        """The inverse of `padded`: only the rows of tokens."""
        rows = states.reshape(-1, *states.shape[2:])
        return rows if self.even else rows[self.slots]


def pack(batch: Sequence[TokenizedText], device: torch.device) -> Packed:
    """The texts of a batch on the device, in one copy per tensor; pinned on the host when the device is a GPU."""
    lengths = tuple(len(text) for text in batch)
    offsets = np.zeros(len(batch) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    positions = np.concatenate([np.arange(length, dtype=np.int64) for length in lengths])
    ids = np.concatenate([text.ids for text in batch]).astype(np.int64)
    unpooled = np.array([text.unpooled for text in batch], np.int64)
    return Packed(
        ids=_moved(ids, device),
        positions=_moved(positions, device),
        offsets=_moved(offsets, device),
        unpooled=_moved(unpooled, device),
        lengths=lengths,
        skips=bool(unpooled.any()),
    )


def _moved(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
