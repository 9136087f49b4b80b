"""The limits on one request: its announced size, and the time it may take. Also the last net for unexpected errors."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from minivec.errors import DeadlineExceeded
from minivec.settings import Settings
from minivec_server.errors import HttpRefusal, answer_to

logger = logging.getLogger("minivec.server")
NDJSON = "application/x-ndjson"
PATIENCE_SECONDS = 5.0


class Guard:
    """ASGI middleware: 413 and 415 for bodies announced as too big or compressed, 504 after the time limit, 500 for the rest.

    The time limit is `scope["minivec.deadline"]`, an asyncio.Timeout; a stream that makes progress may move it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._max_body_bytes = settings.max_body_bytes
        self._seconds = settings.request_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on within its limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        error = await self._call(scope, receive, watched_send)
        if error is None:
            return
        if not begun:
            if isinstance(error, HttpRefusal) and error.status == 413:
                await self._read_on(scope, receive)
            await answer_to(error, scope)(scope, receive, send)
        else:  # the status is out: only an unfinished answer can still say that something went wrong
            logger.error("request %s failed while answering: %s", scope.get("minivec.request_id", ""), error)

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> Exception | None:
        try:
            self._check_head(scope)
            async with asyncio.timeout(self._seconds) as deadline:
                scope["minivec.deadline"] = deadline
                await self._app(scope, receive, send)
        except TimeoutError as error:
            return self._too_late() if deadline.expired() else error
        except ClientDisconnect:
            return None
        except Exception as error:  # it becomes the 500 answer, and its traceback a log line
            return error
        return None

    async def _read_on(self, scope: Scope, receive: Receive) -> None:
        """Read and forget some more of a body that is too big: a client that is still sending would miss the answer."""
        if any(name == b"expect" for name, _ in scope["headers"]):
            return
        left = self._max_body_bytes
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _check_head(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            hint = "Send the body uncompressed."
            raise HttpRefusal(415, "unsupported_media_type", "Compressed bodies are not read.", hint=hint)
        length = headers.get(b"content-length", b"")
        is_stream = headers.get(b"content-type", b"").lower().startswith(NDJSON.encode())
        if not is_stream and length.isdigit() and int(length[:20]) > self._max_body_bytes:
            raise body_too_large(self._max_body_bytes)

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The request took longer than {self._seconds:g} seconds.",
            hint="A write may still be completed; repeating an upsert is safe. Send less at a time.",
        )


def body_too_large(most: int) -> HttpRefusal:
    """The refusal of a body of more than `most` bytes; the connection ends with it, the rest is not read."""
    return HttpRefusal(
        413,
        "limit_exceeded",
        f"The body is larger than {most} bytes.",
        hint=f"Send it in parts, or import as {NDJSON}, which has no limit.",
        headers={"Connection": "close"},
    )
