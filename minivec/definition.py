"""Whether a definition makes sense: names, types, and which choices go together. Refused with the field and what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, get_args

from minivec.embedding.remote_address import parse_base_url
from minivec.errors import Conflict, InvalidInput
from minivec.ingest.check import MAX_DIMENSION, check_property_name
from minivec.types.collection import (
    CollectionConfig,
    DataType,
    Distance,
    IndexType,
    KeywordOptions,
    Property,
    StopwordPreset,
    Tokenization,
    Truncation,
    Vectorizer,
    VectorSpace,
)

COLLECTION_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_MOST_PROPERTIES = 1_000
_MOST_SPACES = 32
REMOTE: tuple[Vectorizer, ...] = ("nvidia", "openai")


def check_definition(config: CollectionConfig) -> None:
    """Raises InvalidInput that names the field."""
    check_collection_name(config.name)
    _check_kind(config.description, str, "description")
    _check_kind(config.auto_schema, bool, "auto_schema")
    check_properties(config.properties, "properties")
    _check_unique((space.name for space in config.vector_spaces), "vector_spaces")
    if len(config.vector_spaces) > _MOST_SPACES:
        raise InvalidInput(
            f"More than {_MOST_SPACES} vector spaces.", field="vector_spaces", hint="Use several collections."
        )
    for position, space in enumerate(config.vector_spaces):
        check_space(space, config, f"vector_spaces[{position}]")
    _check_keyword(config.keyword)


def with_property(config: CollectionConfig, prop: Property) -> CollectionConfig:
    """The definition with a property added; the same again changes nothing. Raises Conflict for another of its name."""
    known = config.property_named(prop.name)
    if known is None:
        return config.with_properties((prop,))
    if known != prop:
        raise Conflict(
            f"Property {prop.name!r} is there with another definition.", field="name", hint="Use another name."
        )
    return config


def with_space(config: CollectionConfig, space: VectorSpace) -> CollectionConfig:
    """The definition with a vector space added; the same again changes nothing. Raises Conflict for another of its name."""
    known = config.space_named(space.name)
    if known is None:
        return config.with_space(space)
    if known != replace(space, dimension=known.dimension, stored_as=known.stored_as):
        raise Conflict(
            f"Space {space.name!r} is there with another definition.", field="name", hint="Use another name."
        )
    return config


def check_collection_name(name: Any) -> None:
    """Raises InvalidInput."""
    if not isinstance(name, str) or not COLLECTION_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be a collection's name.",
            field="name",
            hint="A letter, then up to 63 letters, digits or underscores.",
        )


def check_properties(properties: Sequence[Property], field: str) -> None:
    """Raises InvalidInput for a bad name, type or tokenization, and for names that come twice."""
    if len(properties) > _MOST_PROPERTIES:
        raise InvalidInput(
            f"More than {_MOST_PROPERTIES} properties.", field=field, hint="Nest some of them in an object."
        )
    _check_unique((prop.name for prop in properties), field)
    for position, prop in enumerate(properties):
        check_property(prop, f"{field}[{position}]")


def check_property(prop: Property, field: str) -> None:
    """Raises InvalidInput."""
    check_property_name(prop.name, f"{field}.name")
    _check_choice(prop.data_type, DataType, f"{field}.data_type")
    _check_choice(prop.tokenization, Tokenization, f"{field}.tokenization")
    _check_kind(prop.searchable, bool, f"{field}.searchable")
    _check_kind(prop.description, str, f"{field}.description")
    if prop.properties and prop.data_type not in ("object", "object[]"):
        raise InvalidInput(
            "Only objects have properties of their own.", field=f"{field}.properties", hint="Use type object."
        )
    check_properties(prop.properties, f"{field}.properties")


def check_space(space: VectorSpace, config: CollectionConfig, field: str) -> None:
    """Raises InvalidInput for bad names and for choices that do not go together."""
    check_property_name(space.name, f"{field}.name")
    _check_choice(space.vectorizer, Vectorizer, f"{field}.vectorizer")
    _check_choice(space.truncate, Truncation, f"{field}.truncate")
    _check_choice(space.distance, Distance, f"{field}.distance")
    _check_choice(space.index, IndexType, f"{field}.index")
    _check_kind(space.model, str, f"{field}.model")
    _check_base_url(space, f"{field}.base_url")
    _check_kept_as_it_was(space, config, field)
    for name in space.source_properties or ():
        if config.property_named(name) is None and not config.auto_schema:
            raise InvalidInput(
                f"There is no property {name!r}.", field=f"{field}.source_properties", hint="Add it first."
            )
    if space.distance == "hamming" and space.index == "hnsw":
        raise InvalidInput(
            "An HNSW graph does not compare by Hamming distance.",
            field=f"{field}.index",
            hint="Use index binary or flat.",
        )
    if space.dimension is not None:
        _check_whole(space.dimension, f"{field}.dimension", 1, MAX_DIMENSION)
    _check_whole(space.hnsw.links, f"{field}.hnsw.links", 2, 512)
    _check_whole(space.hnsw.ef_construction, f"{field}.hnsw.ef_construction", 4, 4096)
    _check_whole(space.hnsw.ef, f"{field}.hnsw.ef", 1, 10_000)
    _check_whole(space.binary.oversampling, f"{field}.binary.oversampling", 1, 1_000)


def _check_base_url(space: VectorSpace, field: str) -> None:
    _check_kind(space.base_url, str, field)
    if not space.base_url:
        return
    if space.vectorizer not in REMOTE:
        raise InvalidInput(
            f"The vectorizer {space.vectorizer} calls no service.",
            field=field,
            hint=f"Leave it out, or choose {' or '.join(REMOTE)}.",
        )
    parse_base_url(space.base_url, field)


def _check_kept_as_it_was(space: VectorSpace, config: CollectionConfig, field: str) -> None:
    known = config.space_named(space.name)
    for name in ("stored_as", "kept_for"):
        value = getattr(space, name)
        if value and (known is None or known is space or value != getattr(known, name)):
            raise InvalidInput(f"{name} is set by reembed only.", field=f"{field}.{name}", hint="Leave it out.")


def _check_keyword(options: KeywordOptions) -> None:
    _check_choice(options.stopwords, StopwordPreset, "keyword.stopwords")
    _check_between(options.k1, "keyword.k1", 0.0, 100.0)
    _check_between(options.b, "keyword.b", 0.0, 1.0)


def _check_between(value: Any, field: str, least: float, most: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        raise InvalidInput(f"{value!r} is out of range.", field=field, hint=f"A number from {least} to {most}.")


def _check_whole(value: Any, field: str, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidInput(f"{value!r} is out of range.", field=field, hint=f"A whole number from {least} to {most}.")


def _check_choice(value: Any, choices: Any, field: str) -> None:
    if value not in get_args(choices):
        raise InvalidInput(f"{value!r} is not possible.", field=field, hint=f"One of {', '.join(get_args(choices))}.")


def _check_kind(value: Any, kind: type, field: str) -> None:
    if not isinstance(value, kind):
        raise InvalidInput(f"{value!r} is not a {kind.__name__}.", field=field)


def _check_unique(names: Iterable[str], field: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidInput(f"The name {name!r} comes twice.", field=field, hint="Names are unique.")
        seen.add(name)
