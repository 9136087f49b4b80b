"""Compares a whole database with what was acknowledged: every value, and every index by every way to ask it.

Works through any handle: embedded, or a client of a server. Each violation is a sentence that begins with its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from minivec.errors import MinivecError, ObjectNotFound
from minivec.types.answer import Hit
from minivec.types.object import StoredObject
from tests.crash.history import History, Seen
from tests.crash.values import COMMON, Kind, text_of, token_of

MOST = 10_000
ZERO = 1e-4  # a distance below this is the vector itself, for float32
_WORDS_AT_ONCE = 50
_SAMPLE = 25  # objects asked for one by one beyond those just touched
_DEAD_SAMPLE = 100


@dataclass
class Check:
    """One look at one collection; `violations` fill up as `run` goes on."""

    collection: Any
    kind: Kind
    history: History
    random: Random
    ready: bool = True
    violations: list[str] = field(default_factory=list)

    def run(self) -> dict[str, Seen]:
        """Ask for everything in every way; returns what the collection really holds."""
        try:
            objects = self._listed()
        except MinivecError as error:
            self.violations.append(f"{self.kind.name}: error: the list met {error.code}: {error}")
            return {}
        found = {
            uuid: Seen(token_of(one.properties), str(one.properties.get("origin"))) for uuid, one in objects.items()
        }
        steps = (self._values, self._history, self._counts, self._by_id, self._by_words, self._by_vector, self._dead)
        for step in steps:
            try:
                for violation in step(objects, found):
                    self.violations.append(f"{self.kind.name}: {violation}")
            except MinivecError as error:
                self.violations.append(f"{self.kind.name}: error: {step.__name__} met {error.code}: {error}")
        return found

    def _listed(self) -> dict[str, StoredObject]:
        objects: dict[str, StoredObject] = {}
        cursor = None
        while True:
            page = self.collection.list_objects(limit=200, cursor=cursor, vectors=[s.name for s in self.kind.spaces])
            for one in page.objects:
                if one.uuid in objects:
                    self.violations.append(f"{self.kind.name}: twice: {one.uuid} is listed twice")
                objects[one.uuid] = one
            cursor = page.cursor
            if cursor is None:
                return objects

    def _values(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Text and vectors of one object come from one write."""
        for uuid, one in objects.items():
            token = found[uuid].token
            if dict(one.vectors) != self.kind.vectors(token):
                yield f"mixed: the vectors of {uuid} are not those of its text {token}"

    def _history(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Each object is as some order of the operations left it."""
        for uuid in {*self.history.uuids(), *objects}:
            objection = self.history.objection(uuid, found.get(uuid))
            if objection:
                yield objection

    def _counts(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Everything that counts, counts the same."""
        counted = self.collection.count()
        if counted != len(objects):
            yield f"count: {counted} counted, {len(objects)} listed"
        for index in self.collection.describe().indexes if self.ready else ():
            if index.count != len(objects) or not index.ready:
                yield f"count: index {index.name} holds {index.count} of {len(objects)} ({index.note or 'no note'})"

    def _by_id(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """What is listed can be fetched, what is not cannot."""
        for uuid in self._chosen(self.history.uuids()):
            try:
                one = self.collection.get(uuid, vectors=[s.name for s in self.kind.spaces])
            except ObjectNotFound:
                one = None
            if one != objects.get(uuid):
                yield f"id: {uuid} fetched is not what is listed: {one}"

    def _by_words(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Each token finds its own object, and the common word all of them."""
        tokens = {seen.token: uuid for uuid, seen in found.items()}
        for some in _parts(sorted(tokens), _WORDS_AT_ONCE):
            hits = self._keyword(" ".join(some))
            expected = {tokens[token] for token in some}
            yield from _differences("keyword", expected, hits)
            for hit in hits:
                named = {term.term for part in hit.parts for term in part.terms}
                if hit.uuid in expected and named != {found[hit.uuid].token.lower()}:
                    yield f"mixed: {hit.uuid} was found by {named} and holds {found[hit.uuid].token}"
        yield from _differences("keyword", set(objects), self._keyword(COMMON))

    def _by_vector(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Each vector finds its own object first, and a search without end finds every object once."""
        for space in self.kind.spaces:
            for uuid in self._chosen(objects):
                vector = self.kind.vectors(found[uuid].token)[space.name]
                hits = self.collection.near_vector(vector, space=space.name, limit=1).hits
                if not hits or hits[0].uuid != uuid or abs(hits[0].distance or 0.0) > ZERO:
                    yield f"vector: {uuid} is not the nearest to its own vector in {space.name}, but {_shown(hits)}"
            if objects:
                vector = self.kind.vectors(next(iter(found.values())).token)[space.name]
                everything = self.collection.near_vector(vector, space=space.name, limit=len(objects) + 100).hits
                yield from _differences(f"vector {space.name}", set(objects), everything)
        if not self.kind.supplied:
            yield from self._by_meaning(found)

    def _by_meaning(self, found: Mapping[str, Seen]) -> Iterator[str]:
        for uuid in self._chosen(found)[:_SAMPLE]:
            text = text_of(found[uuid].token)
            for hits in (self.collection.near_text(text, limit=1).hits, self.collection.hybrid(text, limit=1).hits):
                if not hits or hits[0].uuid != uuid:
                    yield f"meaning: {uuid} is not the best for its own text, but {_shown(hits)}"

    def _dead(self, objects: Mapping[str, StoredObject], found: Mapping[str, Seen]) -> Iterator[str]:
        """Nothing is found by what was overwritten, deleted or refused."""
        dead = self.history.dead_tokens(seen.token for seen in found.values())[-_DEAD_SAMPLE:]
        for some in _parts(dead, _WORDS_AT_ONCE):
            for hit in self._keyword(" ".join(some)):
                yield f"ghost: {hit.uuid} was found by words it no longer holds"
        for space in self.kind.spaces:
            for token in dead[-_SAMPLE:]:
                hits = self.collection.near_vector(self.kind.vectors(token)[space.name], space=space.name, limit=1).hits
                if hits and abs(hits[0].distance or 0.0) < ZERO:
                    yield f"ghost: {hits[0].uuid} was found by the vector of {token}, which is gone"

    def _keyword(self, words: str) -> Sequence[Hit]:
        hits: Sequence[Hit] = self.collection.keyword(words, query_properties=["text"], limit=MOST).hits
        return hits

    def _chosen(self, uuids: Iterable[str]) -> list[str]:
        """Those touched since the last look, and a sample of the others."""
        touched = self.history.touched()
        others = [uuid for uuid in uuids if uuid not in touched]
        sample = self.random.sample(others, min(_SAMPLE, len(others)))
        return [uuid for uuid in uuids if uuid in touched] + sample


def disagreement(kind: Kind, hit: Hit, space: str) -> str:
    """Why this hit of a vector search is of two versions at once, "" when it is of one."""
    token = token_of(hit.properties)
    if list(hit.vectors[space]) != kind.vectors(token)[space]:
        return f"{kind.name}: mixed: hit {hit.uuid} has the text of {token} and another vector"
    return ""


def _differences(what: str, expected: set[str], hits: Sequence[Hit]) -> Iterator[str]:
    uuids = [hit.uuid for hit in hits]
    if len(set(uuids)) != len(uuids):
        yield f"{what}: an object was found twice"
    missing, ghosts = expected - set(uuids), set(uuids) - expected
    if missing:
        yield f"{what}: {len(missing)} objects are not found, {sorted(missing)[:3]}"
    if ghosts:
        yield f"{what}: {len(ghosts)} ghosts are found, {sorted(ghosts)[:3]}"


def _parts(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _shown(hits: Sequence[Hit]) -> str:
    return ", ".join(f"{hit.uuid} at {hit.distance}" for hit in hits) or "nothing"
