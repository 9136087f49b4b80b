"""Clients that write at random until the server dies, and note what they asked for and what they were told."""

from __future__ import annotations

import threading
import uuid as uuids
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any

from minivec.errors import (
    Busy,
    Closed,
    CommitUnknown,
    ConnectionFailed,
    ImportFailed,
    MinivecError,
    ObjectExists,
    ObjectNotFound,
    VersionConflict,
)
from minivec.types.filter import Equal
from minivec.types.object import Draft, Outcome
from tests.crash.checker import disagreement
from tests.crash.history import Effect, History, Operation
from tests.crash.values import KINDS, Kind

OWN = 40  # objects only this writer writes
SHARED = 25  # objects all of them write
GROUPS = 8
_REFUSALS = (ObjectExists, ObjectNotFound, VersionConflict, Busy)
_UNKNOWN = (ConnectionFailed, CommitUnknown)


def uuid_of(kind: Kind, owner: str, number: int) -> str:
    """The uuid of an owner's object of this number; the same in every round."""
    return str(uuids.uuid5(uuids.NAMESPACE_URL, f"{kind.name}/{owner}/{number}"))


@dataclass
class Writer:
    """One client thread's work: random writes of its own and of shared objects, and looks at what it has just written."""

    number: int
    database: Any
    histories: Mapping[str, History]
    random: Random
    round_name: str
    violations: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    collections: dict[str, Any] = field(default_factory=dict)
    _counter: Any = field(default_factory=lambda: count(1))

    def work(self) -> None:
        """Write until told to stop, or until the server is gone."""
        try:
            self.begin()
            while not self.stop.is_set():
                self.step()
        except (_Gone, *_UNKNOWN):
            pass
        except MinivecError as error:
            self.violations.append(f"error: a writer met {error.code}: {error}")

    def begin(self) -> None:
        """Look up the collections."""
        self.collections = {kind.name: _Asked(self.database.collection(kind.name)) for kind in KINDS}

    def step(self) -> None:
        """One random request."""
        kind = self.random.choice(KINDS)
        actions: Sequence[tuple[Callable[[Kind, Any], None], int]] = (
            (self._store_one, 8),
            (self._merge, 5),
            (self._delete, 3),
            (self._batch, 4),
            (self._delete_group, 1),
            (self._look, 3),
        )
        (action,) = self.random.choices([one for one, _ in actions], [weight for _, weight in actions])
        action(kind, self.collections[kind.name])

    def _store_one(self, kind: Kind, collection: Any) -> None:
        uuid, group, own = self._object(kind)
        token = self._token()
        draft = kind.draft(uuid, token, group)
        operation = self._begin(kind, uuid, "write", token)
        way = self.random.choice(("upsert", "upsert", "replace", "insert"))
        if way == "insert":
            stored = self._answered(
                kind, [operation], lambda: collection.insert(draft.properties, uuid=uuid, vectors=draft.vectors)
            )
        else:
            method = getattr(collection, way)
            stored = self._answered(kind, [operation], lambda: method(uuid, draft.properties, vectors=draft.vectors))
        if stored and own and self.random.random() < 0.2:
            self._look_for(kind, collection, uuid, token)

    def _merge(self, kind: Kind, collection: Any) -> None:
        uuid, _, _ = self._object(kind)
        token = self._token()
        draft = kind.change(uuid, token)
        operation = self._begin(kind, uuid, "merge", token)
        self._answered(kind, [operation], lambda: collection.merge(uuid, draft.properties, vectors=draft.vectors))

    def _delete(self, kind: Kind, collection: Any) -> None:
        uuid, _, _ = self._object(kind)
        operation = self._begin(kind, uuid, "delete")
        self._answered(kind, [operation], lambda: collection.delete(uuid))

    def _delete_group(self, kind: Kind, collection: Any) -> None:
        group = self.random.randrange(GROUPS)
        members = [uuid_of(kind, self._name, number) for number in range(OWN) if number % GROUPS == group]
        operations = [self._begin(kind, uuid, "delete") for uuid in members]
        where = Equal("group", f"{self._name}-{group}")
        self._answered(kind, operations, lambda: collection.delete_where(where))

    def _batch(self, kind: Kind, collection: Any) -> None:
        """Several objects in one request, now and then one of them twice: then the later one counts."""
        drafts: list[Draft] = []
        operations: list[Operation] = []
        for _ in range(self.random.randint(2, 12)):
            uuid, group, _ = self._object(kind)
            token = self._token()
            drafts.append(kind.draft(uuid, token, group))
            operations.append(self._begin(kind, uuid, "write", token))
        try:
            outcomes: Sequence[Outcome] = collection.import_objects(drafts, raise_on_failure=False).outcomes
        except ImportFailed as failure:
            outcomes = failure.report.outcomes
        except _UNKNOWN as error:
            raise _Gone from error
        self._note_outcomes(kind, operations, outcomes)

    def _note_outcomes(self, kind: Kind, operations: Sequence[Operation], outcomes: Sequence[Outcome]) -> None:
        later: set[str] = set()
        lost_contact = False
        for outcome in sorted(outcomes, key=lambda outcome: outcome.index, reverse=True):
            operation = operations[outcome.index]
            if outcome.stored and operation.uuid in later:
                self.histories[kind.name].refuse(operation)  # overwritten within its own request
            elif outcome.stored:
                self.histories[kind.name].acknowledge(operation)
                later.add(operation.uuid)
            elif outcome.status == "unknown" or outcome.code in ("connection_failed", "closed"):
                lost_contact = True
            else:
                self.histories[kind.name].refuse(operation)
                if outcome.code not in {kind.code for kind in _REFUSALS}:
                    self.violations.append(f"error: a batch was refused: {outcome}")
        if lost_contact or len(outcomes) < len(operations):
            raise _Gone

    def _look(self, kind: Kind, collection: Any) -> None:
        """A search among moving objects: each hit is of one version."""
        space = self.random.choice(kind.spaces).name
        vector = kind.vectors(self._token())[space]
        for hit in collection.near_vector(vector, space=space, limit=10, vectors=[space]).hits:
            self._object_to(disagreement(kind, hit, space))

    def _look_for(self, kind: Kind, collection: Any, uuid: str, token: str) -> None:
        """What this writer alone has just written is found at once, by every way."""
        space = kind.spaces[0].name
        by_vector = collection.near_vector(kind.vectors(token)[space], space=space, limit=1).hits
        by_word = collection.keyword(token, query_properties=["text"], limit=2).hits
        for hits, way in ((by_vector, "its vector"), (by_word, "its word")):
            if [hit.uuid for hit in hits] != [uuid]:
                self._object_to(f"{kind.name}: unseen: {uuid} was acknowledged and is not found by {way} ({token})")

    def _answered(self, kind: Kind, operations: Sequence[Operation], send: Callable[[], Any]) -> bool:
        """Send, and note the answer; whether it was done."""
        try:
            send()
        except _REFUSALS:
            for operation in operations:
                self.histories[kind.name].refuse(operation)
            return False
        except Closed as error:
            raise _Gone from error
        for operation in operations:
            self.histories[kind.name].acknowledge(operation)
        return True

    def _begin(self, kind: Kind, uuid: str, effect: Effect, token: str = "") -> Operation:
        return self.histories[kind.name].begin(uuid, effect, token)

    def _object(self, kind: Kind) -> tuple[str, str, bool]:
        """Some object's uuid and group, and whether nobody else writes it."""
        if self.random.random() < 0.4:
            return uuid_of(kind, "shared", self.random.randrange(SHARED)), "shared", False
        number = self.random.randrange(OWN)
        return uuid_of(kind, self._name, number), f"{self._name}-{number % GROUPS}", True

    def _object_to(self, violation: str) -> None:
        if violation:
            self.violations.append(violation)

    def _token(self) -> str:
        return f"{self.round_name}{self._name}n{next(self._counter)}"

    @property
    def _name(self) -> str:
        return f"w{self.number}"


class _Gone(Exception):
    """The server is gone: whatever it was asked last may have happened."""


class _Asked:
    """A collection whose every call turns a lost connection into `_Gone`."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection

    def __getattr__(self, method: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return getattr(self._collection, method)(*args, **kwargs)
            except _UNKNOWN as error:
                raise _Gone from error

        return call
