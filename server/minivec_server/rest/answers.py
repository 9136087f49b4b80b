"""The JSON answers of the REST API: the types of the core as they are, and the few that only the wire has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from starlette.responses import Response

from minivec.types.collection import CollectionInfo
from minivec.types.object import Outcome

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionList:
    """Every collection."""

    collections: Sequence[CollectionInfo]


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportAnswer:
    """One outcome per object in the order sent, and how many ended in each status."""

    outcomes: Sequence[Outcome]
    counts: Mapping[str, int]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> ImportAnswer:
        """The answer for these outcomes."""
        return cls(outcomes=outcomes, counts=dict(Counter(outcome.status for outcome in outcomes)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Whether the server lives, or is ready for requests; `notes` tell what is not as it should be."""

    object: Literal["health-response"] = "health-response"
    message: str
    status: Literal["ready", "starting", "degraded"]
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What runs here: releases of minivec, of its API and of SQLite, and the number of the disk format."""

    release: str
    api: str
    minivec: str
    sqlite: str
    format: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What answers at the root."""

    name: str
    version: str
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorDetail:
    """`code` for programs, `message` and `hint` for people, `field` where in the request, `request_id` as in the log."""

    code: str
    message: str
    hint: str
    field: str
    request_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Error:
    """Every error answer of every route."""

    error: ErrorDetail


def to_json(value: Any) -> bytes:
    """An answer as JSON: dataclasses, NumPy arrays and dates included; call it where the work runs, not on the loop."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def json_response(content: bytes, status: int = 200) -> Response:
    """A response of JSON that is already written."""
    return Response(content, status, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
