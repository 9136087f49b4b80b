"""What OpenAPI says of each route: its body, its answers, every error it can give, and examples of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from minivec.types.answer import Answer
from minivec.types.collection import CollectionInfo
from minivec.types.object import DeleteReport, ObjectPage, Outcome, StoredObject
from minivec.types.reembed import ReembedJob
from minivec_server.rest.answers import CollectionList, Error, Health, ImportAnswer, Service, Version
from minivec_server.rest.queries import HybridBody, KeywordQueryBody, NearObjectBody, NearTextBody, NearVectorBody
from minivec_server.rest.wire import (
    CollectionBody,
    CollectionChange,
    DeleteBody,
    ImportBody,
    ObjectBody,
    PropertyBody,
    ReembedBody,
    SwitchBackBody,
    VectorSpaceBody,
)

BODIES: tuple[type[Any], ...] = (
    CollectionBody,
    CollectionChange,
    PropertyBody,
    VectorSpaceBody,
    ReembedBody,
    SwitchBackBody,
    ImportBody,
    ObjectBody,
    DeleteBody,
    NearTextBody,
    NearVectorBody,
    NearObjectBody,
    KeywordQueryBody,
    HybridBody,
)
ANSWERS: tuple[type[Any], ...] = (
    CollectionList,
    CollectionInfo,
    ReembedJob,
    ImportAnswer,
    Outcome,
    ObjectPage,
    StoredObject,
    DeleteReport,
    Answer,
    Health,
    Version,
    Service,
    Error,
)


@dataclass(frozen=True, slots=True)
class Schemas:
    """The types a facade's requests and answers are made of."""

    bodies: tuple[type[Any], ...]
    answers: tuple[type[Any], ...]


SCHEMAS = Schemas(BODIES, ANSWERS)
_REFERENCE = "#/components/schemas/{model}"
_ERRORS = {
    400: "The body is not JSON, or the request is not HTTP.",
    401: "The API key is missing or wrong.",
    403: "The database was opened read-only.",
    404: "There is no such collection or object.",
    408: "The request's head did not arrive in time.",
    409: "The request does not fit what is stored.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    422: "A value cannot be used; `field` names it.",
    431: "The request's head is too large.",
    500: "Something went wrong inside the server.",
    503: "Busy, stopping, or the commit's outcome is unknown; try again.",
    504: "The request took too long.",
    507: "The disk is full.",
}
_ALWAYS = (400, 401, 408, 431, 500, 503, 504)
_WITH_BODY = (413, 415, 422)
_WITH_NAME = (404, 422)
_WRITING = (403, 409, 507)

Kind = Literal["open", "named", "read", "write"]
_KINDS: Mapping[Kind, tuple[int, ...]] = {
    "open": (),
    "named": _WITH_NAME,
    "read": _WITH_NAME + _WITH_BODY,
    "write": _WITH_NAME + _WITH_BODY + _WRITING,
}


def route(
    kind: Kind,
    answers: Mapping[int, tuple[type[Any] | None, str]],
    *,
    body: type[Any] | None = None,
    example: Any = None,
    without: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route that reads its body itself.

    `answers`: per status the type (None = no content) and what it means; `kind` adds the errors. `without` removes some.
    """
    errors = {status: _ERRORS[status] for status in sorted({*_ALWAYS, *_KINDS[kind]} - {*without, *answers})}
    return described(answers, errors, Error, body=body, example=example)


def described(
    answers: Mapping[int, tuple[type[Any] | None, str]],
    errors: Mapping[int, str],
    error: type[Any],
    *,
    body: type[Any] | None = None,
    example: Any = None,
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route with these answers, these errors (all of one type) and this body."""
    responses: dict[int | str, dict[str, Any]] = {}
    for status, (answer, meaning) in answers.items():
        responses[status] = {"description": meaning, **({} if answer is None else _json(answer))}
    for status, meaning in errors.items():
        responses[status] = {"description": meaning, **_json(error)}
    extra: dict[str, Any] = {}
    if body is not None:
        content = _json(body)["content"]
        content["application/json"]["example"] = example
        extra["requestBody"] = {"required": True, "content": content}
    return {"responses": responses, "openapi_extra": extra}


def components(schemas: Sequence[Schemas]) -> dict[str, Any]:
    """The JSON schemas of every body and answer of these facades, by name."""
    wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
    for facade in schemas:
        wanted += [(kind.__name__, "validation", TypeAdapter(kind)) for kind in facade.bodies]
        wanted += [(kind.__name__, "serialization", TypeAdapter(kind)) for kind in facade.answers]
    _, definitions = TypeAdapter.json_schemas(wanted, ref_template=_REFERENCE)
    return dict(definitions["$defs"])


def _json(kind: type[Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": _REFERENCE.format(model=kind.__name__)}}}}
