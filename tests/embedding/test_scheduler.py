"""The scheduler: texts of many callers share batches, queries go first, and every text ends in a vector or an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minivec.embedding.backend import Backend, DeviceLost, FakeBackend
from minivec.embedding.budget import RECOVERY_PASSES
from minivec.embedding.queue import Ticket
from minivec.embedding.scheduler import QUERY_TURNS, Scheduler
from minivec.errors import Busy, Closed, EmbeddingFailed
from tests.embedding.backends import (
    POISON,
    TIMEOUT,
    AnsweringBackend,
    GatedBackend,
    GatedPoison,
    PoisonedBackend,
    RecordingBackend,
    text,
)

Make = Callable[..., Scheduler]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes schedulers and closes them when the test ends."""
    made: list[Scheduler] = []

    def make_one(
        *devices: str, batch_tokens: int = 1000, queue_tokens: int = 1000, queue_delay: float = 0.0
    ) -> Scheduler:
        names = devices or ("test",)
        made.append(Scheduler(*names, batch_tokens=batch_tokens, queue_tokens=queue_tokens, queue_delay=queue_delay))
        return made[-1]

    yield make_one
    for scheduler in made:
        scheduler.close()


def hold(scheduler: Scheduler, backend: GatedBackend) -> Ticket:
    """Occupy the worker with one text, so that what is submitted next has to wait."""
    ticket = scheduler.submit(backend, [text(99)], "passage")
    assert backend.entered.wait(TIMEOUT)
    return ticket


def finish(scheduler: Scheduler, backend: GatedBackend, *tickets: Ticket) -> None:
    backend.gate.set()
    for ticket in tickets:
        scheduler.wait(ticket)


def expected(backend: FakeBackend, *ids: int) -> np.ndarray:
    return FakeBackend(backend.dimension).forward([text(*ids)])[0]


def test_vectors_come_back_in_the_callers_order(make: Make) -> None:
    backend = RecordingBackend()
    scheduler = make(batch_tokens=12)
    rows = [(5, 6, 7), (5,), (6, 7), (8, 9, 10, 11), (12,)]
    ticket = scheduler.submit(backend, [text(*ids) for ids in rows], "passage")
    scheduler.wait(ticket)
    for vector, ids in zip(ticket.vectors, rows, strict=True):
        assert (vector == expected(backend, *ids)).all()
    assert ticket.errors == [None] * 5


def test_no_texts_end_at_once(make: Make) -> None:
    scheduler = make()
    ticket = scheduler.submit(RecordingBackend(), [], "query")
    scheduler.wait(ticket)
    assert ticket.vectors.shape == (0, 8)


def test_texts_of_several_callers_share_a_batch(make: Make) -> None:
    backend, scheduler = GatedBackend(), make()
    held = hold(scheduler, backend)
    mine = scheduler.submit(backend, [text(5)], "passage")
    yours = scheduler.submit(backend, [text(6), text(7)], "passage")
    finish(scheduler, backend, held, mine, yours)
    assert backend.batches == [[[99]], [[5], [6], [7]]]
    assert (yours.vectors[0] == expected(backend, 6)).all()


def test_two_models_never_share_a_batch(make: Make) -> None:
    gated, scheduler = GatedBackend(), make()
    first, second = RecordingBackend(), RecordingBackend(16)
    held = hold(scheduler, gated)
    tickets = [scheduler.submit(backend, [text(5), text(6)], "passage") for backend in (first, second, first)]
    finish(scheduler, gated, held, *tickets)
    assert first.batches == [[[5], [6], [5], [6]]]
    assert second.batches == [[[5], [6]]]
    assert [ticket.vectors.shape[1] for ticket in tickets] == [8, 16, 8]


