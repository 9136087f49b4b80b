"""Snapshot files: every damage is found, and a crash while writing leaves the old file."""

import os
import random
import subprocess
import sys

import pytest

from minivec.indexes.files import BLOCK, SnapshotDamaged, read_snapshot, write_snapshot

HEADER = {"kind": "flat", "signature": "abc", "cursor": "1:7"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "vector.snapshot"


def payload(size, seed=0):
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17])
def test_a_snapshot_comes_back_byte_for_byte(path, size):
    write_snapshot(path, HEADER, payload(size))
    header, view = read_snapshot(path, "flat", "abc")
    assert header == HEADER
    assert bytes(view) == payload(size)
    assert view.readonly


def test_a_later_snapshot_takes_the_place_of_the_earlier(path):
    for seed in (1, 2):
        write_snapshot(path, HEADER, payload(100, seed))
    assert bytes(read_snapshot(path, "flat", "abc")[1]) == payload(100, 2)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("kind", "signature"), [("hnsw", "abc"), ("flat", "abd")])
def test_a_snapshot_of_another_index_is_refused(path, kind, signature):
    write_snapshot(path, HEADER, b"data")
    with pytest.raises(SnapshotDamaged, match="another definition"):
        read_snapshot(path, kind, signature)


def test_a_missing_snapshot_is_not_a_damaged_one(path):
    with pytest.raises(FileNotFoundError):
        read_snapshot(path, "flat", "abc")


def test_a_file_cut_short_anywhere_is_refused(path):
    write_snapshot(path, HEADER, payload(5000))
    whole = path.read_bytes()
    for length in random.Random(3).sample(range(len(whole)), 50):
        path.write_bytes(whole[:length])
        with pytest.raises(SnapshotDamaged):
            read_snapshot(path, "flat", "abc")


def test_a_file_that_grew_is_refused(path):
    write_snapshot(path, HEADER, payload(5000))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(SnapshotDamaged, match="length"):
        read_snapshot(path, "flat", "abc")


def test_a_flipped_bit_anywhere_is_found(path):
    write_snapshot(path, HEADER, payload(2000))
    whole = path.read_bytes()
    for bit in random.Random(4).sample(range(len(whole) * 8), 500):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(SnapshotDamaged):
            read_snapshot(path, "flat", "abc")


def test_a_flipped_bit_in_a_later_block_names_the_block(path):
    write_snapshot(path, HEADER, payload(2 * BLOCK + 10))
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(SnapshotDamaged, match="block 2"):
        read_snapshot(path, "flat", "abc")


def test_a_giant_length_is_refused_before_anything_is_read(path):
    write_snapshot(path, HEADER, b"data")
    damaged = bytearray(path.read_bytes())
    damaged[16:24] = (1 << 60).to_bytes(8, "little")
    path.write_bytes(damaged)
    with pytest.raises(SnapshotDamaged, match="length"):
        read_snapshot(path, "flat", "abc")


@pytest.mark.parametrize(("content", "reason"), [(b"", "short"), (b"\x80\x04pickle" * 9, "not a minivec snapshot")])
def test_a_foreign_file_is_refused(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(SnapshotDamaged, match=reason):
        read_snapshot(path, "flat", "abc")


def test_another_format_is_refused(path):
    write_snapshot(path, HEADER, b"data")
    newer = bytearray(path.read_bytes())
    newer[8] = 2
    path.write_bytes(newer)
    with pytest.raises(SnapshotDamaged, match="format 2"):
        read_snapshot(path, "flat", "abc")


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_while_writing_leaves_the_old_snapshot(path, monkeypatch, call):
    write_snapshot(path, HEADER, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space"):
            write_snapshot(path, HEADER, b"new")
    assert bytes(read_snapshot(path, "flat", "abc")[1]) == b"old"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


CRASH = """
import os, pathlib, sys
from minivec.indexes.files import write_snapshot
os.replace = os.rename = pathlib.Path.replace = lambda *_: os._exit(7)
write_snapshot(pathlib.Path(sys.argv[1]), {"kind": "flat", "signature": "abc"}, b"new")
"""


def test_a_crash_before_the_rename_leaves_the_old_snapshot(path):
    write_snapshot(path, HEADER, b"old")
    child = subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    assert child.returncode == 7
    assert len(list(path.parent.iterdir())) == 2
    assert bytes(read_snapshot(path, "flat", "abc")[1]) == b"old"
    write_snapshot(path, HEADER, b"newer")
    assert bytes(read_snapshot(path, "flat", "abc")[1]) == b"newer"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_and_then_its_folder_are_synced(path, monkeypatch):
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.fstat(handle).st_mode >> 12), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda *given: (done.append("rename"), replace(*given)))
    write_snapshot(path, HEADER, b"data")
    assert done == [0o10, "rename", 0o4]  # a regular file, the rename, a folder
