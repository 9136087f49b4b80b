"""What the clients did and were told, and whether a state found later can be explained by it.

Operations of several clients on one object overlap, so its last state is not one but a set: the result of any operation
that no acknowledged operation certainly followed. An operation without an answer may have happened, or not.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Effect = Literal["write", "merge", "delete"]


@dataclass(frozen=True)
class Seen:
    """An object as it was found: the token its text names, and the token of the whole write it began with."""

    token: str
    origin: str


@dataclass(eq=False)
class Operation:
    """One request on one object. `end` is infinite, and `acknowledged` False, until the server answered."""

    uuid: str
    effect: Effect
    token: str = ""
    origin: str = ""
    start: float = field(default_factory=time.monotonic)
    end: float = math.inf
    acknowledged: bool = False

    def certainly_before(self, other: Operation) -> bool:
        """Whether this one was over before the other began."""
        return self.end < other.start


class History:
    """The operations on one collection since it was last looked at, and what was found then. Any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._operations: dict[str, list[Operation]] = {}
        self._dead: list[str] = []
        self.acknowledged = 0

    def begin(self, uuid: str, effect: Effect, token: str = "") -> Operation:
        """Note that a request is about to be sent."""
        operation = Operation(uuid, effect, token)
        with self._lock:
            self._operations.setdefault(uuid, [_baseline(uuid, None)]).append(operation)
        return operation

    def acknowledge(self, operation: Operation) -> None:
        """The server said that it is done, and durable."""
        with self._lock:
            operation.end = time.monotonic()
            operation.acknowledged = True
            self.acknowledged += 1

    def refuse(self, operation: Operation) -> None:
        """The server said that it was not done, or that a later part of the same request undid it: forget it."""
        with self._lock:
            self._operations[operation.uuid].remove(operation)
            self._dead.append(operation.token)

    def uuids(self) -> list[str]:
        """Every object ever touched."""
        with self._lock:
            return sorted(self._operations)

    def touched(self) -> set[str]:
        """The objects touched since the last look."""
        with self._lock:
            return {uuid for uuid, found in self._operations.items() if any(one.start >= 0 for one in found)}

    def dead_tokens(self, live: Iterable[str]) -> list[str]:
        """Tokens that nothing may be found by any more: overwritten, deleted or refused. The newest come last."""
        living = set(live)
        with self._lock:
            tokens = [*self._dead, *(one.token for one in self._all())]
        return [token for token in dict.fromkeys(tokens) if token and token not in living]

    def objection(self, uuid: str, seen: Seen | None) -> str:
        """Why this cannot be the object's state (None: it is not there); "" when it can."""
        with self._lock:
            operations = list(self._operations.get(uuid, ()))
        if not operations:
            return "" if seen is None else f"ghost: {uuid} was never written, and holds {seen.token}"
        last = [one for one in operations if not any(_settled_after(one, other) for other in operations)]
        if seen is None:
            if any(one.effect == "delete" for one in last):
                return ""
            return f"lost: {uuid} is gone, and should hold one of {_tokens(last)}"
        matching = [one for one in last if one.token == seen.token and one.effect != "delete"]
        if not matching:
            return f"lost: {uuid} holds {seen.token}, and should hold one of {_tokens(last)}"
        if any(_origin_fits(one, seen.origin, operations) for one in matching):
            return ""
        return f"mixed: {uuid} holds {seen.token} on top of {seen.origin}"

    def settle(self, found: Mapping[str, Seen]) -> None:
        """Take what was found as what is: everything from now on is judged from there."""
        with self._lock:
            known = set(self._operations) | set(found)
            self._dead = (self._dead + [one.token for one in self._all()])[-2000:]
            self._operations = {uuid: [_baseline(uuid, found.get(uuid))] for uuid in known}

    def _all(self) -> Iterator[Operation]:
        return (one for found in self._operations.values() for one in found)


def _baseline(uuid: str, seen: Seen | None) -> Operation:
    effect: Effect = "delete" if seen is None else "write"
    token, origin = ("", "") if seen is None else (seen.token, seen.origin)
    return Operation(uuid, effect, token, origin, start=-1.0, end=-1.0, acknowledged=True)


def _settled_after(one: Operation, other: Operation) -> bool:
    return other.acknowledged and one.certainly_before(other)


def _origin_fits(one: Operation, origin: str, operations: list[Operation]) -> bool:
    """Whether `one` can have left an object with this origin: its own, or for a merge that of a write just before it."""
    if one.effect == "write":
        return origin == (one.origin or one.token)
    for write in operations:
        if write.effect == "write" and (write.origin or write.token) == origin and not one.certainly_before(write):
            between = [
                other
                for other in operations
                if other.effect != "merge" and _settled_after(write, other) and other.certainly_before(one)
            ]
            if not between:
                return True
    return False


def _tokens(last: list[Operation]) -> str:
    return ", ".join(one.token or "nothing" for one in last[:5])
