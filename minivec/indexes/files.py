"""Snapshot files: written whole or not at all, and read back only when every byte is the one that was written.

Layout, integers little-endian:

    magic (8) | format (u32) | length of header (u32) | length of payload (u64) | header, JSON
    | crc32 of each payload block (u32 each) | crc32 of everything so far (u32) | payload

A snapshot is never the truth: whoever gets `SnapshotDamaged` rebuilds from the stored documents.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"MINIVECS"
FORMAT = 1
BLOCK = 1 << 20  # bytes under one checksum
MAX_HEADER = 1 << 16  # bytes; a longer length is a damaged length

_FIXED = struct.Struct("<8sIIQ")
_CHECKSUM = struct.Struct("<I")


class SnapshotDamaged(Exception):
    """A snapshot that cannot be used: torn, flipped, foreign or of another definition. `str()` says which."""


def write_snapshot(path: Path, header: Mapping[str, Any], payload: bytes) -> None:
    """Put a snapshot at `path` so that a crash at any moment leaves either the old file or the new one.

    `header` holds JSON values, `kind` and `signature` among them. Raises OSError; the old file is then untouched.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(_preamble(header, payload))
            file.write(payload)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def read_snapshot(path: Path, kind: str, signature: str) -> tuple[dict[str, Any], memoryview]:
    """The header and the payload of a snapshot made by an index of this kind and signature.

    Raises SnapshotDamaged for anything that is not exactly such a file, FileNotFoundError where there is none.
    """
    with path.open("rb") as file:
        header, checksums, payload_length = _read_preamble(file)
        if header.get("kind") != kind or header.get("signature") != signature:
            raise SnapshotDamaged("it was made for another definition of the index")
        payload = bytearray(payload_length)
        if file.readinto(payload) != payload_length:
            raise SnapshotDamaged("it ends too early")
    view = memoryview(payload).toreadonly()
    for number, (start, checksum) in enumerate(zip(range(0, payload_length, BLOCK), checksums, strict=True)):
        if zlib.crc32(view[start : start + BLOCK]) != checksum:
            raise SnapshotDamaged(f"block {number} does not match its checksum")
    return header, view


def remove_snapshot(path: Path) -> None:
    """Delete a snapshot durably; one that is not there is no error. Raises OSError."""
    path.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _preamble(header: Mapping[str, Any], payload: bytes) -> bytes:
    text = json.dumps(dict(header), sort_keys=True).encode()
    view = memoryview(payload)
    checksums = b"".join(
        _CHECKSUM.pack(zlib.crc32(view[start : start + BLOCK])) for start in range(0, len(payload), BLOCK)
    )
    preamble = _FIXED.pack(MAGIC, FORMAT, len(text), len(payload)) + text + checksums
    return preamble + _CHECKSUM.pack(zlib.crc32(preamble))


def _read_preamble(file: BinaryIO) -> tuple[dict[str, Any], list[int], int]:
    """Read up to the payload; every length is compared with the size of the file before anything that long is read."""
    size = os.fstat(file.fileno()).st_size
    fixed = file.read(_FIXED.size)
    if len(fixed) < _FIXED.size:
        raise SnapshotDamaged("it is too short for a snapshot")
    magic, form, header_length, payload_length = _FIXED.unpack(fixed)
    if magic != MAGIC:
        raise SnapshotDamaged("it is not a minivec snapshot")
    if form != FORMAT:
        raise SnapshotDamaged(f"it has format {form}, and this minivec reads format {FORMAT}")
    blocks = -(-payload_length // BLOCK)
    rest = header_length + (blocks + 1) * _CHECKSUM.size
    if header_length > MAX_HEADER or size != _FIXED.size + rest + payload_length:
        raise SnapshotDamaged(f"its length of {size} bytes is not the one it was written with")
    following = file.read(rest)
    if len(following) != rest:
        raise SnapshotDamaged("it ends too early")
    (checksum,) = _CHECKSUM.unpack_from(following, rest - _CHECKSUM.size)
    if zlib.crc32(following[: -_CHECKSUM.size], zlib.crc32(fixed)) != checksum:
        raise SnapshotDamaged("its header does not match its checksum")
    checksums = [number for (number,) in _CHECKSUM.iter_unpack(following[header_length : -_CHECKSUM.size])]
    return json.loads(following[:header_length]), checksums, payload_length


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power loss."""
    if os.name == "nt":  # Windows cannot open a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
