"""The scoring formulas of BM25F, as Weaviate's BlockMax engine computes them (default for new collections since 1.30).

    score(d) = sum over searched properties p, sum over query terms t: tf(p, t, d) * idf(t) * boost(p) * count(t in query)
    tf       = f / (f + k1 * ((1 - b) + b * length / average))             f: times t occurs in p of d; no (k1 + 1)
    idf      = ln(1 + (N - n + 0.5) / (n + 0.5))                           N: live objects
    n        = the document frequencies of t, averaged by integer division over the searched properties that contain t
    average  = the mean of the searched properties' mean lengths, 40 when that is not known
    length   = tokens in that property of that object

Everything is float64 and pure; the saturation is Robertson and Zaragoza's (The Probabilistic Relevance Framework, 2009),
the idf Lucene's, which is never negative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

UNKNOWN_AVERAGE_LENGTH = 40.0
_ROUNDING = 1e-9  # sums of floats are compared with this much room


def inverse_document_frequency(documents: int, containing: int) -> float:
    """How much a term tells: ln(1 + (N - n + 0.5) / (n + 0.5)); never negative while n <= N."""
    return math.log(1.0 + (documents - containing + 0.5) / (containing + 0.5))


def averaged_document_frequency(frequencies: Sequence[int]) -> int:
    """The document frequencies of one term in several properties as one number; zeros (term not there) do not count."""
    present = [frequency for frequency in frequencies if frequency]
    return sum(present) // len(present) if present else 0


def average_length(means: Sequence[float]) -> float:
    """The mean of the searched properties' mean lengths; a property nobody filled counts as 0, and all 0 means 40."""
    average = math.fsum(means) / len(means) if means else 0.0
    return average or UNKNOWN_AVERAGE_LENGTH


def saturation(
    frequencies: NDArray[np.int32], lengths: NDArray[np.int32], average: float, k1: float, b: float
) -> NDArray[np.float64]:
    """The tf of each posting, shape (n,): between 0 and 1, rising with the frequency, falling with the length."""
    denominator = lengths * (k1 * b / average)
    denominator += k1 * (1.0 - b)
    denominator += frequencies
    result: NDArray[np.float64] = np.divide(frequencies, denominator)
    return result


def contenders(
    scores: NDArray[np.float64], matches: Sequence[NDArray[np.int32]], to_come: float, k: int
) -> NDArray[np.int32] | None:
    """The slots that can still be among the k best, ascending, when at most `to_come` is yet to be added to any score.

    None when a slot in none of the `matches` still could, too; k is at least 1.
    """
    slots = np.concatenate(matches)
    enough = k * len(matches)  # a slot is there at most once per match, so this many hold k different ones
    if slots.size < enough:
        return None
    values = scores[slots]
    cut = slots.size - enough
    threshold = np.partition(values, cut)[cut] * (1.0 - _ROUNDING)
    if threshold <= to_come * (1.0 + _ROUNDING):
        return None
    result: NDArray[np.int32] = np.unique(slots[values >= threshold - to_come])
    return result


def best(
    scores: NDArray[np.float64], matches: Sequence[NDArray[np.int32]], doc_ids: NDArray[np.int64], k: int
) -> NDArray[np.int32]:
    """The slots of the k best scores among the matched slots: score descending, equal scores by ascending document id.

    `scores` and `doc_ids` are indexed by slot; a slot may be in several of the `matches`, but once in each.
    """
    if not matches or k < 1:
        return np.empty(0, np.int32)
    slots = np.concatenate(matches)
    enough = k * len(matches)  # a slot is there at most once per match, so this many hold k different ones
    if slots.size > enough:
        values = scores[slots]
        cut = slots.size - enough
        slots = slots[values >= np.partition(values, cut)[cut]]
    slots = np.unique(slots)
    order = np.lexsort((doc_ids[slots], -scores[slots]))
    result: NDArray[np.int32] = slots[order[:k]]
    return result
