"""Whether a query can be answered: its limits, its names and its numbers. Refused with the field and what to do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.errors import InvalidInput, LimitExceeded, VectorSpaceNotFound
from minivec.ingest.check import check_dimension, only_space, read_vector
from minivec.ingest.values import check_json
from minivec.types.collection import CollectionConfig, VectorSpace
from minivec.types.query import Cutoff, Paging

MAX_RESULTS = 10_000
MAX_QUERY_CHARACTERS = 1_000_000


def check_text(text: Any, *, may_be_empty: bool = False) -> str:
    """The query's text. Raises InvalidInput when it is not text or empty, LimitExceeded when it is huge."""
    if not isinstance(text, str):
        raise InvalidInput(f"The text to search for is not text but {type(text).__name__}.", field="text")
    check_json(text, "text")
    if len(text) > MAX_QUERY_CHARACTERS:
        raise LimitExceeded(
            f"The text has more than {MAX_QUERY_CHARACTERS} characters.", field="text", hint="Shorten it."
        )
    if not may_be_empty and not text.strip():
        raise InvalidInput("The text to search for is empty.", field="text", hint="Say what to look for.")
    return text


def check_paging(paging: Paging, config: CollectionConfig) -> None:
    """Raises InvalidInput for bad limits and unknown names, LimitExceeded beyond MAX_RESULTS."""
    for name, least in (("limit", 1), ("offset", 0)):
        value = getattr(paging, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidInput(f"{name} is {value!r}.", field=name, hint=f"A whole number of at least {least}.")
    if paging.limit + paging.offset > MAX_RESULTS:
        raise LimitExceeded(
            f"offset + limit is more than {MAX_RESULTS}.", field="limit", hint="Page through objects with list_objects."
        )
    check_names(paging.properties or (), [p.name for p in config.properties], "properties", "property")
    check_names(paging.vectors, [s.name for s in config.vector_spaces], "vectors", "vector space")


def check_names(asked: Sequence[str], known: Sequence[str], field: str, what: str) -> None:
    """Raises InvalidInput that names the first unknown one."""
    for name in asked:
        if name not in known:
            raise InvalidInput(
                f"There is no {what} {name!r}.", field=field, hint=f"Known: {', '.join(known) or 'none'}."
            )


def check_cutoff(cutoff: Cutoff, space: VectorSpace) -> None:
    """Raises InvalidInput for both limits at once, numbers out of range, and certainty without cosine."""
    if cutoff.distance is not None and cutoff.certainty is not None:
        raise InvalidInput("Both distance and certainty are given.", field="certainty", hint="Give one of them.")
    if cutoff.distance is not None:
        check_number(cutoff.distance, "distance", -math.inf, math.inf)
    if cutoff.certainty is not None:
        check_number(cutoff.certainty, "certainty", 0.0, 1.0)
        if space.distance != "cosine":
            raise InvalidInput(
                f"certainty is for cosine spaces; {space.name!r} compares by {space.distance}.",
                field="certainty",
                hint="Use distance.",
            )


def check_number(value: Any, field: str, least: float, most: float) -> None:
    """Raises InvalidInput unless value is a finite number between the two, both included."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or not least <= value <= most:
        raise InvalidInput(f"{field} is {value!r}.", field=field, hint=f"A number from {least} to {most}.")


def space_of(config: CollectionConfig, name: str | None) -> VectorSpace:
    """The named space, or the only one. Raises VectorSpaceNotFound, InvalidInput when several could be meant."""
    if name is None:
        return only_space(config)
    space = config.space_named(name)
    if space is None:
        known = ", ".join(s.name for s in config.vector_spaces) or "none"
        raise VectorSpaceNotFound(f"There is no vector space {name!r}.", field="space", hint=f"Known: {known}.")
    return space


def check_vector(space: VectorSpace, vector: Any) -> NDArray[np.float32]:
    """The query vector as float32 of shape (dimension,). Raises InvalidInput."""
    array = read_vector(vector, "vector")
    if space.dimension is not None:
        check_dimension(space, len(array), "vector")
    return array
