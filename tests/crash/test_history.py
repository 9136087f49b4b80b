"""The model of what was acknowledged: which states it explains, and which it does not."""

from __future__ import annotations

import pytest

from tests.crash.history import Effect, History, Operation, Seen

A = "00000000-0000-4000-8000-00000000000a"


def whole(token: str) -> Seen:
    return Seen(token, token)


def done(history: History, effect: Effect, token: str = "") -> Operation:
    operation = history.begin(A, effect, token)
    history.acknowledge(operation)
    return operation


def test_an_acknowledged_write_must_be_there() -> None:
    history = History()
    done(history, "write", "one")
    assert history.objection(A, whole("one")) == ""
    assert history.objection(A, None).startswith("lost")
    assert history.objection(A, whole("two")).startswith("lost")


def test_a_later_acknowledged_write_hides_the_earlier() -> None:
    history = History()
    done(history, "write", "one")
    done(history, "write", "two")
    assert history.objection(A, whole("two")) == ""
    assert history.objection(A, whole("one")).startswith("lost")


def test_a_write_without_an_answer_may_be_there_or_not() -> None:
    history = History()
    done(history, "write", "one")
    history.begin(A, "write", "two")
    assert history.objection(A, whole("one")) == ""
    assert history.objection(A, whole("two")) == ""
    assert history.objection(A, None).startswith("lost")


def test_the_first_write_of_all_without_an_answer_may_have_left_nothing() -> None:
    history = History()
    history.begin(A, "write", "one")
    assert history.objection(A, None) == ""
    assert history.objection(A, whole("one")) == ""


def test_an_unanswered_write_may_come_after_a_later_acknowledged_one() -> None:
    history = History()
    history.begin(A, "write", "slow")
    done(history, "write", "fast")
    assert history.objection(A, whole("slow")) == ""
    assert history.objection(A, whole("fast")) == ""


def test_overlapping_writes_may_end_either_way() -> None:
    history = History()
    first, second = history.begin(A, "write", "one"), history.begin(A, "write", "two")
    history.acknowledge(first)
    history.acknowledge(second)
    assert history.objection(A, whole("one")) == ""
    assert history.objection(A, whole("two")) == ""
    assert history.objection(A, None).startswith("lost")


def test_a_deleted_object_is_a_ghost_when_found() -> None:
    history = History()
    done(history, "write", "one")
    done(history, "delete")
    assert history.objection(A, None) == ""
    assert history.objection(A, whole("one")) != ""


def test_what_nobody_wrote_is_a_ghost() -> None:
    assert History().objection(A, whole("one")).startswith("ghost")


def test_a_refused_write_must_not_be_there() -> None:
    history = History()
    done(history, "write", "one")
    history.refuse(history.begin(A, "write", "two"))
    assert history.objection(A, whole("two")) != ""
    assert "two" in history.dead_tokens(["one"])


def test_a_merge_keeps_the_origin_of_the_write_before_it() -> None:
    history = History()
    done(history, "write", "one")
    done(history, "write", "two")
    done(history, "merge", "three")
    assert history.objection(A, Seen("three", "two")) == ""
    assert history.objection(A, Seen("three", "one")).startswith("mixed")
    assert history.objection(A, Seen("three", "three")).startswith("mixed")


def test_a_write_leaves_no_origin_but_its_own() -> None:
    history = History()
    done(history, "write", "one")
    done(history, "write", "two")
    assert history.objection(A, Seen("two", "one")).startswith("mixed")


@pytest.mark.parametrize("found", [whole("one"), Seen("two", "one"), None])
def test_what_was_found_is_where_the_next_round_begins(found: Seen | None) -> None:
    history = History()
    done(history, "write", "one")
    history.begin(A, "merge", "two")
    history.begin(A, "delete")
    assert history.objection(A, found) == ""
    history.settle({} if found is None else {A: found})
    states = [whole("one"), Seen("two", "one"), None]
    assert [state for state in states if history.objection(A, state) == ""] == [found]
    assert history.touched() == set()
    done(history, "write", "three")
    assert history.objection(A, whole("three")) == ""
    assert history.touched() == {A}
