"""One HTTP connection with limits uvicorn does not have: the bytes, the number and the time of a request's head."""

from __future__ import annotations

import asyncio
import secrets
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from minivec.settings import Settings
from minivec_server.dialect import Dialects
from minivec_server.errors import HttpRefusal

MAX_HEADERS = 256


class _HeadRefused(Exception):
    """Stops the parser; `LimitedConnection._refusal` says why."""


class LimitedConnection(HttpToolsProtocol):
    """Answers 431 to a head that is too big, 408 to one that does not arrive in time, 400 to what is not HTTP."""

    settings: Settings
    dialects: Dialects

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._head_begun = False
        self._bytes_of_open_head = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._refusal: HttpRefusal | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows it too
        """A new connection: its first head has to arrive within the time limit."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, and with it the timer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, and count what arrived of a head that is still open."""
        if self.transport.is_closing():
            return
        began_before = self._head_begun
        super().data_received(data)
        if not (self._head_begun and began_before):  # where in this piece a head begins is not known
            self._bytes_of_open_head = 0
            return
        self._bytes_of_open_head += len(data)
        if self._bytes_of_open_head > self.settings.max_header_bytes:
            self._refusal = self._too_large()
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._head_begun = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._start_timer()

    def on_url(self, url: bytes) -> None:
        """A piece of the request's address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self._count(len(name) + len(value) + 4)
        if len(self.headers) >= MAX_HEADERS:
            self._refuse(self._too_large())
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there: the request goes to the application."""
        self._stop_timer()
        self._head_begun = False
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what never became a request, in the error shape of its address, and end the connection."""
        if self.transport.is_closing():
            return
        refusal = self._refusal or HttpRefusal(400, "invalid_input", "This is not an HTTP/1.1 request.")
        request_id = secrets.token_hex(8)
        dialect = self.dialects.of(self._path())
        body, status = dialect.body(refusal, request_id), dialect.status(refusal)
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _path(self) -> str:
        """The path of the head that arrives now, as far as it has; empty when none has."""
        return self.url.partition(b"?")[0].decode("ascii", "replace") if self._head_begun else ""

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self.settings.max_header_bytes:
            self._refuse(self._too_large())

    def _refuse(self, refusal: HttpRefusal) -> None:
        self._refusal = refusal
        raise _HeadRefused

    def _too_large(self) -> HttpRefusal:
        most = self.settings.max_header_bytes
        return HttpRefusal(
            431, "limit_exceeded", f"The request's head is larger than {most} bytes or has over {MAX_HEADERS} headers."
        )

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.settings.header_seconds, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self._head_begun:
            self.transport.close()
            return
        seconds = self.settings.header_seconds
        self._refusal = HttpRefusal(408, "request_timeout", f"The request's head took longer than {seconds:g} seconds.")
        self.send_400_response("")


def connection_with(settings: Settings, dialects: Dialects) -> type[LimitedConnection]:
    """The connection class with these limits; uvicorn wants a class and makes the connections itself."""
    return type("LimitedConnection", (LimitedConnection,), {"settings": settings, "dialects": dialects})
