"""Sends calls over httpx, waiting and retrying as `retry.py` says; the one part of the client that has two forms."""

from __future__ import annotations

import asyncio
import copy
import ipaddress
import time
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, TypeVar

import httpx

from minivec.client.retry import Retry, as_minivec
from minivec.client.wire import Call, Reply
from minivec.errors import Closed, InvalidInput, MinivecError
from minivec.types.credentials import Credentials

T = TypeVar("T")
S = TypeVar("S", "Sender", "AsyncSender")

_FAILURES = (httpx.HTTPError, httpx.InvalidURL, MinivecError)


class Sender:
    """Sends calls to one server and waits for each; may be used from several threads."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._retry = retry or Retry()
        self._sleep = sleep
        self._brought: dict[str, str] = {}
        self._http = httpx.Client(transport=transport, **_options(url, timeout, api_key, headers or {}))

    def bound(self, credentials: Credentials | None) -> Sender:
        """The same connections, but what is sent through it carries the caller's keys for model services."""
        return self if credentials is None else _bound(self, credentials)

    def send(self, call: Call[T], *, retry: Retry | None = None) -> T:
        """The answer to a call. Raises the server's error, ConnectionFailed, UnexpectedAnswer, Closed."""
        for attempt in count(1):
            try:
                response = self._http.request(**_request(self._http, call, self._brought))
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
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        retry: Retry | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self._timeout = timeout
        self._retry = retry or Retry()
        self._sleep = sleep
        self._brought: dict[str, str] = {}
        self._http = httpx.AsyncClient(transport=transport, **_options(url, timeout, api_key, headers or {}))

    def bound(self, credentials: Credentials | None) -> AsyncSender:
        """The same connections, but what is sent through it carries the caller's keys for model services."""
        return self if credentials is None else _bound(self, credentials)

    async def send(self, call: Call[T], *, retry: Retry | None = None) -> T:
        """The answer to a call. Raises the server's error, ConnectionFailed, UnexpectedAnswer, Closed."""
        for attempt in count(1):
            try:
                response = await self._http.request(**_request(self._http, call, self._brought))
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


def _options(url: str, timeout: float, api_key: str | None, more: Mapping[str, str]) -> dict[str, Any]:
    host = _host(url)
    if not timeout > 0:
        raise InvalidInput(f"{timeout!r} is no time limit.", field="timeout", hint="Give seconds, more than 0.")
    headers = {"Accept": "application/json", **{name: _header(name, value) for name, value in more.items()}}
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


def _header(name: str, value: str) -> str:
    if not (isinstance(value, str) and value.isascii() and value.isprintable()):
        raise InvalidInput(
            f"The value of the header {name} cannot be sent.", field="headers", hint="Use printable ASCII characters."
        )
    return value


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


def _bound(sender: S, credentials: Credentials) -> S:
    other = copy.copy(sender)
    brought = {
        "X-NVIDIA-Api-Key": credentials.nvidia_api_key,
        "X-NVIDIA-BaseURL": credentials.nvidia_base_url,
        "X-OpenAI-Api-Key": credentials.openai_api_key,
    }
    other._brought = {name: _header(name, value) for name, value in brought.items() if value}
    return other


def _request(http: httpx.Client | httpx.AsyncClient, call: Call[Any], brought: Mapping[str, str]) -> dict[str, Any]:
    if http.is_closed:
        raise Closed("The client is closed.", hint="Connect again; inside `with` it is closed at the end.")
    headers = dict(brought)
    if call.body is not None:
        headers["Content-Type"] = "application/json"
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
