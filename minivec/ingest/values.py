"""Whether a value is of a data type, and what may stand in JSON at all: the one gate before SQL."""

from __future__ import annotations

import math
import re
import uuid as uuids
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from minivec.errors import InvalidInput
from minivec.types.collection import DataType, Property

MAX_DEPTH = 32
PROPERTY_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]{0,230}")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")


def check_json(value: Any, field: str, depth: int = 0) -> None:
    """Refuse what SQL or JSON would bend or break: NUL, lone surrogates, non-finite and over-long numbers, deep nesting.

    Raises InvalidInput that names the place.
    """
    if isinstance(value, str):
        _check_text(value, field)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        _check(-(2**63) <= value < 2**63, field, "The integer does not fit in 64 bits.", "Send it as text.")
    elif isinstance(value, float):
        _check(
            math.isfinite(value),
            field,
            "The number is not finite.",
            "Leave the property out instead of NaN or Infinity.",
        )
    elif isinstance(value, Mapping):
        _check(depth < MAX_DEPTH, field, f"Nested deeper than {MAX_DEPTH} levels.", "Flatten the object.")
        for key, item in value.items():
            _check(isinstance(key, str), field, f"The key {key!r} is not text.", "Use text keys.")
            _check_text(key, field)
            check_json(item, f"{field}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        _check(depth < MAX_DEPTH, field, f"Nested deeper than {MAX_DEPTH} levels.", "Flatten the list.")
        for position, item in enumerate(value):
            check_json(item, f"{field}[{position}]", depth + 1)
    else:
        raise InvalidInput(f"A {type(value).__name__} is not a JSON value.", field=field, hint="Convert it first.")


def as_json(value: Any, field: str) -> Any:
    """Python's own dates and uuids, alone or in a list, as the text they are stored as. Raises InvalidInput."""
    if isinstance(value, (list, tuple)):
        return [_scalar_as_json(item, field) for item in value]
    return _scalar_as_json(value, field)


def _scalar_as_json(value: Any, field: str) -> Any:
    if isinstance(value, datetime):
        _check(value.tzinfo is not None, field, f"{value} has no time zone.", "Give it one, for example datetime.UTC.")
        return value.isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00Z"
    return str(value) if isinstance(value, uuids.UUID) else value


def check_value(prop: Property, value: Any, field: str) -> Any:
    """The value as it is stored (uuids lower-case, tuples as lists). Raises InvalidInput naming type and place."""
    value = as_json(value, field)
    check_json(value, field)
    if prop.data_type.endswith("[]"):
        _check(
            isinstance(value, (list, tuple)),
            field,
            f"{_shown(value)} is not a list.",
            f"The property is {prop.data_type}.",
        )
        kind = prop.data_type[:-2]
        return [_check_scalar(kind, prop, element, f"{field}[{i}]") for i, element in enumerate(value)]
    return _check_scalar(prop.data_type, prop, value, field)


def infer_type(value: Any, field: str) -> DataType:
    """The data type a value of a new property suggests: dates and uuids by their form, every number as `number`.

    Raises InvalidInput for lists of mixed kinds.
    """
    value = as_json(value, field)
    check_json(value, field)
    if not isinstance(value, (list, tuple)):
        return _infer_scalar(value)
    kinds = {_infer_scalar(element) for element in value}
    if kinds <= {"text", "date", "uuid"} and len(kinds) != 1:
        return "text[]"
    _check(len(kinds) == 1, field, "The list mixes kinds of values.", "Use one kind in a list.")
    kind = kinds.pop()
    _check(not kind.endswith("[]"), field, "A list of lists cannot be a property.", "Put it in an object.")
    return f"{kind}[]"  # type: ignore[return-value]  # the seven scalar names each have a list form


def read_date(text: str) -> datetime:
    """An RFC 3339 date with time and offset. Raises ValueError."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(text)
    return datetime.fromisoformat(text.upper().replace("Z", "+00:00"))


def read_uuid(text: Any, field: str) -> str:
    """A uuid in its canonical lower-case form. Raises InvalidInput."""
    try:
        return str(uuids.UUID(text))
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(
            f"{_shown(text)} is not a uuid.", field=field, hint="Send 32 hex digits, or leave it out."
        ) from error


def _check_scalar(kind: str, prop: Property, value: Any, field: str) -> Any:
    ok = _CHECKS[kind](value)
    _check(ok, field, f"{_shown(value)} is not of type {kind}.", _HINTS.get(kind, f"The property is {prop.data_type}."))
    if kind == "uuid":
        return read_uuid(value, field)
    if kind == "object":
        return {
            key: _check_member(prop, key, item, f"{field}.{key}") for key, item in value.items() if item is not None
        }
    return value


def _check_member(prop: Property, key: str, item: Any, field: str) -> Any:
    member = next((p for p in prop.properties if p.name == key), None)
    return item if member is None else check_value(member, item, field)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and read_date(value) is not None
    except ValueError:
        return False


def _is_uuid(value: Any) -> bool:
    try:
        return isinstance(value, str) and uuids.UUID(value) is not None
    except ValueError:
        return False


_CHECKS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "int": _is_int,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_date,
    "uuid": _is_uuid,
    "object": lambda value: isinstance(value, Mapping),
}
_HINTS = {
    "date": "Write dates as RFC 3339, for example 2026-11-20T12:00:00Z.",
    "int": "Send a whole number without a fraction, or make the property `number`.",
}


def _infer_scalar(value: Any) -> DataType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, Mapping):
        return "object"
    if isinstance(value, (list, tuple)):
        return "object[]"
    if _is_date(value):
        return "date"
    return "uuid" if _is_canonical_uuid(value) else "text"


def _is_canonical_uuid(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 36 and _is_uuid(value)


def _check_text(text: str, field: str) -> None:
    _check("\0" not in text, field, "The text holds a NUL character.", "Remove it.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "The text holds half of a surrogate pair.", field=field, hint="Send valid Unicode."
        ) from error


def _check(ok: bool, field: str, message: str, hint: str) -> None:
    if not ok:
        raise InvalidInput(message, field=field, hint=hint)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
