"""Values that betray mixing: one token names uuid, writer and counter, and text and vector are both made from it."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from minivec.embedding.engine import Engine
from minivec.types.collection import BUNDLED_MODEL, Property, VectorSpace
from minivec.types.object import Draft

DIMENSION = 24
COMMON = "everywhere"  # a word of every object's text

_PROPERTIES = (
    Property(name="text"),
    Property(name="origin", searchable=False),
    Property(name="group", searchable=False),
)


@dataclass(frozen=True)
class Kind:
    """A sort of collection under test; `supplied` when the client hands in the vectors, else the server embeds."""

    name: str
    spaces: tuple[VectorSpace, ...]
    supplied: bool

    @property
    def definition(self) -> dict[str, Any]:
        """What `create_collection` is called with."""
        return {"name": self.name, "properties": _PROPERTIES, "vector_spaces": self.spaces, "auto_schema": False}

    def vectors(self, token: str) -> dict[str, list[float]]:
        """What every space of an object written with this token must hold."""
        vector = list(supplied_vector(token) if self.supplied else embedded_vector(token))
        return {space.name: vector for space in self.spaces}

    def draft(self, uuid: str, token: str, group: str) -> Draft:
        """A whole object, every part of it made from the token."""
        properties = {"text": text_of(token), "origin": token, "group": group}
        return Draft(uuid=uuid, properties=properties, vectors=self.vectors(token) if self.supplied else {})

    def change(self, uuid: str, token: str) -> Draft:
        """A merge: text and vector change together, the origin stays."""
        vectors = self.vectors(token) if self.supplied else {}
        return Draft(uuid=uuid, properties={"text": text_of(token)}, vectors=vectors)


KINDS = (
    Kind(
        "Supplied",
        (
            VectorSpace(name="exact", vectorizer="none", index="flat", distance="cosine"),
            VectorSpace(name="bits", vectorizer="none", index="binary", distance="l2-squared"),
        ),
        supplied=True,
    ),
    Kind("Graph", (VectorSpace(name="graph", vectorizer="none", index="hnsw", distance="l2-squared"),), supplied=True),
    Kind("Embedded", (VectorSpace(name="meaning", index="hnsw", source_properties=("text",)),), supplied=False),
)


def fake_engine() -> Engine:
    """The embedding engine of the server under test, and of those who check it."""
    return Engine.fake(DIMENSION)


def text_of(token: str) -> str:
    """The text of an object written with this token."""
    return f"{COMMON} {token}"


def token_of(properties: Mapping[str, Any]) -> str:
    """The token an object's text names."""
    return str(properties.get("text", "")).removeprefix(f"{COMMON} ")


@lru_cache(maxsize=20_000)
def supplied_vector(token: str) -> tuple[float, ...]:
    """A random direction that is this token's alone; float32 numbers."""
    random = np.random.default_rng(zlib.crc32(token.encode()))
    return tuple(random.standard_normal(DIMENSION).astype(np.float32).tolist())


@lru_cache(maxsize=20_000)
def embedded_vector(token: str) -> tuple[float, ...]:
    """What the server's engine makes of the token's text."""
    result = _embedder().embed([text_of(token)], input_type="passage", truncate="end")
    return tuple(result.vectors[0].tolist())


@lru_cache(maxsize=1)
def _embedder() -> Any:
    return fake_engine().embedder(BUNDLED_MODEL)
