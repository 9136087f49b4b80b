"""The CRC-32 that stands in each row, over everything whose silent change would give a wrong answer."""

from __future__ import annotations

from struct import Struct
from zlib import crc32

_OBJECT = Struct("<qqqq")
_VECTOR = Struct("<qqq")


def object_checksum(uuid: str, numbers: tuple[int, int, int, int], properties: bytes) -> int:
    """The checksum of a row of `objects`: `numbers` are doc id, version, created_at, updated_at; `properties` UTF-8 JSON."""
    return crc32(properties, crc32(uuid.encode(), crc32(_OBJECT.pack(*numbers))))


def space_seed(space: str) -> int:
    """What the checksums of all vectors of a space start from; make it once per space."""
    return crc32(space.encode())


def vector_checksum(seed: int, numbers: tuple[int, int, int], text_hash: bytes | None, data: bytes) -> int:
    """The checksum of a row of `vectors`: `seed` is `space_seed(space)`, `numbers` are doc id, tokens, cut."""
    return crc32(data, crc32(text_hash or b"", crc32(_VECTOR.pack(*numbers), seed)))


def uuid_bucket(uuid: str) -> int:
    """Which of 256 stable parts of a collection an object belongs to."""
    return crc32(uuid.encode()) % 256
