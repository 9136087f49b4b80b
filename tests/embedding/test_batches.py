"""Batches: every text once, the budget kept, little padding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from minivec.embedding.batches import group_by_length, group_in_order, padded_tokens

lengths_lists = st.lists(st.integers(1, 300), max_size=80)


@given(lengths=lengths_lists, budget=st.integers(1, 2000), pass_cost=st.integers(0, 500))
def test_every_position_is_in_exactly_one_batch(lengths: list[int], budget: int, pass_cost: int) -> None:
    batches = group_by_length(lengths, budget=budget, pass_cost=pass_cost)
    assert sorted(position for batch in batches for position in batch) == list(range(len(lengths)))


@given(lengths=lengths_lists, budget=st.integers(1, 2000), pass_cost=st.integers(0, 500))
def test_a_batch_keeps_the_budget_or_holds_one_text(lengths: list[int], budget: int, pass_cost: int) -> None:
    for batch in group_by_length(lengths, budget=budget, pass_cost=pass_cost):
        chosen = [lengths[position] for position in batch]
        assert padded_tokens(chosen) <= budget or len(batch) == 1
        assert padded_tokens(chosen) - sum(chosen) <= pass_cost


def test_texts_of_one_length_fill_the_budget() -> None:
    assert [len(batch) for batch in group_by_length([10] * 25, budget=100)] == [10, 10, 5]


def test_a_short_text_does_not_ride_with_a_long_one_when_padding_costs_more_than_a_pass() -> None:
    assert group_by_length([200, 3, 3], budget=1000, pass_cost=48) == [[0], [1, 2]]
    assert group_by_length([200, 3, 3], budget=1000, pass_cost=400) == [[0, 1, 2]]


def test_the_longest_come_first() -> None:
    assert group_by_length([1, 9, 5], budget=1, pass_cost=0) == [[1], [2], [0]]


def test_nothing_needs_no_batch() -> None:
    assert group_by_length([], budget=10) == []
    assert padded_tokens([]) == 0


@given(lengths=lengths_lists, budget=st.integers(1, 2000))
def test_batches_in_order_keep_order_and_budget(lengths: list[int], budget: int) -> None:
    batches = group_in_order(lengths, budget=budget)
    assert [position for batch in batches for position in batch] == list(range(len(lengths)))
    totals = [sum(lengths[position] for position in batch) for batch in batches]
    assert all(total <= budget or len(batch) == 1 for total, batch in zip(totals, batches, strict=True))
    for total, following in zip(totals, batches[1:], strict=False):
        assert total + lengths[following[0]] > budget
