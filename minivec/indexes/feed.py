"""What followers read: the change log and the truth behind it, as a contract, so that no index knows SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NewType, Protocol

from minivec.indexes.vector import Ids, Vectors
from minivec.types.collection import Property

Cursor = NewType("Cursor", str)  # opaque: only the feed that made it compares it


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log: a document came or went. Never a payload."""

    doc_id: int
    kind: Literal["insert", "delete"]


class LogTrimmed(Exception):
    """The log no longer reaches back to the cursor: the follower must be rebuilt from the live documents."""


class Feed(Protocol):
    """The truth of one collection as a follower sees it. Every call may run in any thread."""

    def head(self) -> Cursor:
        """The end of the log now."""
        ...

    def reached(self, cursor: Cursor, target: Cursor) -> bool:
        """Whether a follower at `cursor` has seen everything up to `target`."""
        ...

    def behind(self, cursor: Cursor) -> int:
        """About how many changes lie between `cursor` and the head."""
        ...

    def changes(self, after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        """Up to `limit` changes after the cursor, oldest first, and the cursor behind them. Raises LogTrimmed."""
        ...

    def live(self, after_doc: int, limit: int) -> Sequence[int]:
        """Up to `limit` live document ids greater than `after_doc`, ascending: the way a rebuild walks."""
        ...

    def vectors(self, space: str, doc_ids: Sequence[int]) -> tuple[Ids, Vectors]:
        """The stored float32 vectors of these documents, checksums verified; documents without one are left out."""
        ...

    def definition(self) -> Sequence[Property]:
        """The properties the collection has now: at least those that any document of the log so far may hold."""
        ...

    def properties(self, doc_ids: Sequence[int]) -> Sequence[tuple[int, Mapping[str, Any]]]:
        """The properties of those of these documents that are live."""
        ...
