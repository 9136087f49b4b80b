"""One truth file with the followers that read it: what a collection (later: a tenant) is made of."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from minivec.errors import Closed, CollectionNotFound, MinivecError, ReadOnly
from minivec.indexes.feed import Cursor
from minivec.indexes.follower import Following
from minivec.indexes.followers import Followers
from minivec.indexes.vector_follower import VectorFollower
from minivec.storage.changes import save_cursor, trim
from minivec.storage.engine import Truth
from minivec.storage.feed import TruthFeed
from minivec.storage.reading import count
from minivec.types.collection import CollectionConfig, CollectionInfo, VectorSpace

log = logging.getLogger("minivec")

T = TypeVar("T")

CLOSE_BEHIND = 2_000  # changes a search rather reads itself than scanning every vector
SAVE_EVERY = 20_000  # changes between two snapshots: what a killed process has to read again


class Shard:
    """Opens with whatever its snapshots know and catches up in the background; searches meanwhile are exact."""

    def __init__(self, folder: Path, truth: Truth, *, read_only: bool, background: Executor) -> None:
        self.folder = folder
        self.truth = truth
        self.read_only = read_only
        self.feed = TruthFeed(truth)
        self.followers = Followers(truth.config, self.feed, folder, read_only=read_only)
        self._background = background
        self._acknowledged: Cursor = self.feed.head()
        self._saving = threading.Lock()
        self._users = 0
        self._closing = ""
        self._idle = threading.Condition()
        self.followers.open()
        self._starting = background.submit(self._follow_up, self._acknowledged)

    @property
    def name(self) -> str:
        """The collection's name."""
        return self.truth.config.name

    @contextmanager
    def using(self) -> Iterator[Shard]:
        """Keep the shard open while something runs on it. Raises Closed, or CollectionNotFound after a drop."""
        with self._idle:
            self.check_open()
            self._users += 1
        try:
            yield self
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def target(self) -> Cursor:
        """What a search must have seen: every acknowledged write; for a reader beside a writer, the log's end now."""
        if not self.read_only:
            return self._acknowledged
        self.followers.follow_definition(lambda: self.truth.config)
        return self.feed.head()

    def catch_up(self) -> None:
        """Bring the followers to the log's end, so that the caller reads its own writes. The truth is safe either way."""
        head = self.feed.head()
        self.followers.follow_definition(lambda: self.truth.config)
        self._follow_up(head)
        with self._idle:
            if not self.feed.reached(self._acknowledged, head):
                self._acknowledged = head
        if not self._saving.locked() and any(following.unsaved >= SAVE_EVERY for following in self.followers):
            self._background.submit(self._save_in_background)

    def fresh(self, following: Following, *, wait: bool) -> bool:
        """Whether a search on this follower sees every acknowledged write; the last few changes it reads at once.

        With `wait` it reads all of them, a rebuild too. False while it rebuilds, and when it fails: the log tells why.
        """
        target = self.target()
        cursor = following.cursor
        close = cursor is not None and (following.ready(target) or self.feed.behind(cursor) <= CLOSE_BEHIND)
        if wait or close:
            self._bring_up(following, target)
        return following.ready(target)

    def follower_of(self, space: VectorSpace) -> tuple[VectorFollower, Following]:
        """The index of a vector space and its place in the log. Raises VectorSpaceNotFound when it was dropped meanwhile."""
        if self.read_only:  # the writer beside us may have added or switched it since we looked last
            self.followers.follow_definition(lambda: self.truth.config)
        return self.followers.space(space)

    def while_still(self, look: Callable[[], T]) -> T:
        """Run `look` while no write commits and the followers are at the log's end. Readers beside a writer only try."""

        def work(_: Connection) -> T:
            self.catch_up()
            return look()

        return look() if self.read_only else self.truth.write(work)

    def info(self) -> CollectionInfo:
        """The definition, the number of objects and how far each index is."""
        with self.truth.read() as connection:
            objects = count(connection)
        return CollectionInfo(config=self.truth.config, count=objects, indexes=self.followers.states())

    def change(self, change: Callable[[CollectionConfig], CollectionConfig]) -> CollectionConfig:
        """Change the definition durably. Raises ReadOnly, and whatever `change` raises."""
        if self.read_only:
            raise ReadOnly("The database was opened read-only.", hint="Open it without read_only to change it.")
        self.truth.change_config(change)
        self.followers.follow_definition(lambda: self.truth.config)
        return self.truth.config

    def save(self) -> None:
        """Snapshot the followers and trim the log behind the slowest of them."""

        def work(connection: Connection) -> None:
            current = {following.name for following in self.followers}  # a space may have been dropped meanwhile
            for name in cursors.keys() & current:
                save_cursor(connection, name, cursors[name], time.time_ns() // 1000)
            trim(connection)

        with self._saving:
            cursors = self.followers.save()
            if cursors:
                self.truth.write(work)

    def close(self, *, dropped: bool = False) -> None:
        """Wait for what runs, save, and release every file. Closing twice is no error."""
        with self._idle:
            if self._closing:
                return
            self._closing = "dropped" if dropped else "closed"
            self._idle.wait_for(lambda: self._users == 0)
        for following in self.followers:
            following.stop()
        if not self._starting.cancel():
            self._starting.result()
        if not self.read_only and not dropped:
            self._save_quietly()
        self.truth.close()

    def check_open(self) -> None:
        """Raise Closed, or CollectionNotFound after a drop: long work asks between its batches, as closing waits for it."""
        if self._closing == "dropped":
            raise CollectionNotFound(f"Collection {self.name!r} was dropped.", field="collection")
        if self._closing:
            raise Closed("The database is closed.", hint="Open it again.")

    def _follow_up(self, target: Cursor) -> None:
        for following in self.followers:
            self._bring_up(following, target)

    def _bring_up(self, following: Following, target: Cursor) -> None:
        try:
            following.catch_up(target)
        except Closed:
            return
        except Exception:  # the truth is safe, searches stay exact, and the follower's state says that it is behind
            log.exception("index %s of collection %s could not catch up", following.name, self.name)

    def _save_in_background(self) -> None:
        try:
            with self.using():
                self._save_quietly()
        except (Closed, CollectionNotFound):  # closing saves by itself
            return

    def _save_quietly(self) -> None:
        try:
            self.save()
        except (MinivecError, OSError) as error:  # a snapshot is only a short cut: the next start reads more of the log
            log.warning("collection %s: the index snapshots were not saved: %s", self.name, error)
