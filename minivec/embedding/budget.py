"""How many tokens one pass of a model may hold: measured at the start where the device can say, halved when memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from minivec.embedding.backend import Backend, MeasuresMemory, OutOfMemory
from minivec.embedding.batches import padded_tokens
from minivec.embedding.tokens import TokenizedText

log = logging.getLogger(__name__)

RECOVERY_PASSES = 100  # passes that fitted before a halved budget is doubled again
SHARE = 0.8  # of the free memory that passes may take; the rest is for fragments and for others
PROBES = (8, 2)  # the passes measured hold the wanted tokens divided by these


class Budget:
    """The tokens of one pass of one model now. Nothing here locks."""

    def __init__(self, tokens: int) -> None:
        self.tokens = self._full = tokens
        self._fitted = 0

    def shrink(self, used: int) -> None:
        """A pass of `used` tokens did not fit: allow at most half of it from now on."""
        self.tokens = max(1, min(self.tokens, used) // 2)
        self._fitted = 0

    def fitted(self) -> None:
        """A pass fitted; after many of them try more again, for the memory may have been somebody else's for a moment."""
        self._fitted += 1
        if self._fitted % RECOVERY_PASSES == 0:
            self.tokens = min(self.tokens * 2, self._full)


def cost(backend: Backend, lengths: Sequence[int]) -> int:
    """The tokens that a pass over texts of these lengths costs on this backend, padding included where it pads."""
    return padded_tokens(lengths) if backend.pads else sum(lengths)


def measured_tokens(backend: Backend, *, longest: int) -> int:
    """The tokens one pass should hold: what suits the device, or less where that would not fit into its memory.

    Runs two passes of texts of `longest` tokens, where the backend can measure them, and reckons with a straight line
    through what they took. Raises DeviceLost.
    """
    wanted = backend.batch_tokens
    if not isinstance(backend, MeasuresMemory):
        return wanted
    taken: list[tuple[int, int]] = []
    free = 0
    for tokens in (max(wanted // part, 1) for part in PROBES):
        try:
            memory = backend.measure(_texts(tokens, longest))
        except OutOfMemory:
            log.warning("A pass of %d tokens does not fit on %s.", tokens, backend.device)
            return max(tokens // 2, 1)
        if memory is None:
            return wanted
        taken.append((tokens, memory.used))
        free = memory.free
    (few, little), (many, much) = taken
    each = max((much - little) / max(many - few, 1), 1.0)
    once = max(little - each * few, 0.0)
    fits = max(1, min(wanted, int((free * SHARE - once) / each)))
    log.info("A pass on %s takes %.0f bytes a token and may hold %d tokens.", backend.device, each, fits)
    return fits


def _texts(tokens: int, longest: int) -> list[TokenizedText]:
    length = min(longest, tokens)
    ids = np.zeros(length, np.int32)  # every vocabulary has a token 0
    return [TokenizedText(ids=ids, total=length)] * max(tokens // length, 1)
