"""Which texts go through the model together: near in length, so that little is padding, and within a token budget."""

from __future__ import annotations

from collections.abc import Sequence


def group_by_length(lengths: Sequence[int], *, budget: int, pass_cost: int = 0) -> list[list[int]]:
    """Positions grouped into batches, longest first; every position occurs once.

    A batch padded to its longest text stays within `budget` tokens; a text longer than that goes alone.
    `pass_cost` is what one more forward pass costs, in tokens: a batch is closed once its padding would cost more.
    """
    batches: list[list[int]] = []
    longest = padding = 0
    for position in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        length = lengths[position]
        gap = longest - length
        fits = bool(batches) and longest * (len(batches[-1]) + 1) <= budget and padding + gap <= pass_cost
        if fits:
            batches[-1].append(position)
            padding += gap
        else:
            batches.append([position])
            longest, padding = length, 0
    return batches


def group_in_order(lengths: Sequence[int], *, budget: int) -> list[list[int]]:
    """Positions in their order, cut into batches of at most `budget` tokens, for passes that need no padding."""
    batches: list[list[int]] = []
    total = 0
    for position, length in enumerate(lengths):
        if batches and total + length <= budget:
            batches[-1].append(position)
            total += length
        else:
            batches.append([position])
            total = length
    return batches


def padded_tokens(lengths: Sequence[int]) -> int:
    """How many tokens a batch costs once every text is padded to the longest."""
    return max(lengths, default=0) * len(lengths)
