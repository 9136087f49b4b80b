"""A line on a terminal that says how far an import is; and what the `progress` argument of `import_objects` may be."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import length_hint
from typing import TextIO

Report = Callable[[int, int | None], None]
Progress = bool | Report

_BAR = 24


class ProgressLine:
    """Redraws one line of a terminal: bar, objects done, objects per second, time left. Call it with (done, total)."""

    def __init__(
        self, stream: TextIO, *, patience: float = 0.5, every: float = 0.1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._every = every
        self._clock = clock
        self._began = clock()
        self._next = self._began + patience  # a short import draws nothing at all
        self._width = 0

    def __call__(self, done: int, total: int | None) -> None:
        """Say that so many objects are done; drawn at most ten times a second."""
        now = self._clock()
        if now >= self._next:
            self._next = now + self._every
            self._draw(progress_text(done, total, now - self._began))

    def close(self, done: int, total: int | None) -> None:
        """Draw the last state, when anything was drawn, and end the line."""
        if self._width:
            self._draw(progress_text(done, total, self._clock() - self._began))
            self._stream.write("\n")
            self._stream.flush()

    def _draw(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)


def progress_text(done: int, total: int | None, seconds: float) -> str:
    """The words of the line, such as `[######------]  50 %  1,000 of 2,000 objects  250/s  4 s left`."""
    rate = done / seconds if seconds > 0 else 0.0
    speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"
    if not total:
        return f"{done:,} objects  {speed}"
    share = min(done / total, 1.0)
    bar = "#" * round(share * _BAR)
    left = f"  {duration(max(total - done, 0) / rate)} left" if rate and done < total else ""
    return f"[{bar:-<{_BAR}}] {share:4.0%}  {done:,} of {total:,} objects  {speed}{left}"


def duration(seconds: float) -> str:
    """Seconds as a person says them: `8 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def reporter(progress: Progress | None, stream: TextIO | None = None) -> Report:
    """What to call with (done, total): the caller's function, a line on stderr when it is a terminal, or nothing.

    None shows the line on a terminal only; True shows it anywhere; False never.
    """
    if callable(progress):
        return progress
    out = sys.stderr if stream is None else stream
    if progress or (progress is None and out is not None and out.isatty()):
        return ProgressLine(out)
    return lambda done, total: None


def finish(report: Report, done: int, total: int | None) -> None:
    """End the line where `report` is one; the caller's own function has heard everything already."""
    if isinstance(report, ProgressLine):
        report.close(done, total)


@contextmanager
def telling(progress: Progress | None) -> Iterator[Report]:
    """What to call with (done, total) while something runs; the line, where it is one, ends with it."""
    report = reporter(progress)
    last: tuple[int, int | None] = (0, None)

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        last = (done, total)
        report(done, total)

    try:
        yield tell
    finally:
        finish(report, *last)


def total_of(objects: object) -> int | None:
    """How many objects an iterable says it will give, or None."""
    return length_hint(objects, 0) or None
