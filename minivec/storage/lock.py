"""The lock on a data directory: one writing process at a time. It dies with its process, however that ends."""

from __future__ import annotations

import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from minivec.errors import DatabaseLocked, StorageError
from minivec.storage.connections import make_folder

FILE_NAME = "LOCK"

if sys.platform == "win32":
    import msvcrt

    _LOCKED_BYTE = 1 << 30  # far behind the text, which others must be able to read

    def _lock(handle: int) -> None:
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class DirectoryLock:
    """Held from `acquire` to `release`. The file LOCK stays; what counts is the lock on it, and its text names the holder."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE_NAME
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock, making the folder when it is missing.

        Raises DatabaseLocked, naming the holder, and StorageError where the folder cannot be written.
        """
        make_folder(self._path.parent)
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StorageError(
                f"The folder {self._path.parent} cannot be written: {error.strerror}.",
                hint="Look at its owner and rights, or open it with read_only=True.",
            ) from error
        try:
            _lock(handle)
        except OSError as error:
            os.close(handle)
            raise self._locked() from error
        self._handle = handle
        self._sign(handle)

    def release(self) -> None:
        """Give the lock back. A second call does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> DirectoryLock:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @staticmethod
    def _sign(handle: int) -> None:
        since = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": since}).encode())

    def _locked(self) -> DatabaseLocked:
        hint = "Open it with read_only=True, or connect to the server that holds it."
        try:
            holder = json.loads(self._path.read_bytes())
            who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):  # the holder is just signing
            who = "another process"
        return DatabaseLocked(f"The folder {self._path.parent} is in use by {who}.", hint=hint)