def test_queries_overtake_passages(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(batch_tokens=1)
    held = hold(scheduler, backend)
    passages = scheduler.submit(backend, [text(5), text(6)], "passage")
    queries = scheduler.submit(backend, [text(7), text(8)], "query")
    finish(scheduler, backend, held, passages, queries)
    assert backend.batches == [[[99]], [[7]], [[8]], [[5]], [[6]]]


def test_a_query_waits_for_one_pass_even_while_a_poisonous_passage_is_looked_for(make: Make) -> None:
    backend, scheduler = GatedPoison(), make()
    passages = scheduler.submit(backend, [text(5 + i) if i != 3 else text(POISON) for i in range(8)], "passage")
    assert backend.entered.wait(TIMEOUT)
    query = scheduler.submit(backend, [text(7)], "query")
    finish(scheduler, backend, query, passages)
    assert [len(batch) for batch in backend.batches] == [8, 1, 4, 2, 2, 1, 1, 4]
    assert [error is not None for error in passages.errors] == [i == 3 for i in range(8)]


def test_a_query_waits_for_one_pass_even_while_memory_runs_out(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(batch_tokens=8)
    backend.most_tokens = 2
    passages = scheduler.submit(backend, [text(5 + i) for i in range(8)], "passage")
    assert backend.entered.wait(TIMEOUT)
    query = scheduler.submit(backend, [text(99)], "query")
    finish(scheduler, backend, query, passages)
    assert backend.batches[0] == [[99]]
    assert backend.refused == 2


def test_an_idle_worker_waits_for_more_to_share_a_batch(make: Make) -> None:
    backend, scheduler = RecordingBackend(), make(batch_tokens=3, queue_delay=3600.0)
    tickets = [scheduler.submit(backend, [text(i)], "passage") for i in (5, 6, 7)]
    for ticket in tickets:
        scheduler.wait(ticket)
    assert backend.batches == [[[5], [6], [7]]]


def test_a_batch_that_does_not_fill_goes_when_the_delay_is_over(make: Make) -> None:
    backend, scheduler = RecordingBackend(), make(queue_delay=1e-4)
    for _ in range(3):
        scheduler.wait(scheduler.submit(backend, [text(5)], "query"))
    assert backend.batches == [[[5]]] * 3


def test_close_does_not_wait_for_the_delay(make: Make) -> None:
    scheduler = make(queue_delay=3600.0)
    ticket = scheduler.submit(RecordingBackend(), [text(5)], "query")
    scheduler.close()
    with pytest.raises(Closed):
        scheduler.wait(ticket)


def test_each_model_has_a_budget_of_its_own(make: Make) -> None:
    small, large = RecordingBackend(), RecordingBackend()
    scheduler = make(batch_tokens=5)
    scheduler.serve([small], batch_tokens=2)
    scheduler.serve([large], batch_tokens=4)
    for backend in (small, large, RecordingBackend()):
        scheduler.wait(scheduler.submit(backend, [text(i) for i in range(5, 25)], "passage"))
        assert {len(batch) for batch in backend.batches} == {scheduler.batch_tokens(backend)}
    assert (scheduler.batch_tokens(small), scheduler.batch_tokens(large)) == (2, 4)


def test_several_devices_work_behind_one_queue_each_with_its_own_copy(make: Make) -> None:
    first, second = GatedBackend(), GatedBackend()
    scheduler = make("test:0", "test:1")
    scheduler.serve([first, second], batch_tokens=1)
    ticket = scheduler.submit(first, [text(5), text(6), text(7)], "passage")
    assert first.entered.wait(TIMEOUT)
    assert second.entered.wait(TIMEOUT)
    first.gate.set()
    finish(scheduler, second, ticket)
    assert sorted(first.batches + second.batches) == [[[5]], [[6]], [[7]]]
    assert first.batches
    assert second.batches
    assert scheduler.devices == ("test:0", "test:1")
    with pytest.raises(ValueError, match="1 replicas for 2"):
        scheduler.serve([RecordingBackend()], batch_tokens=1)


def test_passages_get_their_turn_under_a_flood_of_queries(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(batch_tokens=1)
    held = hold(scheduler, backend)
    passages = scheduler.submit(backend, [text(5)], "passage")
    queries = scheduler.submit(backend, [text(7)] * (QUERY_TURNS + 5), "query")
    finish(scheduler, backend, held, passages, queries)
    assert backend.batches.index([[5]]) == 1 + QUERY_TURNS


def test_a_full_lane_is_busy_and_says_for_how_long(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(queue_tokens=10)
    held = hold(scheduler, backend)
    waiting = scheduler.submit(backend, [text(*range(5, 13))], "passage")
    with pytest.raises(Busy) as caught:
        scheduler.submit(backend, [text(5, 6, 7)], "passage")
    assert 0 < caught.value.retry_after <= 60
    assert scheduler.waiting_tokens == 8
    query = scheduler.submit(backend, [text(5, 6, 7)], "query")  # the other lane still has room
    finish(scheduler, backend, held, waiting, query)
    scheduler.wait(scheduler.submit(backend, [text(5, 6, 7)], "passage"))


def test_an_empty_lane_takes_more_than_its_limit(make: Make) -> None:
    backend, scheduler = RecordingBackend(), make(queue_tokens=2, batch_tokens=3)
    ticket = scheduler.submit(backend, [text(5, 6, 7, 8), text(9, 10)], "passage")
    scheduler.wait(ticket)
    assert ticket.errors == [None, None]


def test_a_patient_caller_waits_for_room(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(queue_tokens=4)
    held = hold(scheduler, backend)
    first = scheduler.submit(backend, [text(5, 6, 7)], "passage")
    later: list[Ticket] = []
    thread = threading.Thread(
        target=lambda: later.append(scheduler.submit(backend, [text(8, 9, 10)], "passage", patient=True))
    )
    thread.start()
    finish(scheduler, backend, held, first)
    thread.join(TIMEOUT)
    scheduler.wait(later[0])
    assert backend.batches == [[[99]], [[5, 6, 7]], [[8, 9, 10]]]


def test_out_of_memory_halves_the_budget_and_goes_on(make: Make) -> None:
    backend, scheduler = RecordingBackend(most_tokens=6), make(batch_tokens=32)
    rows = [text(*range(i, i + 2)) for i in range(10, 42)]
    ticket = scheduler.submit(backend, rows, "passage")
    scheduler.wait(ticket)
    assert ticket.errors == [None] * 32
    assert scheduler.batch_tokens(backend) <= 6
    refused = backend.refused
    scheduler.wait(scheduler.submit(backend, rows, "passage"))
    assert backend.refused == refused  # the smaller budget is remembered


def test_a_halved_budget_grows_back_once_memory_is_free_again(make: Make) -> None:
    backend, scheduler = RecordingBackend(most_tokens=4), make(batch_tokens=8)
    scheduler.wait(scheduler.submit(backend, [text(i) for i in range(5, 13)], "passage"))
    assert scheduler.batch_tokens(backend) == 4
    backend.most_tokens = None
    for _ in range(RECOVERY_PASSES):
        scheduler.wait(scheduler.submit(backend, [text(5)], "query"))
    scheduler.wait(scheduler.submit(backend, [text(i) for i in range(5, 25)], "passage"))
    assert max(len(batch) for batch in backend.batches) == 8
    assert scheduler.batch_tokens(backend) == 8


def test_batches_already_planned_keep_the_smaller_budget(make: Make) -> None:
    gated, scheduler = GatedBackend(), make(batch_tokens=8)
    backend = RecordingBackend(most_tokens=4)
    held = hold(scheduler, gated)
    ticket = scheduler.submit(backend, [text(i) for i in range(5, 45)], "passage")
    finish(scheduler, gated, held, ticket)
    assert backend.refused == 1
    assert {len(batch) for batch in backend.batches} == {4}


def test_a_text_that_never_fits_fails_alone_and_leaves_the_budget(make: Make) -> None:
    backend, scheduler = RecordingBackend(most_tokens=4), make(batch_tokens=4)
    ticket = scheduler.submit(backend, [text(5), text(*range(5, 15)), text(6)], "passage")
    scheduler.wait(ticket)
    assert [type(error) for error in ticket.errors] == [type(None), EmbeddingFailed, type(None)]
    assert "10 tokens" in str(ticket.errors[1])
    assert scheduler.batch_tokens(backend) == 4
    assert not ticket.vectors[1].any()


@settings(max_examples=40, deadline=None)
@given(poisonous=st.lists(st.booleans(), min_size=1, max_size=40), batch_tokens=st.integers(1, 50))
def test_only_the_poisonous_texts_fail(poisonous: list[bool], batch_tokens: int) -> None:
    scheduler = Scheduler("test", batch_tokens=batch_tokens, queue_tokens=1000)
    try:
        backend = PoisonedBackend(8)
        rows = [(5 + i, POISON) if bad else (5 + i,) for i, bad in enumerate(poisonous)]
        ticket = scheduler.submit(backend, [text(*ids) for ids in rows], "passage")
        scheduler.wait(ticket)
        assert [error is not None for error in ticket.errors] == poisonous
        for vector, error, ids in zip(ticket.vectors, ticket.errors, rows, strict=True):
            assert (vector == (0 if error else expected(backend, *ids))).all()
    finally:
        scheduler.close()


def test_one_poisonous_text_among_many_costs_few_passes(make: Make) -> None:
    backend, scheduler = PoisonedBackend(8), make()
    ticket = scheduler.submit(backend, [text(5 + i) if i != 77 else text(POISON) for i in range(128)], "passage")
    scheduler.wait(ticket)
    assert "index out of range" in str(ticket.errors[77])
    assert backend.passes == 1 + 2 * 7  # bisection of 128


def test_a_vector_that_is_not_finite_fails_its_text_alone(make: Make) -> None:
    def spoil(vectors: np.ndarray) -> np.ndarray:
        vectors[1, 3] = np.nan
        return vectors

    scheduler = make()
    ticket = scheduler.submit(AnsweringBackend(spoil), [text(5), text(6), text(7)], "passage")
    scheduler.wait(ticket)
    assert [error is None for error in ticket.errors] == [True, False, True]
    assert not ticket.vectors[1].any()


def test_an_answer_of_the_wrong_shape_is_an_error_not_a_hang(make: Make) -> None:
    scheduler = make()
    ticket = scheduler.submit(AnsweringBackend(lambda vectors: vectors[:, :4]), [text(5), text(6)], "passage")
    scheduler.wait(ticket)
    assert all("shape" in str(error) for error in ticket.errors)
    assert scheduler.trouble == ""


@pytest.mark.parametrize("reason", [DeviceLost("the card fell off"), SystemExit("the card fell off")], ids=repr)
def test_a_dead_worker_fails_every_waiter_and_later_callers(make: Make, reason: BaseException) -> None:
    backend, scheduler = GatedBackend(then_raise=reason), make()
    held = hold(scheduler, backend)
    waiting = scheduler.submit(backend, [text(5)], "passage")
    backend.gate.set()
    for ticket in (held, waiting):
        with pytest.raises(EmbeddingFailed, match="the card fell off"):
            scheduler.wait(ticket)
    with pytest.raises(EmbeddingFailed, match="the card fell off"):
        scheduler.submit(backend, [text(5)], "query")
    assert "the card fell off" in scheduler.trouble


def test_a_dying_worker_wakes_those_it_was_at_work_for_itself(make: Make) -> None:
    backend, scheduler = GatedBackend(then_raise=DeviceLost("the card fell off")), make()
    held = hold(scheduler, backend)
    backend.gate.set()
    assert held.wait(TIMEOUT)  # without the scheduler's own look at whether the worker lives
    assert "the card fell off" in str(held.failure)


def test_a_thread_that_vanished_is_noticed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a forked child, where the parent's threads do not exist.
    backend, scheduler = GatedBackend(), make()
    held = hold(scheduler, backend)
    with monkeypatch.context() as patch:
        patch.setattr(scheduler._workers[0], "thread", threading.Thread())
        patch.setattr("minivec.embedding.scheduler.ALIVE_CHECK", 0.01)
        with pytest.raises(EmbeddingFailed, match="forked"):
            scheduler.wait(held)
        with pytest.raises(EmbeddingFailed, match="forked"):
            scheduler.submit(backend, [text(5)], "query")
        assert scheduler.trouble
    backend.gate.set()


def test_close_ends_waiters_and_lets_the_running_batch_finish(make: Make) -> None:
    backend, scheduler = GatedBackend(), make()
    held = hold(scheduler, backend)
    waiting = [scheduler.submit(backend, [text(5)], lane) for lane in ("passage", "query")]
    closing = threading.Thread(target=scheduler.close)
    closing.start()
    for ticket in waiting:
        with pytest.raises(Closed):
            scheduler.wait(ticket)
    finish(scheduler, backend, held)
    closing.join(TIMEOUT)
    assert (held.vectors[0] == expected(backend, 99)).all()
    with pytest.raises(Closed):
        scheduler.submit(backend, [text(5)], "query")
    scheduler.close()
    assert scheduler.trouble == "closed"


def test_close_wakes_a_patient_caller(make: Make) -> None:
    backend, scheduler = GatedBackend(), make(queue_tokens=2)
    held = hold(scheduler, backend)
    scheduler.submit(backend, [text(5, 6)], "passage")
    caught: list[BaseException] = []

    def insist() -> None:
        try:
            scheduler.submit(backend, [text(7, 8)], "passage", patient=True)
        except Closed as error:
            caught.append(error)

    threads = [threading.Thread(target=insist), threading.Thread(target=scheduler.close)]
    for thread in threads:
        thread.start()
    threads[0].join(TIMEOUT)
    assert caught
    finish(scheduler, backend, held)
    threads[1].join(TIMEOUT)


@settings(max_examples=15, deadline=None)
@given(
    calls=st.lists(st.lists(st.lists(st.integers(3, 50), min_size=1, max_size=9), max_size=12), min_size=1, max_size=8),
    batch_tokens=st.integers(1, 40),
    most_tokens=st.integers(9, 40),
)
def test_order_is_kept_under_concurrency(calls: list[list[list[int]]], batch_tokens: int, most_tokens: int) -> None:
    backend = RecordingBackend(most_tokens=most_tokens)
    scheduler = Scheduler("test", batch_tokens=batch_tokens, queue_tokens=10_000)
    tickets: list[Ticket | None] = [None] * len(calls)

    def call(number: int) -> None:
        texts = [text(*ids) for ids in calls[number]]
        tickets[number] = scheduler.submit(backend, texts, "query" if number % 3 == 0 else "passage")
        scheduler.wait(tickets[number])

    _run_together(call, len(calls))
    scheduler.close()
    for ticket, rows in zip(tickets, calls, strict=True):
        assert ticket is not None
        assert ticket.errors == [None] * len(rows)
        for vector, ids in zip(ticket.vectors, rows, strict=True):
            assert (vector == expected(backend, *ids)).all()


def _run_together(call: Callable[[int], None], count: int) -> None:
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(TIMEOUT)
        call(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)


def test_the_fake_keeps_the_backend_contract() -> None:
    backend: Backend = FakeBackend(8)
    assert backend.forward([text(5)]).dtype == np.float32
