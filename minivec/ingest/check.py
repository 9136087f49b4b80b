"""Drafts against the collection's definition: accepted, or refused with the field and the reason. Auto-schema lives here."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from minivec.errors import InvalidInput, MinivecError, VectorSpaceNotFound
from minivec.ingest.values import PROPERTY_NAME, check_value, infer_type, read_uuid
from minivec.types.collection import CollectionConfig, Property, VectorSpace
from minivec.types.object import Draft

MAX_DIMENSION = 65_536
_DRAFT_KEYS = {"uuid", "properties", "vectors", "vector"}
_DETERMINISTIC = uuids.UUID("b6f2f3a6-6f0e-5f3c-9d57-0c4a3d1f7c2e")  # our own namespace for uuid5


@dataclass(frozen=True, slots=True)
class Checked:
    """A draft that fits the definition: its place in the import, canonical uuid, clean properties and given vectors."""

    index: int
    uuid: str
    properties: dict[str, Any]
    vectors: dict[str, NDArray[np.float32]]


@dataclass(slots=True)
class Checker:
    """Checks drafts one after the other; `config` grows by what auto-schema learns on the way."""

    config: CollectionConfig
    id_from: Sequence[str] | None = None
    partial: bool = False  # a merge hands over some properties only
    refused: list[tuple[int, MinivecError]] = field(default_factory=list)

    def check_all(self, drafts: Sequence[tuple[int, Draft | Mapping[str, Any]]]) -> list[Checked]:
        """The drafts that fit; what does not is in `refused` and leaves no trace in `config`."""
        accepted = []
        for index, draft in drafts:
            before = self.config
            try:
                accepted.append(self._check(index, draft))
            except MinivecError as error:
                self.config = before
                self.refused.append((index, error))
        return accepted

    def _check(self, index: int, item: Draft | Mapping[str, Any]) -> Checked:
        draft = as_draft(item, self.config)
        properties = self._check_properties(draft.properties)
        vectors = {name: self._check_vector(name, vector) for name, vector in draft.vectors.items()}
        return Checked(index, self._uuid_of(draft, properties), properties, vectors)

    def _check_properties(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(properties, Mapping):
            raise InvalidInput(
                "The properties are not an object.", field="properties", hint='Send {"name": value, ...}.'
            )
        kept = {}
        for name, value in properties.items():
            where = f"properties.{name}"
            if value is not None:
                prop = self.config.property_named(name) or self._learn(name, value, where)
                kept[name] = check_value(prop, value, where)
            elif self.partial:
                kept[name] = None
        return kept

    def _learn(self, name: str, value: Any, where: str) -> Property:
        if not self.config.auto_schema:
            known = ", ".join(p.name for p in self.config.properties) or "none"
            raise InvalidInput(f"There is no property {name!r}.", field=where, hint=f"Add it first; known: {known}.")
        check_property_name(name, where)
        prop = Property(name=name, data_type=infer_type(value, where))
        self.config = self.config.with_properties((prop,))
        return prop

    def _check_vector(self, name: str, vector: Any) -> NDArray[np.float32]:
        where = f"vectors.{name}"
        space = self.config.space_named(name)
        if space is None:
            known = ", ".join(s.name for s in self.config.vector_spaces) or "none"
            raise VectorSpaceNotFound(f"There is no vector space {name!r}.", field=where, hint=f"Known: {known}.")
        array = read_vector(vector, where)
        if space.dimension is None:
            space = replace(space, dimension=len(array))
            self.config = self.config.with_space(space)
        check_dimension(space, len(array), where)
        return array

    def _uuid_of(self, draft: Draft, properties: Mapping[str, Any]) -> str:
        if draft.uuid is not None:
            return read_uuid(draft.uuid, "uuid")
        if self.id_from is None:
            return str(uuids.uuid4())
        missing = [name for name in self.id_from if properties.get(name) is None]
        if missing:
            raise InvalidInput(
                f"The uuid is to be made from {', '.join(self.id_from)}, but {missing[0]!r} is missing.",
                field=f"properties.{missing[0]}",
                hint="Give the property, or a uuid.",
            )
        return deterministic_uuid(self.config.name, {name: properties[name] for name in self.id_from})


def as_draft(item: Draft | Mapping[str, Any], config: CollectionConfig) -> Draft:
    """A draft from its JSON form; `vector` is short for the only space. Raises InvalidInput."""
    if isinstance(item, Draft):
        return item
    if not isinstance(item, Mapping):
        raise InvalidInput(f"An object is expected, not {type(item).__name__}.", hint='Send {"properties": {...}}.')
    unknown = [key for key in item if key not in _DRAFT_KEYS]
    if unknown:
        raise InvalidInput(
            f"An object has no member {unknown[0]!r}.",
            field=str(unknown[0]),
            hint="Members: uuid, properties, vectors, vector. Values of your own go into properties.",
        )
    vectors = item.get("vectors") or {}
    if not isinstance(vectors, Mapping):
        raise InvalidInput("The vectors are not an object.", field="vectors", hint='Send {"space": [numbers]}.')
    if item.get("vector") is not None:
        vectors = {**vectors, only_space(config).name: item["vector"]}
    return Draft(properties=item.get("properties") or {}, uuid=item.get("uuid"), vectors=vectors)


def only_space(config: CollectionConfig) -> VectorSpace:
    """The collection's only vector space. Raises InvalidInput when there are none or several."""
    spaces = config.chosen_spaces
    if len(spaces) == 1:
        return spaces[0]
    names = [space.name for space in config.vector_spaces]
    if not names:
        raise InvalidInput(f"Collection {config.name!r} has no vector space.", field="space", hint="Add one first.")
    raise InvalidInput(
        "The collection has several vector spaces.", field="space", hint=f"Name one of {', '.join(names)}."
    )


