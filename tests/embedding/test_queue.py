"""The waiting texts: counted, planned by length and model, and handed back whole."""

from __future__ import annotations

import numpy as np

from minivec.embedding.backend import FakeBackend
from minivec.embedding.queue import LOOKAHEAD, Lane, Ticket
from minivec.errors import Closed, EmbeddingFailed
from tests.embedding.backends import text

BACKEND = FakeBackend(4)


def lane_of(*lengths: int) -> Lane:
    lane = Lane()
    lane.add(Ticket(BACKEND, len(lengths)), [text(*range(5, 5 + length)) for length in lengths])
    return lane


def taken(lane: Lane, budget: int) -> list[list[int]]:
    batches = []
    while lane:
        batches.append([len(waiting.text) for waiting in lane.next_batch(lambda _: budget)])
    return batches


def test_texts_of_like_length_go_together() -> None:
    assert taken(lane_of(1, 9, 2, 8, 1, 9), budget=18) == [[9, 9], [8, 2], [1, 1]]


def test_tokens_are_counted_in_and_out() -> None:
    lane = lane_of(3, 4, 5)
    assert lane.tokens == 12
    lane.next_batch(lambda _: 5)
    assert lane.tokens == 7
    lane.drain()
    assert lane.tokens == 0
    assert not lane


def test_old_texts_do_not_wait_behind_endless_new_ones() -> None:
    budget = 2
    lane = lane_of(*[1] * budget * LOOKAHEAD, 2)  # the last and longest lies beyond what is planned at once
    assert [len(waiting.text) for waiting in lane.next_batch(lambda _: budget)] == [1, 1]


def test_replanning_loses_nothing_and_follows_the_new_budget() -> None:
    lane = lane_of(1, 1, 1, 1, 1, 1)
    assert len(lane.next_batch(lambda _: 2)) == 2
    lane.replan()
    assert taken(lane, 4) == [[1, 1, 1, 1]]


def test_drain_hands_over_planned_and_unplanned_texts() -> None:
    lane = lane_of(1, 2, 3)
    lane.next_batch(lambda _: 3)
    lane.add(Ticket(BACKEND, 1), [text(5, 6, 7, 8)])
    assert sorted(len(waiting.text) for waiting in lane.drain()) == [1, 2, 4]


def test_a_ticket_ends_with_its_last_text() -> None:
    ticket = Ticket(BACKEND, 2)
    ticket.settle(1, np.ones(4, np.float32))
    assert not ticket.wait(0)
    ticket.settle(0, EmbeddingFailed("no"))
    assert ticket.wait(0)
    assert ticket.vectors.tolist() == [[0] * 4, [1] * 4]
    assert isinstance(ticket.errors[0], EmbeddingFailed)


def test_a_finished_ticket_cannot_fail_any_more() -> None:
    done, open_still = Ticket(BACKEND, 0), Ticket(BACKEND, 1)
    for ticket in (done, open_still):
        ticket.fail(Closed("over"))
    assert done.failure is None
    assert isinstance(open_still.failure, Closed)


def test_what_is_put_back_comes_first_as_it_was() -> None:
    lane = lane_of(1, 1, 1, 1)
    batch = lane.next_batch(lambda _: 2)
    lane.put_back([batch[:1], batch[1:]])
    assert lane.tokens == 4
    assert taken(lane, 2) == [[1], [1], [1, 1]]


def test_texts_of_an_ended_ticket_are_not_put_back() -> None:
    lane = lane_of(1, 1)
    batch = lane.next_batch(lambda _: 2)
    batch[0].ticket.fail(Closed("over"))
    lane.put_back([batch])
    assert not lane
    assert lane.tokens == 0


def test_a_dropped_ticket_takes_its_planned_and_unplanned_texts_with_it() -> None:
    lane = lane_of(1, 2, 3)
    leaving = Ticket(BACKEND, 3)
    lane.add(leaving, [text(5), text(5, 6), text(5, 6, 7)])
    lane.next_batch(lambda _: 3)
    lane.add(leaving, [text(5)])
    lane.drop(leaving)
    left = [waiting for waiting in lane.drain() if waiting.ticket is leaving]
    assert left == []


def test_a_lane_says_when_more_texts_would_not_fill_it_further() -> None:
    lane = lane_of(2)
    assert not lane.fills_a_batch(lambda _: 3)
    assert lane.fills_a_batch(lambda _: 2)
    assert not Lane().fills_a_batch(lambda _: 0)


def test_texts_that_need_no_padding_keep_their_order() -> None:
    class Ragged(FakeBackend):
        pads = False

    lane = Lane()
    lane.add(Ticket(Ragged(4), 4), [text(*range(5, 5 + length)) for length in (1, 9, 2, 8)])
    assert taken(lane, 12) == [[1, 9, 2], [8]]


def test_a_ticket_that_ended_takes_no_more() -> None:
    ticket = Ticket(BACKEND, 1)
    ticket.fail(Closed("over"))
    ticket.settle(0, np.ones(4, np.float32))
    assert not ticket.vectors.any()
