"""What the server says about its requests: an id in and out of each, and one access line. Never keys, never bodies."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

access = logging.getLogger("minivec.access")
Watch = Callable[[Scope, int, float], None]
"""Told of every request at its end: its scope, its status (0 = none was sent) and the seconds it took."""
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class Observation:
    """ASGI middleware that gives each request its id (`x-request-id`, the caller's own if it has one) and logs its end."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app = app
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id, and log its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = request_id_of(scope)
        scope["minivec.request_id"] = request_id
        begin = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - begin
            self._watch(scope, status, seconds)
            if access.isEnabledFor(logging.INFO):
                path = scope["path"].encode("ascii", "backslashreplace").decode()
                access.info("%s %s %s %d %.1f ms", request_id, scope["method"], printable(path), status, seconds * 1000)


def request_id_of(scope: Scope) -> str:
    """The caller's request id when it is short and plain, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(8)


def printable(path: str) -> str:
    """A path as it may stand in a log line: no line breaks or control characters, and not endless."""
    return "".join(letter if letter.isprintable() else "?" for letter in path[:200])
