"""All followers of one collection together: one per vector space and one for words."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from minivec.errors import VectorSpaceNotFound
from minivec.indexes.feed import Cursor, Feed
from minivec.indexes.follower import Follower, Following
from minivec.indexes.keyword import KeywordIndex, is_searched
from minivec.indexes.vector_follower import VectorFollower
from minivec.types.collection import CollectionConfig, IndexState, Property, VectorSpace


class Followers:
    """Opens, feeds and saves the followers that a collection's definition asks for."""

    def __init__(self, config: CollectionConfig, feed: Feed, folder: Path | None, *, read_only: bool = False) -> None:
        self._feed = feed
        self._folder = folder
        self._read_only = read_only
        self._lock = threading.Lock()
        self._defining = threading.Lock()
        self.keyword = KeywordIndex(config.properties, config.keyword)
        self._words = self._following(self.keyword, "keyword")
        self._spaces: dict[str, tuple[VectorFollower, Following]] = {}
        for space in config.vector_spaces:
            self._add(space)

    def open(self) -> None:
        """Load the snapshots that are good; what is missing is caught up later."""
        for following in self:
            following.open()

    def __iter__(self) -> Iterator[Following]:
        """Each follower's place in the log; the list as it is now."""
        with self._lock:
            return iter([self._words, *(following for _, following in self._spaces.values())])

    def words(self) -> tuple[KeywordIndex, Following]:
        """The keyword index and its place in the log."""
        return self.keyword, self._words

    def space(self, space: VectorSpace) -> tuple[VectorFollower, Following]:
        """The index of a vector space and its place in the log. Raises VectorSpaceNotFound."""
        with self._lock:
            if space.key not in self._spaces:
                raise VectorSpaceNotFound(f"There is no vector space {space.name!r}.", field="space")
            return self._spaces[space.key]

    def follow_definition(self, read: Callable[[], CollectionConfig]) -> None:
        """Take in properties, spaces, dimensions and names that the definition has gained; let go of dropped spaces.

        The definition is read while nobody else follows one, so that an older one never undoes a newer one.
        """
        with self._defining:
            config = read()
            self.keyword_properties(config.properties)
            for space in config.vector_spaces:
                with self._lock:
                    known = self._spaces.get(space.key)
                if known is None:
                    self._add(space)[1].open(new=True)
                else:
                    known[0].space = space
            self._let_go({space.key for space in config.vector_spaces})

    def keyword_properties(self, properties: tuple[Property, ...]) -> None:
        """Add what the keyword index does not know yet, with no search or update under way."""
        known = self.keyword.property_names
        if all(prop.name in known or not is_searched(prop) for prop in properties):
            return
        with self._words.updating():
            for prop in properties:
                self.keyword.add_property(prop)

    def catch_up(self, target: Cursor | None = None) -> None:
        """Bring every follower to the target (the log's end when None)."""
        for following in self:
            following.catch_up(target)

    def ready(self, target: Cursor) -> bool:
        """Whether every follower has seen everything up to the target."""
        return all(following.ready(target) for following in self)

    def states(self) -> tuple[IndexState, ...]:
        """How far each follower is, for people, who know a space by its name."""
        with self._lock:
            names = {follower.name: f"vector:{follower.space.name}" for follower, _ in self._spaces.values()}
        states = (following.state() for following in self)
        return tuple(replace(state, name=names.get(state.name, state.name)) for state in states)

    def save(self) -> dict[str, Cursor]:
        """Write a snapshot of each follower that has one; the cursors that are now safe on disk."""
        return {following.name: cursor for following in self if (cursor := following.save()) is not None}

    def _add(self, space: VectorSpace) -> tuple[VectorFollower, Following]:
        follower = VectorFollower(space)
        pair = (follower, self._following(follower, f"vector-{space.key}"))
        with self._lock:
            self._spaces[space.key] = pair
        return pair

    def _let_go(self, keys: set[str]) -> None:
        with self._lock:
            gone = [self._spaces.pop(key) for key in self._spaces.keys() - keys]
        for _, following in gone:
            following.discard()

    def _following(self, follower: Follower, file: str) -> Following:
        path = None if self._folder is None else self._folder / f"{file}.snapshot"
        owner = "" if self._folder is None else self._folder.name
        return Following(follower, self._feed, path, owner=owner, read_only=self._read_only)
