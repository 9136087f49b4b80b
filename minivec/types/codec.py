"""The types as plain JSON values and back: one mapping, used by the wire, the client and the stored definitions."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Hashable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """A type of this package as dicts, lists and scalars that any JSON library takes; dates as RFC 3339 text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value


def from_plain(kind: type[T], data: Any) -> T:
    """Build a type of this package from what `to_plain` gave. Unknown keys are passed over (a newer server may add some).

    Raises TypeError or ValueError where a value has the wrong shape or a needed one is missing.
    """
    return typing.cast(T, _read(kind, data))


def _read(hint: Any, data: Any) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _read_dataclass(hint, data)
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _read_union(typing.get_args(hint), data)
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], item) for item in data)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(typing.get_args(hint)[1], item) for key, item in data.items()}
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        return list(data)
    if hint is datetime:
        return datetime.fromisoformat(data)
    return data


def _read_dataclass(kind: type[Any], data: Any) -> Any:
    if not isinstance(data, Mapping):
        raise TypeError(f"{kind.__name__} is an object, not {type(data).__name__}")
    hints = _hints(typing.cast(Hashable, kind))
    return kind(**{name: _read(hint, data[name]) for name, hint in hints.items() if name in data})


def _read_union(options: tuple[Any, ...], data: Any) -> Any:
    if data is None:
        return None
    return _read(next(option for option in options if option is not type(None)), data)


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(typing.cast(Any, kind))}
