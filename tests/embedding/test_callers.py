"""Callers who go away: heard of once, at once when it is too late, and only in the thread that works for them."""

from __future__ import annotations

import threading

from minivec.embedding.callers import Caller, current_caller
from tests.embedding.backends import TIMEOUT


def test_work_knows_for_whom_it_is_done_and_forgets_it_after() -> None:
    caller = Caller()
    assert caller.run(current_caller) is caller
    assert current_caller() is None


def test_other_threads_work_for_nobody() -> None:
    seen: list[Caller | None] = []

    def work() -> None:
        thread = threading.Thread(target=lambda: seen.append(current_caller()))
        thread.start()
        thread.join(TIMEOUT)

    Caller().run(work)
    assert seen == [None]


def test_who_leaves_is_heard_of_once() -> None:
    caller, heard = Caller(), list[str]()
    caller.when_gone(lambda: heard.append("first"))
    assert not caller.gone
    caller.leave()
    caller.leave()
    assert caller.gone
    assert heard == ["first"]
    caller.when_gone(lambda: heard.append("late"))
    assert heard == ["first", "late"]
