"""The lock is one process's, names its holder, and dies with it."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest

from minivec.errors import DatabaseLocked, StorageError
from minivec.storage.lock import DirectoryLock
from tests.storage.children import child, line_from

_HOLDER = """
import sys
from pathlib import Path
from minivec.storage.lock import DirectoryLock
DirectoryLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
sys.stdin.read()
"""


def test_another_process_is_refused_with_the_name_of_the_holder(tmp_path: Path) -> None:
    with child(_HOLDER, tmp_path) as holder:
        assert line_from(holder) == "held"
        with pytest.raises(DatabaseLocked) as caught:
            DirectoryLock(tmp_path).acquire()
        assert f"process {holder.pid} on {socket.gethostname()} since 2" in caught.value.message
        assert "read_only=True" in caught.value.hint
        assert "server" in caught.value.hint


def test_the_lock_of_a_killed_holder_is_free_at_once(tmp_path: Path) -> None:
    with child(_HOLDER, tmp_path) as holder:
        assert line_from(holder) == "held"
        holder.kill()
        holder.wait(30)
        with DirectoryLock(tmp_path):
            assert json.loads((tmp_path / "LOCK").read_bytes())["pid"] == os.getpid()


def test_the_holder_signs(tmp_path: Path) -> None:
    (tmp_path / "LOCK").write_text("x" * 500)
    with DirectoryLock(tmp_path):
        signed = json.loads((tmp_path / "LOCK").read_bytes())
    assert (signed["pid"], signed["host"]) == (os.getpid(), socket.gethostname())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", signed["since"])


def test_the_same_process_is_refused_too_until_release(tmp_path: Path) -> None:
    first = DirectoryLock(tmp_path)
    first.acquire()
    with pytest.raises(DatabaseLocked):
        DirectoryLock(tmp_path).acquire()
    first.release()
    first.release()
    with DirectoryLock(tmp_path):
        pass


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path):
        (tmp_path / "LOCK").write_text("")
        with pytest.raises(DatabaseLocked, match="another process"):
            DirectoryLock(tmp_path).acquire()


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path / "new" / "folder"):
        assert (tmp_path / "new" / "folder" / "LOCK").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "LOCK").mkdir()
    with pytest.raises(StorageError, match="cannot be written") as caught:
        DirectoryLock(tmp_path).acquire()
    assert str(tmp_path) in caught.value.message
