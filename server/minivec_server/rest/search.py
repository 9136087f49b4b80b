"""The five searches over REST: parse, one core call, format."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from minivec.errors import ObjectNotFound
from minivec.types.answer import Answer
from minivec.types.credentials import Credentials
from minivec_server.errors import named_in_body
from minivec_server.rest.answers import json_response, to_json
from minivec_server.rest.body import read_model
from minivec_server.rest.collections import CollectionName
from minivec_server.rest.credentials import Brought
from minivec_server.rest.documentation import route
from minivec_server.rest.queries import (
    HybridBody,
    KeywordQueryBody,
    NearObjectBody,
    NearTextBody,
    NearVectorBody,
    SearchBody,
)
from minivec_server.state import state_of

router = APIRouter(prefix="/v1/collections/{name}/search", tags=["search"])


def _documented(body: type[Any], example: dict[str, Any]) -> dict[str, Any]:
    return route("read", {200: (Answer, "The hits, best first.")}, body=body, example=example)


@router.post("/near-text", **_documented(NearTextBody, {"text": "insects that talk", "limit": 3}))
async def near_text(request: Request, name: CollectionName, brought: Brought) -> Response:
    """Objects whose vectors are near that of the text, embedded by the space's own model."""
    return await _search(request, name, brought, NearTextBody)


@router.post("/near-vector", **_documented(NearVectorBody, {"vector": [0.1, 0.2, 0.3], "limit": 3}))
async def near_vector(request: Request, name: CollectionName, brought: Brought) -> Response:
    """Objects whose vectors are near this one."""
    return await _search(request, name, brought, NearVectorBody)


@router.post("/near-object", **_documented(NearObjectBody, {"uuid": "0e1c7a52-7f3c-4d0c-9d62-3a8f4a4ff001"}))
async def near_object(request: Request, name: CollectionName, brought: Brought) -> Response:
    """Objects whose vectors are near that of a stored object, which comes first."""
    return await _search(request, name, brought, NearObjectBody)


@router.post("/keyword", **_documented(KeywordQueryBody, {"text": "bees", "query_properties": ["title^2"]}))
async def keyword(request: Request, name: CollectionName, brought: Brought) -> Response:
    """BM25F over text properties."""
    return await _search(request, name, brought, KeywordQueryBody)


@router.post("/hybrid", **_documented(HybridBody, {"text": "insects that talk", "alpha": 0.5}))
async def hybrid(request: Request, name: CollectionName, brought: Brought) -> Response:
    """Keyword and vector search fused, with every part of every score."""
    return await _search(request, name, brought, HybridBody)


async def _search(request: Request, name: str, brought: Credentials, model: type[SearchBody]) -> Response:
    state = state_of(request)
    query = (await read_model(request, model)).query()

    def work() -> bytes:
        collection = state.database.collection(name, credentials=brought)
        try:
            return to_json(collection.search(query))
        except ObjectNotFound as error:
            raise named_in_body(error) from error

    return json_response(await state.pools.reads.run(work))
