"""Bytes on their way to a client that may read slowly, or only after it has sent everything: in memory, then on disk."""

from __future__ import annotations

import asyncio
from tempfile import SpooledTemporaryFile

MEMORY = 2**20
PIECE = 64 * 1024


class Spool:
    """First in, first out. Without it, a client that sends all before it reads would wait for us, and we for it."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=MEMORY)  # noqa: SIM115  # closed by `close`
        self._read = 0
        self._written = 0
        self._finished = False
        self._changed = asyncio.Event()

    def write(self, content: bytes) -> None:
        """Add bytes at the end."""
        self._file.seek(self._written)
        self._file.write(content)
        self._written += len(content)
        self._changed.set()

    def finish(self) -> None:
        """Nothing more comes."""
        self._finished = True
        self._changed.set()

    async def read(self) -> bytes:
        """The next bytes, waiting for some; empty at the end."""
        while self._read == self._written and not self._finished:
            self._changed.clear()
            await self._changed.wait()
        self._file.seek(self._read)
        piece = self._file.read(PIECE)
        self._read += len(piece)
        if self._read == self._written:  # the reader keeps up: begin the file anew
            self._read = self._written = 0
            self._file.seek(0)
            self._file.truncate()
        return piece

    def close(self) -> None:
        """Release the memory or the file."""
        self._file.close()
