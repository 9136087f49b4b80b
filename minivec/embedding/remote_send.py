"""Sends one request to a model service until it is answered: time limit, retries, pauses. Knows nothing of what is sent."""

from __future__ import annotations

import ipaddress
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

import httpx

from minivec.embedding.remote_address import host_of
from minivec.embedding.remote_retry import Breaker, RetryPolicy, is_passing, retry_after
from minivec.embedding.remote_transport import GuardedTransport
from minivec.errors import Closed, EmbeddingFailed, InvalidInput

log = logging.getLogger("minivec.embedding")

MOST_BYTES = 256 * 2**20
TOO_MANY = 429
_PAUSED = "Try again later; what is stored already is not embedded again."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service said in the end, and how often it was asked."""

    status: int
    content: bytes
    attempts: int


class Sender:
    """Posts JSON to one base URL. Holds no key: it comes with every request. Safe from any thread."""

    def __init__(
        self,
        base_url: str,
        *,
        seconds: float,
        guarded: bool = False,
        policy: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.base_url = base_url
        self.host = host_of(base_url)
        self._seconds = seconds
        self._policy = policy or RetryPolicy()
        self._clock = clock
        self._now = now
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._breaker = Breaker(clock)
        if transport is None and guarded:
            transport = GuardedTransport(seconds)
        self._http = httpx.Client(
            transport=transport,
            timeout=httpx.Timeout(seconds, connect=min(seconds, 10.0)),
            limits=httpx.Limits(max_connections=32),
            trust_env=not guarded and not _is_this_machine(base_url),
        )

    def post(self, path: str, body: bytes, key: str) -> Reply:
        """The answer to a request; one of 429 or 5xx only after every attempt.

        Raises EmbeddingFailed when no answer came, InvalidInput for an address that may not be called, Closed.
        """
        left = self._breaker.left()
        if left > 0:
            raise EmbeddingFailed(
                f"{self.host} failed several times in a row and is left alone for {left:.0f} more seconds.",
                hint=_PAUSED,
            )
        began = self._clock()
        for attempt in count(1):
            self._check_open()
            outcome, asked = self._once(path, body, key, attempt)
            if isinstance(outcome, Reply) and not is_passing(outcome.status):
                self._breaker.succeeded()
                return outcome
            pause = self._policy.pause(attempt, self._clock() - began, asked)
            if pause is None:
                break
            log.debug("%s: attempt %d failed, next in %.1f s", self.host, attempt, pause)
            self._sleep(pause)
        if isinstance(outcome, Reply) and outcome.status == TOO_MANY:
            return outcome  # one key's quota says nothing of the service, which others may use
        self._breaker.failed()
        if isinstance(outcome, Reply):
            return outcome
        raise outcome

    def close(self) -> None:
        """Stop waiting and close every connection."""
        self._stop.set()
        self._http.close()

    def _once(self, path: str, body: bytes, key: str, attempt: int) -> tuple[Reply | EmbeddingFailed, float | None]:
        """One attempt: the answer, or why there is none; and the seconds its Retry-After asks for."""
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        deadline = self._clock() + self._seconds
        try:
            with self._http.stream("POST", self.base_url + path, content=body, headers=headers) as response:
                content = self._read(response, deadline)
                asked = retry_after(response.headers.get("retry-after"), self._now())
                return Reply(response.status_code, content, attempt), asked
        except httpx.TimeoutException:
            return self._failure(f"did not answer within {self._seconds:g} seconds", attempt), None
        except httpx.TransportError as error:
            return self._failure(f"could not be reached, or broke off ({error or type(error).__name__})", attempt), None
        except httpx.InvalidURL as error:
            raise InvalidInput(f"{self.host} cannot be called: {error}.", field="base_url") from error
        except RuntimeError as error:  # httpx's way to say that the client was closed meanwhile
            self._check_open()
            raise error

    def _read(self, response: httpx.Response, deadline: float) -> bytes:
        pieces, size = [], 0
        for piece in response.iter_bytes():
            pieces.append(piece)
            size += len(piece)
            if self._clock() > deadline:
                raise httpx.ReadTimeout("the time limit passed while the answer came", request=response.request)
            if size > MOST_BYTES:
                raise httpx.ReadError(f"the answer is larger than {MOST_BYTES} bytes", request=response.request)
        return b"".join(pieces)

    def _failure(self, what: str, attempt: int) -> EmbeddingFailed:
        tries = f", {attempt} times" if attempt > 1 else ""
        return EmbeddingFailed(f"{self.host} {what}{tries}.", hint="Is the base URL right, and the service up?")

    def _check_open(self) -> None:
        if self._stop.is_set():
            raise Closed("The embedding service was closed.", hint="Open the database again.")


def _is_this_machine(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
