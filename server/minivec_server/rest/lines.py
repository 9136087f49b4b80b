"""The lines of a request's body, in batches, as they arrive: bounded memory whatever is sent."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

BATCH_BYTES = 8 * 2**20
PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TooLong:
    """Stands for a line of more than `most` bytes, whose content was not kept."""

    most: int


class LineReader:
    """Reads an ASGI body. Blank lines are passed over; a last line needs no line break."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive = receive
        self._most = most
        self._ready: deque[bytes | TooLong] = deque()
        self._open: list[bytes] = []
        self._open_bytes = 0
        self._ended = False
        self._pending: asyncio.Task[Message] | None = None

    async def batch(self, count: int) -> list[bytes | TooLong] | None:
        """The next lines: `count` of them, or fewer when they are large or the sender pauses; None after the last.

        Raises ClientDisconnect when the sender is gone.
        """
        while not self._ended and not self._is_full(count):
            message = await self._message(wait=not self._ready)
            if message is None:
                break
            self._take(message)
        return self._give(count) or None

    def close(self) -> None:
        """Wait for no more."""
        if self._pending is not None:
            self._pending.cancel()

    async def _message(self, *, wait: bool) -> Message | None:
        if self._pending is None:
            self._pending = asyncio.ensure_future(self._receive())
        done, _ = await asyncio.wait([self._pending], timeout=None if wait else PAUSE_SECONDS)
        if not done:
            return None
        message = self._pending.result()
        self._pending = None
        return message

    def _take(self, message: Message) -> None:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        first, *rest = message.get("body", b"").split(b"\n")
        self._continue(first)
        for piece in rest:
            self._end_line()
            self._continue(piece)
        if not message.get("more_body", False):
            self._end_line()
            self._ended = True

    def _continue(self, piece: bytes) -> None:
        self._open_bytes += len(piece)
        if self._open_bytes <= self._most:
            self._open.append(piece)
        else:
            self._open.clear()

    def _end_line(self) -> None:
        line = b"".join(self._open)
        if self._open_bytes > self._most:
            self._ready.append(TooLong(self._most))
        elif not line.isspace() and line:
            self._ready.append(line)
        self._open.clear()
        self._open_bytes = 0

    def _is_full(self, count: int) -> bool:
        return len(self._ready) >= count or sum(map(_size, self._ready)) >= BATCH_BYTES

    def _give(self, count: int) -> list[bytes | TooLong]:
        given: list[bytes | TooLong] = []
        size = 0
        while self._ready and len(given) < count and size < BATCH_BYTES:
            line = self._ready.popleft()
            size += _size(line)
            given.append(line)
        return given


def _size(line: bytes | TooLong) -> int:
    return len(line) if isinstance(line, bytes) else 0