def deterministic_uuid(collection: str, values: Mapping[str, Any]) -> str:
    """The same uuid for the same values: uuid5 over the collection's name and the values' canonical JSON."""
    content = orjson.dumps([collection, dict(values)], option=orjson.OPT_SORT_KEYS).decode()
    return str(uuids.uuid5(_DETERMINISTIC, content))


def check_property_name(name: Any, where: str) -> None:
    """Raises InvalidInput for a name that cannot be a property's."""
    if not isinstance(name, str) or not PROPERTY_NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be a property's name.",
            field=where,
            hint="Use letters, digits and underscores, not starting with a digit, at most 231.",
        )


def read_vector(vector: Any, where: str) -> NDArray[np.float32]:
    """A float32 copy of shape (dimension,). Raises InvalidInput naming the first value that is not a finite number."""
    listed = isinstance(vector, (list, tuple)) or (isinstance(vector, np.ndarray) and vector.ndim == 1)
    if not listed or not 0 < len(vector) <= MAX_DIMENSION:
        raise InvalidInput(f"A vector is a list of 1 to {MAX_DIMENSION} numbers.", field=where, hint="Send [0.1, ...].")
    array = _as_array(vector)
    if array is None or not np.isfinite(array).all():
        position = next((i for i, value in enumerate(vector) if not _is_finite_number(value)), 0)
        raise InvalidInput(
            f"{vector[position]!r} is not a finite 32-bit number.",
            field=f"{where}[{position}]",
            hint="Send numbers only.",
        )
    return array


def check_dimension(space: VectorSpace, dimension: int, where: str) -> None:
    """Raises InvalidInput when a vector's length is not the space's."""
    if space.dimension != dimension:
        raise InvalidInput(
            f"The vector has {dimension} dimensions, the space {space.name!r} has {space.dimension}.",
            field=where,
            hint="Use the model that fills this space, or another space.",
        )


def _as_array(vector: Any) -> NDArray[np.float32] | None:
    """The numbers as float32, infinite where they are too big for it; None when some are no numbers."""
    numeric = vector.dtype.kind in "fiu" if isinstance(vector, np.ndarray) else set(map(type, vector)) <= {float, int}
    if not numeric:
        return None
    try:
        with np.errstate(over="ignore"):
            return np.array(vector, dtype=np.float32)
    except OverflowError:  # an int beyond every float
        return None


def _is_finite_number(value: Any) -> bool:
    number = type(value) in (int, float) or isinstance(value, (np.floating, np.integer))
    return number and bool(abs(value) <= float(np.finfo(np.float32).max))
