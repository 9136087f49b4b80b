"""The keyword index as bytes: a JSON header, then raw little-endian arrays; no pickle, nothing believed unchecked.

8 bytes   length of the header
header    {"documents": n, "properties": [{"name", "tokenization", "terms", "text", "postings"}, ...]}
n x i8    document ids by slot, then for each property:
  n x i4        length of the value in tokens, -1 for none
  terms x i4    characters of each term;  text bytes: all terms in UTF-8, one after the other
  terms x i4    documents that hold each term
  postings x i4 slots, by term, ascending;  postings x i4 frequencies
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.indexes.postings import MISSING, Packed

_HEADER_LENGTH = 8
_INT32 = np.dtype("<i4")
_INT64 = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a snapshot holds: document ids by slot, and for each property its tokenization and postings."""

    doc_ids: NDArray[np.int64]
    properties: Mapping[str, tuple[str, Packed]]


def write(snapshot: Snapshot) -> bytes:
    """The snapshot as bytes."""
    described: list[dict[str, Any]] = []
    arrays = [snapshot.doc_ids.astype(_INT64).tobytes()]
    for name, (tokenization, packed) in snapshot.properties.items():
        text = "".join(packed.vocabulary).encode("utf-8", "surrogatepass")
        sizes = {"terms": len(packed.vocabulary), "text": len(text), "postings": packed.slots.size}
        described.append({"name": name, "tokenization": tokenization, **sizes})
        characters = np.array([len(term) for term in packed.vocabulary], _INT32)
        arrays += [packed.lengths.astype(_INT32).tobytes(), characters.tobytes(), text]
        arrays += [column.astype(_INT32).tobytes() for column in (packed.counts, packed.slots, packed.frequencies)]
    header = json.dumps({"documents": snapshot.doc_ids.size, "properties": described}).encode()
    return b"".join([len(header).to_bytes(_HEADER_LENGTH, "little"), header, *arrays])


def read(payload: memoryview) -> Snapshot:
    """The snapshot in these bytes. Raises ValueError when anything in them contradicts itself."""
    reader = _Reader(payload)
    length = int.from_bytes(reader.take(_HEADER_LENGTH), "little")
    header = json.loads(bytes(reader.take(length)))
    try:
        documents = _size(header["documents"])
        doc_ids = reader.array(_INT64, documents).astype(np.int64)
        properties = {
            str(p["name"]): (str(p["tokenization"]), _packed(reader, p, documents)) for p in header["properties"]
        }
    except (KeyError, TypeError) as problem:
        raise ValueError(f"the header of the keyword snapshot lacks {problem}") from problem
    _expect(len(properties) == len(header["properties"]), "a property twice")
    _expect(np.unique(doc_ids).size == documents, "a document twice")
    _expect(reader.left == 0, "bytes after its end")
    return Snapshot(doc_ids, properties)


class _Reader:
    """Takes bytes off the front of a payload."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload.cast("B")
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._payload) - self._at

    def take(self, size: int) -> memoryview:
        _expect(0 <= size <= self.left, "less than it announces")
        self._at += size
        return self._payload[self._at - size : self._at]

    def array(self, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def integers(self, count: int) -> NDArray[np.int32]:
        return self.array(_INT32, count).astype(np.int32)


def _packed(reader: _Reader, sizes: Mapping[str, Any], documents: int) -> Packed:
    terms, postings = _size(sizes["terms"]), _size(sizes["postings"])
    lengths = reader.integers(documents)
    characters = reader.integers(terms)
    text = str(reader.take(_size(sizes["text"])), "utf-8", "surrogatepass")
    packed = Packed(
        _split(text, characters),
        counts=reader.integers(terms),
        slots=reader.integers(postings),
        frequencies=reader.integers(postings),
        lengths=lengths,
    )
    _check(packed)
    return packed


def _split(text: str, characters: NDArray[np.int32]) -> list[str]:
    _expect(bool(np.all(characters > 0)) and int(characters.sum()) == len(text), "terms of another length")
    return [text[start:end] for start, end in pairwise(accumulate(characters.tolist(), initial=0))]


def _check(packed: Packed) -> None:
    """What makes postings sound: every number in range, slots ascending in a term, frequencies adding up to lengths."""
    _expect(len(set(packed.vocabulary)) == len(packed.vocabulary), "a term twice")
    _expect(bool(np.all(packed.counts > 0)) and int(packed.counts.sum()) == packed.slots.size, "postings of no term")
    _expect(bool(np.all(packed.lengths >= MISSING)), "a length below -1")
    _expect(bool(np.all(packed.frequencies > 0)), "a frequency below 1")
    in_range = (packed.slots >= 0) & (packed.slots < packed.lengths.size)
    _expect(bool(np.all(in_range)), "postings of a document it does not hold")
    rising = np.diff(packed.slots) > 0
    rising[np.cumsum(packed.counts, dtype=np.int64)[:-1] - 1] = True
    _expect(bool(np.all(rising)), "postings out of order")
    totals = np.bincount(packed.slots, weights=packed.frequencies, minlength=packed.lengths.size)
    _expect(np.array_equal(totals, np.maximum(packed.lengths, 0)), "frequencies that do not add up to the lengths")


def _size(value: Any) -> int:
    _expect(isinstance(value, int) and not isinstance(value, bool) and value >= 0, "a size that is none")
    return int(value)


def _expect(sound: bool, found: str) -> None:
    if not sound:
        raise ValueError(f"the keyword snapshot holds {found}")
