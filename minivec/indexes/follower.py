"""Followers: indexes that read the change log, know how far they are, and can be thrown away at any time.

A `Follower` is an index as the log sees it: insert, delete, save, load. `Following` moves one along its feed: it loads
the snapshot or rebuilds from the live documents, applies the log block by block, and lets searches in between.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

from minivec.errors import Closed, Unavailable
from minivec.indexes.feed import Change, Cursor, Feed, LogTrimmed
from minivec.indexes.files import SnapshotDamaged, read_snapshot, remove_snapshot, write_snapshot
from minivec.indexes.locks import SharedLock
from minivec.types.collection import IndexState

logger = logging.getLogger("minivec.indexes")

CHANGES_PER_STEP = 128  # log lines applied while searches wait: some 15 ms for a graph of 100,000
DOCUMENTS_PER_STEP = 1024  # inserted at once by a rebuild or far behind, when searches use the exact stand-in anyway


class Follower(Protocol):
    """An index as the log sees it. `Following` holds the lock around every call.

    Every change may be applied more than once: inserting a known document or deleting an unknown one changes nothing.
    """

    @property
    def name(self) -> str:
        """The name of its position in the truth, unique in the collection, such as "vector:default"."""
        ...

    @property
    def kind(self) -> str:
        """What sort of index it is, such as "hnsw"."""
        ...

    @property
    def signature(self) -> str:
        """A hash of every part of the definition a snapshot depends on: another signature, another index."""
        ...

    def __len__(self) -> int:
        """How many documents it holds."""
        ...

    def insert(self, doc_ids: Sequence[int], feed: Feed) -> None:
        """Add these documents with what the feed has for them; those it has nothing for are left out."""
        ...

    def delete(self, doc_ids: Sequence[int]) -> None:
        """Forget these documents."""
        ...

    def reset(self) -> None:
        """Become empty."""
        ...

    def save(self) -> bytes:
        """Everything needed to load it again."""
        ...

    def load(self, payload: memoryview) -> None:
        """Become what `save` described. Raises ValueError when the payload does not fit."""
        ...


class Following:
    """One follower on its way along the log. Safe for any number of threads.

    `path` is where its snapshot lives, None for nowhere; `owner` names the collection, so that its snapshots are no
    other's. A `read_only` one loads a snapshot but never writes one.
    """

    def __init__(
        self, follower: Follower, feed: Feed, path: Path | None, *, owner: str = "", read_only: bool = False
    ) -> None:
        self._follower = follower
        self._feed = feed
        self._path = path
        self._owner = owner
        self._read_only = read_only
        self._contents = SharedLock()
        self._turn = threading.Lock()  # whoever holds it moves the follower, for all who wait
        self._saving = threading.Lock()
        self._cursor: Cursor | None = None
        self._saved: Cursor | None = None
        self._rebuild: _Rebuild | None = None
        self._unsaved = 0
        self._note = ""
        self._stopped = False
        self._limit = CHANGES_PER_STEP

    @property
    def name(self) -> str:
        """The follower's name in the truth."""
        return self._follower.name

    @property
    def cursor(self) -> Cursor | None:
        """How far the follower is; None before `open` and while it is rebuilt."""
        return self._cursor

    @property
    def unsaved(self) -> int:
        """How many changes the snapshot on disk lacks, so that the owner can decide when to save."""
        return self._unsaved

    def open(self, *, new: bool = False) -> None:
        """Load the snapshot where there is a good one; otherwise start a rebuild, which `catch_up` then carries out.

        A `new` follower was never saved, so that a missing snapshot is nothing to tell of.
        """
        with self._turn:
            try:
                self._cursor = self._saved = self._load()
            except FileNotFoundError:
                expected = not new and self._path is not None and len(self._feed.live(0, 1)) > 0
                self._start_rebuild("its snapshot is missing" if expected else "")
            except (SnapshotDamaged, OSError) as error:
                self._start_rebuild(f"its snapshot cannot be used: {error}{self._discard_snapshot()}")

    def ready(self, target: Cursor) -> bool:
        """Whether a search would see every change up to `target`."""
        cursor = self._cursor
        return cursor is not None and self._feed.reached(cursor, target)

    def catch_up(self, target: Cursor | None = None) -> None:
        """Return when the follower has seen everything up to `target` (None: the head of the log now).

        Callers take turns, a step each, so they share the work; one that fails loses neither the position nor the
        turn of the others. Raises what the follower or the feed raised, Unavailable when the log ends before `target`.
        """
        target = self._feed.head() if target is None else target
        while not self.ready(target):
            with self._turn:
                if self._stopped:
                    raise Closed("The index is closed.")
                if not self.ready(target):
                    self._step(target)

    def stop(self) -> None:
        """Let a catch-up that is under way end in Closed after its step, as the owner is closing."""
        self._stopped = True

    def discard(self) -> None:
        """Stop for good and delete the snapshot, as what it follows was dropped."""
        with self._saving:
            self._stopped = True
            path, self._path = self._path, None
            if path is not None and not self._read_only:
                path.unlink(missing_ok=True)

    def reading(self) -> AbstractContextManager[None]:
        """Hold off updates while a search runs. Not reentrant."""
        return self._contents.shared()

    @contextmanager
    def updating(self) -> Iterator[None]:
        """Change the follower's own definition while neither a search nor the log touches it."""
        with self._turn, self._contents.exclusive():
            yield

    def state(self) -> IndexState:
        """How far the follower is, for `describe`; `note` tells of a rebuild, a backlog or a snapshot that failed."""
        cursor, rebuild = self._cursor, self._rebuild
        behind = 0 if cursor is None else self._feed.behind(cursor)
        note = self._note
        if rebuild is not None:
            note = f"rebuilding, {rebuild.walked} documents so far"
        elif behind:
            note = f"{behind} changes behind"
        return IndexState(
            name=self._follower.name,
            kind=self._follower.kind,
            count=len(self._follower),
            ready=cursor is not None and not behind,
            note=note,
        )

    def inspect(self) -> str:
        """What is wrong with the snapshot on disk; "" when it is good, or there is none. Changes nothing."""
        try:
            self._read()
        except FileNotFoundError:
            return ""
        except (SnapshotDamaged, OSError) as error:
            return str(error)
        return ""

    def save(self) -> Cursor | None:
        """Write a snapshot and return the cursor it stands at, from which the log is needed; None where there is none.

        Nothing is written when the snapshot is up to date, when there is no path, in a read-only database, or during a
        rebuild. A disk that refuses is logged and noted: the old snapshot stays, and nothing is lost but time.
        """
        with self._saving:
            if self._path is None or self._read_only:
                return None
            with self._turn:
                if self._cursor is None or self._cursor == self._saved:
                    return self._saved
                cursor, unsaved, payload = self._cursor, self._unsaved, self._follower.save()
            if self._write(self._path, cursor, payload):
                self._saved = cursor
                self._unsaved -= unsaved
            return self._saved

    def _write(self, path: Path, cursor: Cursor, payload: bytes) -> bool:
        follower = self._follower
        header = {
            "owner": self._owner,
            "name": follower.name,
            "kind": follower.kind,
            "signature": follower.signature,
            "cursor": cursor,
        }
        try:
            write_snapshot(path, header, payload)
        except OSError as error:
            self._note = f"its snapshot could not be written: {error}"
            logger.warning("%s: %s", follower.name, self._note)
            return False
        self._note = ""
        return True

    def _read(self) -> tuple[dict[str, Any], memoryview]:
        if self._path is None:
            raise FileNotFoundError
        header, payload = read_snapshot(self._path, self._follower.kind, self._follower.signature)
        if (header.get("owner"), header.get("name")) != (self._owner, self._follower.name):
            raise SnapshotDamaged("it belongs to another collection or index")
        return header, payload

    def _discard_snapshot(self) -> str:
        """A file that was refused today must not be believed tomorrow, when the log may have passed its cursor."""
        if self._path is None or self._read_only:
            return ""
        try:
            remove_snapshot(self._path)
        except OSError as error:
            return f" (nor be removed: {error})"
        return ""

    def _load(self) -> Cursor:
        header, payload = self._read()
        cursor = Cursor(str(header.get("cursor")))
        try:
            if not self._feed.reached(self._feed.head(), cursor):
                raise SnapshotDamaged("it is ahead of the log")
            with self._contents.exclusive():
                self._follower.load(payload)
        except ValueError as error:
            raise SnapshotDamaged(str(error)) from error
        return cursor

    def _step(self, target: Cursor) -> None:
        if self._rebuild is None and self._cursor is None:
            self._start_rebuild("")
        if self._rebuild is not None:
            self._step_rebuild(self._rebuild)
            return
        assert self._cursor is not None
        try:
            changes, cursor = self._feed.changes(self._cursor, self._limit)
        except LogTrimmed:
            self._start_rebuild("the log no longer reaches back to its position")
            return
        if not changes and not self._feed.reached(cursor, target):
            raise Unavailable("The change log ends before the wanted position.", hint="Try again.")
        self._apply(changes)
        self._cursor = cursor
        full = len(changes) == self._limit  # large blocks cost less; small ones let searches in
        self._limit = min(2 * self._limit, DOCUMENTS_PER_STEP) if full else CHANGES_PER_STEP

    def _apply(self, changes: Sequence[Change]) -> None:
        """Insert and delete under one hold of the lock, so that no search sees half of an update."""
        deleted = [change.doc_id for change in changes if change.kind == "delete"]
        gone = set(deleted)
        inserted = [change.doc_id for change in changes if change.kind == "insert" and change.doc_id not in gone]
        with self._contents.exclusive():
            if inserted:
                self._follower.insert(inserted, self._feed)
            if deleted:
                self._follower.delete(deleted)
        self._unsaved += len(changes)

    def _start_rebuild(self, reason: str) -> None:
        """Empty the follower; the next steps walk the live documents anew."""
        if reason:
            logger.warning("%s: %s; rebuilding it from the stored documents", self._follower.name, reason)
        self._cursor = self._saved = None
        with self._contents.exclusive():
            self._follower.reset()
        self._unsaved = 0
        self._rebuild = _Rebuild()

    def _step_rebuild(self, rebuild: _Rebuild) -> None:
        """Insert a block of live documents; behind the last one, go on with the log from where the walk began."""
        if rebuild.cursor is None:
            rebuild.cursor = self._feed.head()
        doc_ids = self._feed.live(rebuild.after_doc, DOCUMENTS_PER_STEP)
        if doc_ids:
            with self._contents.exclusive():
                self._follower.insert(doc_ids, self._feed)
            rebuild.after_doc = doc_ids[-1]
            rebuild.walked += len(doc_ids)
            self._unsaved += len(doc_ids)
            return
        self._cursor, self._rebuild = rebuild.cursor, None


class _Rebuild:
    """How far a rebuild has walked, and where the log continues behind it, known from its first step on."""

    def __init__(self) -> None:
        self.cursor: Cursor | None = None
        self.after_doc = 0
        self.walked = 0
