"""Sends calls over httpx, waiting and retrying as `retry.py` says; the one part of the client that has two forms."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar

import httpx

from minivec.client.retry import Retry, as_minivec
from minivec.client.wire import Call, Reply
from minivec.errors import Closed, InvalidInput, MinivecError

T = TypeVar("T")

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, MinivecError)


class Sender:
    """Sends calls to one server and waits for each; may be used from several threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._retry = retry or Retry()
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, **_options(url, timeout, api_key))

    def send(self, call: Call[T], *, retry: Retry | None = None) -> T:
        """The answer to a call. Raises the server's error, ConnectionFailed, UnexpectedAnswer, Closed."""
        for attempt in count(1):
            try:
                response = self._http.request(**_request(self._http, call))
                return call.read(_reply(response))
            except _FAILURES as failure:
                pause = (retry or self._retry).pause(call, attempt, failure)
                if pause is None:
                    raise as_minivec(failure, self.url, self._timeout) from _cause(failure)
            self._sleep(pause)
        raise AssertionError("count() never ends")

    def close(self) -> None:
        """Close every connection; calls after this raise Closed."""
        self._http.close()


class AsyncSender:
    """Sends calls to one server from an event loop."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        retry: Retry | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._retry = retry or Retry()
        self._sleep = sleep
        self._http = httpx.AsyncClient(transport=transport, **_options(url, timeout, api_key))

    async def send(self, call: Call[T], *, retry: Retry | None = None) -> T:
        """The answer to a call. Raises the server's error, ConnectionFailed, UnexpectedAnswer, Closed."""
        for attempt in count(1):
            try:
                response = await self._http.request(**_request(self._http, call))
                return call.read(_reply(response))
            except _FAILURES as failure:
                pause = (retry or self._retry).pause(call, attempt, failure)
                if pause is None:
                    raise as_minivec(failure, self.url, self._timeout) from _cause(failure)
            await self._sleep(pause)
        raise AssertionError("count() never ends")

    async def close(self) -> None:
        """Close every connection; calls after this raise Closed."""
        await self._http.aclose()


def _options(url: str, timeout: float, api_key: str | None) -> dict[str, Any]:
    host = _host(url)
    if not timeout > 0:
        raise InvalidInput(f"{timeout!r} is no time limit.", field="timeout", hint="Give seconds, more than 0.")
    headers = {"Accept": "application/json"}
    if api_key:
        if not (api_key.isascii() and api_key.isprintable()):
            raise InvalidInput(
                "The key cannot stand in a header.", field="api_key", hint="Use printable ASCII characters."
            )
        headers["Authorization"] = f"Bearer {api_key}"
    return {
        "base_url": url,
        "headers": headers,
        "timeout": httpx.Timeout(timeout, connect=min(timeout, 10.0)),
        "trust_env": not _is_this_machine(
            host
        ),  # a proxy named in the environment cannot reach this machine's loopback
    }


def _host(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise InvalidInput(
            f"{url!r} is not a URL.", field="url", hint="Give one like http://127.0.0.1:8080."
        ) from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidInput(
            f"{url!r} is not a URL of a server.", field="url", hint="Give one like http://127.0.0.1:8080."
        )
    return parsed.host


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[Any]) -> dict[str, Any]:
    if http.is_closed:
        raise Closed("The client is closed.", hint="Connect again; inside `with` it is closed at the end.")
    headers = {} if call.body is None else {"Content-Type": "application/json"}
    return {
        "method": call.method,
        "url": call.path,
        "params": dict(call.query) or None,
        "content": call.body,
        "headers": headers,
    }


def _reply(response: httpx.Response) -> Reply:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Reply(status=response.status_code, headers=headers, content=response.content)


def _cause(failure: Exception) -> Exception | None:
    return None if isinstance(failure, MinivecError) else failure
