"""The text a vector space embeds for an object: which properties, in which order, joined how."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import orjson

from minivec.types.collection import CollectionConfig, Property, VectorSpace

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_TEXT_TYPES = ("text", "text[]")


def text_of(space: VectorSpace, config: CollectionConfig, properties: Mapping[str, Any]) -> str:
    """The text to embed, "" when there is none.

    Properties in alphabetical order, joined by one space. Without `source_properties` every text and text[] property
    counts, and an object without any yields the collection's name if that is to be included; with them exactly those
    count, and numbers, booleans, dates and objects are written out too.
    """
    parts = list(_parts(space, config, properties))
    if not parts and space.source_properties is not None:
        return ""
    if space.include_collection_name:
        parts.insert(0, spaced_words(config.name))
    return " ".join(parts)


def text_hash(text: str) -> bytes:
    """16 bytes that stand for the text when asking whether it changed."""
    return blake2b(text.encode(), digest_size=16).digest()


def spaced_words(name: str) -> str:
    """A camel-case name as words: `DemoCollection` becomes `Demo Collection`."""
    return " ".join(_WORDS.findall(name))


def _parts(space: VectorSpace, config: CollectionConfig, properties: Mapping[str, Any]) -> Iterator[str]:
    for prop in sorted(_sources(space, config), key=lambda p: p.name):
        prefix = f"{spaced_words(prop.name)} " if space.include_property_names else ""
        for text in _written_out(properties.get(prop.name)):
            yield prefix + text


def _sources(space: VectorSpace, config: CollectionConfig) -> list[Property]:
    if space.source_properties is None:
        return [p for p in config.properties if p.data_type in _TEXT_TYPES]
    return [p for p in config.properties if p.name in space.source_properties]


def _written_out(value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, list):
        for element in value:
            yield from _written_out(element)
    elif isinstance(value, str):
        yield value
    else:
        yield orjson.dumps(value).decode()
