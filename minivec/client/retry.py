"""Whether a failed request may be sent again, and after how long. Pure: the caller sleeps."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from minivec.client.wire import Call
from minivec.errors import (
    Busy,
    ClientError,
    Closed,
    ConnectionFailed,
    DatabaseLocked,
    DeadlineExceeded,
    MinivecError,
    ReadOnly,
    Unavailable,
)

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_LASTING = (Closed, DatabaseLocked, ReadOnly, DeadlineExceeded)  # asking again soon would end the same way


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Exponential back-off: `first` seconds, doubled up to `longest`, shortened by chance to between half and all of it.

    `limit` bounds `tries` of every call from above; 1 means never again. `jitter` gives numbers from 0 to 1.
    """

    limit: int = 10
    first: float = 0.25
    longest: float = 8.0
    most_asked: float = 60.0
    jitter: Callable[[], float] = random.random

    def pause(self, call: Call[Any], attempt: int, failure: Exception) -> float | None:
        """Seconds to wait before attempt number `attempt` + 1 (the first is 1); None when it must not be made."""
        if attempt >= min(call.tries, self.limit) or not self._may_repeat(call, failure):
            return None
        wait = min(self.first * 2.0 ** (attempt - 1), self.longest)
        wait *= 0.5 + self.jitter() / 2
        if isinstance(failure, Busy):
            return max(wait, min(failure.retry_after, self.most_asked))
        return wait

    def _may_repeat(self, call: Call[Any], failure: Exception) -> bool:
        if isinstance(failure, (*_NEVER_SENT, Busy)):
            return True  # the server did nothing, so nothing is done twice
        if isinstance(failure, httpx.TransportError):
            return call.repeatable and not isinstance(failure, (httpx.TimeoutException, httpx.UnsupportedProtocol))
        return call.repeatable and isinstance(failure, Unavailable) and not isinstance(failure, _LASTING)


def as_minivec(failure: Exception, url: str, timeout: float) -> MinivecError:
    """The failure as an error of ours: one of httpx's becomes ConnectionFailed, which says what to do."""
    if isinstance(failure, MinivecError):
        return failure
    if isinstance(failure, _NEVER_SENT):
        return ConnectionFailed(
            f"No server answers at {url}.", hint="Start one with `minivec serve --data DIR`, or give its url."
        )
    if isinstance(failure, httpx.TimeoutException):
        return ConnectionFailed(
            f"The server at {url} did not answer within {timeout:g} seconds; what it was asked to do may still happen.",
            hint="Connect with a larger timeout=, or ask for less at once.",
        )
    if isinstance(failure, httpx.TransportError):
        return ConnectionFailed(
            f"The connection to {url} broke ({failure or type(failure).__name__}); what was asked may or may not be done.",
            hint="Is the server still running? Read before you write again.",
        )
    return ClientError(f"The request to {url} failed: {failure}.", hint="Is the url right?")
