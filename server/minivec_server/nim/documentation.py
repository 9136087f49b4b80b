"""What OpenAPI says of NIM's routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minivec_server.nim.ranking_wire import DocumentRankingBody, DocumentRankingList, RankingBody, RankingList
from minivec_server.nim.wire import (
    EmbeddingList,
    EmbeddingsBody,
    EngineVersion,
    License,
    Manifest,
    Metadata,
    ModelList,
    NimError,
)
from minivec_server.rest.answers import Health
from minivec_server.rest.documentation import Schemas, described

SCHEMAS = Schemas(
    bodies=(EmbeddingsBody, RankingBody, DocumentRankingBody),
    answers=(
        EmbeddingList,
        RankingList,
        DocumentRankingList,
        ModelList,
        Metadata,
        License,
        Manifest,
        EngineVersion,
        Health,
        NimError,
    ),
)
_ALWAYS = {
    400: "The request cannot be used; `message` and `detail` say why.",
    401: "The API key is missing or wrong.",
    408: "The request's head did not arrive in time.",
    431: "The request's head is too large.",
    500: "Something went wrong inside the server.",
    503: "Stopping, or the model cannot answer; try again.",
    504: "The request took too long.",
}
_WITH_BODY = {
    404: "There is no such model.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    429: "Too much waits for the model; try again after `Retry-After` seconds.",
}


def nim_route(
    answers: Mapping[int, tuple[type[Any] | None, str]],
    *,
    body: type[Any] | None = None,
    example: Any = None,
    without: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Keyword arguments for a FastAPI route of NIM's, as `rest.documentation.route` gives for the REST API."""
    errors = {**_ALWAYS, **(_WITH_BODY if body else {})}
    told = {status: errors[status] for status in sorted(set(errors) - {*without, *answers})}
    return described(answers, told, NimError, body=body, example=example)
