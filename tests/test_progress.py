"""The line that says how far an import is, with a clock and a stream of our own."""

from __future__ import annotations

import io

import pytest

from minivec.progress import ProgressLine, duration, finish, progress_text, reporter, total_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_words_say_share_rate_and_time_left():
    assert progress_text(500, 2000, 2.0) == "[######------------------]  25%  500 of 2,000 objects  250/s  6 s left"
    assert progress_text(2000, 2000, 8.0) == "[########################] 100%  2,000 of 2,000 objects  250/s"
    assert progress_text(1500, None, 2.0) == "1,500 objects  750/s"
    assert progress_text(3, 0, 2.0) == "3 objects  1.5/s"


def test_the_words_bear_a_wrong_total_and_no_time():
    assert progress_text(30, 20, 2.0).startswith("[########################] 100%  30 of 20")
    assert progress_text(0, 20, 0.0) == "[------------------------]   0%  0 of 20 objects  0.0/s"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_a_duration_is_said_as_a_person_says_it(seconds, words):
    assert duration(seconds) == words


def test_a_short_import_draws_nothing():
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock=clock)
    clock.now += 0.3
    line(10, 10)
    line.close(10, 10)
    assert stream.getvalue() == ""


def test_the_line_is_drawn_over_itself_and_not_too_often():
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock=clock)
    for done in range(1, 101):
        clock.now += 0.02
        line(done, 100)
    line.close(100, 100)
    drawn = stream.getvalue().split("\r")[1:]
    assert 10 <= len(drawn) <= 20
    assert drawn[-1].startswith("[########################] 100%  100 of 100 objects  50/s") and drawn[-1].endswith(
        "\n"
    )


def test_what_is_left_of_a_longer_line_is_wiped():
    clock, stream = Clock(), Terminal()
    line = ProgressLine(stream, clock=clock, patience=0, every=0)
    clock.now += 1
    line(1_000_000, 3_000_000)
    longer = len(stream.getvalue()) - 1
    line(3_000_000, 3_000_000)
    assert len(stream.getvalue().split("\r")[2]) == longer


def test_a_terminal_gets_the_line_and_a_pipe_nothing():
    assert isinstance(reporter(None, Terminal()), ProgressLine)
    assert not isinstance(reporter(None, io.StringIO()), ProgressLine)
    assert isinstance(reporter(True, io.StringIO()), ProgressLine)
    assert not isinstance(reporter(False, Terminal()), ProgressLine)


def test_a_function_is_called_as_it_is():
    heard: list[tuple[int, int | None]] = []

    def listen(done: int, total: int | None) -> None:
        heard.append((done, total))

    report = reporter(listen)
    report(1, None)
    finish(report, 1, None)
    assert (report, heard) == (listen, [(1, None)])


def test_finishing_a_silent_one_is_nothing():
    silent = reporter(False)
    silent(1, 2)
    finish(silent, 2, 2)


def test_a_total_is_known_of_lists_and_of_what_gives_a_hint():
    class Hinting:
        def __length_hint__(self) -> int:
            return 7

    assert (total_of([1, 2]), total_of(Hinting()), total_of(iter([1, 2, 3]))) == (2, 7, 3)
    assert (total_of(n for n in "ab"), total_of([]), total_of(object())) == (None, None, None)
