"""When a service is asked again, and when it is left alone for a while. Pure: the caller sleeps and tells the time."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """Exponential back-off: `first` seconds, doubled up to `longest`, shortened by chance to between half and all of it.

    `attempts` bounds how often one request is sent, `total` the seconds from the first sending to the last; a service
    that asks for more patience than that is not asked again. `jitter` gives numbers from 0 to 1.
    """

    attempts: int = 6
    first: float = 0.5
    longest: float = 20.0
    total: float = 110.0
    jitter: Callable[[], float] = random.random

    def pause(self, attempt: int, spent: float, asked: float | None) -> float | None:
        """Seconds to wait after attempt number `attempt` (the first is 1), `spent` seconds in; None: give up."""
        if attempt >= self.attempts:
            return None
        wait = min(self.first * 2.0 ** (attempt - 1), self.longest) * (0.5 + self.jitter() / 2)
        wait = max(wait, asked or 0.0)
        return wait if spent + wait <= self.total else None


def is_passing(status: int) -> bool:
    """Whether an answer of this status is worth another attempt: too many requests, or trouble inside the service."""
    return status == 429 or status >= 500


def retry_after(value: str | None, now: float) -> float | None:
    """The seconds a Retry-After header asks for, as a number or as a date (`now`: seconds since 1970); None for nonsense."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


class Breaker:
    """After `limit` requests in a row that failed with all their attempts, a service is left alone for `seconds`.

    Then one failure more starts the next pause. Safe from any thread.
    """

    def __init__(self, clock: Callable[[], float], *, limit: int = 5, seconds: float = 20.0) -> None:
        self._clock = clock
        self._limit = limit
        self._seconds = seconds
        self._failures = 0
        self._until = -math.inf
        self._lock = threading.Lock()

    def left(self) -> float:
        """Seconds until the service may be asked again; 0 when it may now."""
        return max(0.0, self._until - self._clock())

    def succeeded(self) -> None:
        """It answered."""
        with self._lock:
            self._failures = 0

    def failed(self) -> None:
        """It did not, however often it was asked."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._limit:
                self._failures = self._limit - 1
                self._until = self._clock() + self._seconds
