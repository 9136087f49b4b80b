"""The filter tree: its form only. Its one meaning is in `storage/filters.py`."""

from __future__ import annotations

from dataclasses import dataclass

FilterValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Equal:
    """The property has this value; for an array property, one of its elements has."""

    property: str
    value: FilterValue


@dataclass(frozen=True, slots=True)
class And:
    """Every one of the filters holds; an empty And matches every object."""

    filters: tuple[Filter, ...]


Filter = Equal | And


def filter_to_plain(where: Filter) -> dict[str, object]:
    """A filter as JSON: `{"operator": "equal", "property": ..., "value": ...}` or `{"operator": "and", "filters": [...]}`."""
    if isinstance(where, Equal):
        return {"operator": "equal", "property": where.property, "value": where.value}
    return {"operator": "and", "filters": [filter_to_plain(part) for part in where.filters]}
