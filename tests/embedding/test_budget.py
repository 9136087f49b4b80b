"""The budget of a pass: measured where the device can say, halved and grown back, never below one token."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from minivec.embedding.backend import FakeBackend, MeasuresMemory, OutOfMemory, PassMemory
from minivec.embedding.budget import RECOVERY_PASSES, SHARE, Budget, cost, measured_tokens
from minivec.embedding.tokens import TokenizedText


class Measured(FakeBackend):
    """Declares a memory of `free` bytes, of which a pass takes `once` and `each` for every token; keeps what it was asked."""

    batch_tokens = 1600

    def __init__(self, *, free: int, each: int, once: int = 0) -> None:
        super().__init__(8)
        self.free, self.each, self.once = free, each, once
        self.asked: list[list[int]] = []

    def measure(self, batch: Sequence[TokenizedText]) -> PassMemory | None:
        self.asked.append([len(text) for text in batch])
        used = self.once + self.each * sum(self.asked[-1])
        if used > self.free:
            raise OutOfMemory("no room")
        return PassMemory(used=used, free=self.free)


class Silent(FakeBackend):
    """Could measure on another device."""

    def measure(self, batch: Sequence[TokenizedText]) -> PassMemory | None:
        return None


class Ragged(FakeBackend):
    pads = False


def test_a_large_memory_leaves_what_suits_the_device() -> None:
    backend = Measured(free=10**9, each=10, once=500)
    assert measured_tokens(backend, longest=50) == 1600
    assert backend.asked == [[50] * 4, [50] * 16]


@pytest.mark.parametrize("once", [0, 500])
def test_a_small_memory_allows_what_fits_into_its_share(once: int) -> None:
    backend = Measured(free=10_000, each=8, once=once)
    assert measured_tokens(backend, longest=50) == (10_000 * SHARE - once) // 8


def test_a_pass_that_does_not_even_fit_when_measured_is_halved() -> None:
    assert measured_tokens(Measured(free=1000, each=8), longest=50) == 100
    assert measured_tokens(Measured(free=4000, each=8), longest=50) == 400


def test_a_text_longer_than_the_pass_is_measured_as_long_as_the_pass() -> None:
    backend = Measured(free=10**9, each=1)
    measured_tokens(backend, longest=10**6)
    assert backend.asked == [[200], [800]]


def test_a_memory_that_grows_with_nothing_is_no_division_by_zero() -> None:
    assert measured_tokens(Measured(free=10**6, each=0), longest=50) == 1600


def test_without_a_measure_the_devices_own_number_holds() -> None:
    assert not isinstance(FakeBackend(8), MeasuresMemory)
    assert measured_tokens(FakeBackend(8), longest=50) == FakeBackend.batch_tokens
    assert measured_tokens(Silent(8), longest=50) == FakeBackend.batch_tokens


def test_a_budget_halves_and_grows_back_to_what_it_was() -> None:
    budget = Budget(100)
    budget.shrink(60)
    assert budget.tokens == 30
    for _ in range(RECOVERY_PASSES - 1):
        budget.fitted()
    assert budget.tokens == 30
    for _ in range(1 + 5 * RECOVERY_PASSES):
        budget.fitted()
    assert budget.tokens == 100
    for _ in range(20):
        budget.shrink(budget.tokens)
    assert budget.tokens == 1


def test_only_padding_makes_short_texts_cost_what_the_longest_does() -> None:
    assert cost(FakeBackend(8), [5, 1, 1]) == 15
    assert cost(Ragged(8), [5, 1, 1]) == 7
