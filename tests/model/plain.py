"""A collection as a dict: what every write should do and every search should find, in the plainest words possible."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.types.collection import VectorSpace
from minivec.types.object import Draft

Vector = NDArray[np.float32]
SOURCES = ("body", "title")  # what the embedded spaces read, in the order they read it


@dataclass(frozen=True)
class PlainObject:
    """One object: its properties, its vectors by space, how often it was written, and the number of its first write."""

    properties: dict[str, Any]
    vectors: dict[str, Vector]
    version: int
    born: int

    def same_content(self, other: PlainObject) -> bool:
        """Whether writing one over the other changes nothing."""
        return (
            self.properties == other.properties
            and self.vectors.keys() == other.vectors.keys()
            and all(np.array_equal(vector, other.vectors[name]) for name, vector in self.vectors.items())
        )


@dataclass
class PlainCollection:
    """Objects by uuid in the order of their last write. `embed` turns a text into its vector."""

    spaces: list[VectorSpace]
    embed: Callable[[str], Vector]
    objects: dict[str, PlainObject] = field(default_factory=dict)
    births: int = 0

    def store(self, draft: Draft, mode: str) -> tuple[str, str]:
        """Write one good draft; the status and, for a refusal, the error's code."""
        uuid = str(draft.uuid)
        old = self.objects.get(uuid)
        if mode == "insert" and old is not None:
            return "refused", "object_exists"
        if mode in ("replace", "merge") and old is None:
            return "refused", "object_not_found"
        sent = dict(draft.properties)
        properties = {**old.properties, **sent} if mode == "merge" and old is not None else sent
        properties = {name: value for name, value in properties.items() if value is not None}
        vectors = self._vectors(draft, properties, old, mode)
        if old is None:
            self.births += 1
            self.objects[uuid] = PlainObject(properties, vectors, version=1, born=self.births)
            return "inserted", ""
        new = PlainObject(properties, vectors, old.version + 1, old.born)
        if new.same_content(old):
            return "unchanged", ""
        del self.objects[uuid]
        self.objects[uuid] = new
        return "updated", ""

    def delete(self, uuid: str) -> bool:
        """Whether it was there."""
        return self.objects.pop(uuid, None) is not None

    def matching(self, wanted: Mapping[str, Any]) -> list[str]:
        """The objects whose properties have all these values."""
        return [
            uuid
            for uuid, one in self.objects.items()
            if all(name in one.properties and one.properties[name] == value for name, value in wanted.items())
        ]

    def add_space(self, space: VectorSpace) -> None:
        """A new space, filled from the stored text."""
        self.spaces.append(space)
        if space.vectorizer == "local":
            for uuid, one in self.objects.items():
                text = text_of(one.properties)
                if text:
                    self.objects[uuid] = replace(one, vectors={**one.vectors, space.name: self.embed(text)})

    def with_word(self, word: str) -> set[str]:
        """The objects that hold the word in one of their texts."""
        return {uuid for uuid, one in self.objects.items() if word in words_of(one.properties)}

    def distances(self, space: VectorSpace, query: Sequence[float]) -> dict[str, float]:
        """How far every object with a vector in the space is from the query."""
        found = {uuid: one.vectors.get(space.name) for uuid, one in self.objects.items()}
        return {uuid: distance(space.distance, query, vector) for uuid, vector in found.items() if vector is not None}

    def _vectors(
        self, draft: Draft, properties: dict[str, Any], old: PlainObject | None, mode: str
    ) -> dict[str, Vector]:
        vectors = {name: np.asarray(vector, dtype=np.float32) for name, vector in draft.vectors.items()}
        for space in self.spaces:
            if space.name in vectors:
                continue
            kept = None if old is None else old.vectors.get(space.name)
            if space.vectorizer == "none":
                if mode == "merge" and kept is not None:
                    vectors[space.name] = kept
            elif kept is not None and old is not None and text_of(old.properties) == text_of(properties):
                vectors[space.name] = kept
            elif text_of(properties):
                vectors[space.name] = self.embed(text_of(properties))
        return vectors


def text_of(properties: Mapping[str, Any]) -> str:
    """What an embedded space reads of an object."""
    return " ".join(properties[name] for name in SOURCES if name in properties)


def words_of(properties: Mapping[str, Any]) -> set[str]:
    """Every word of every text."""
    texts = [value for value in properties.values() if isinstance(value, str)]
    return {word for text in texts for word in re.findall(r"[a-z0-9]+", text.lower())}


def distance(kind: str, one: Sequence[float] | Vector, other: Sequence[float] | Vector) -> float:
    """The distance of two vectors in double precision, as the definition has it."""
    a, b = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if kind == "cosine":
        lengths = math.sqrt(float(a @ a) * float(b @ b))
        return 1.0 - float(a @ b) / lengths if lengths else 1.0
    if kind == "dot":
        return -float(a @ b)
    if kind == "l2-squared":
        return float((a - b) @ (a - b))
    return float(np.sum((a > 0) != (b > 0)))
