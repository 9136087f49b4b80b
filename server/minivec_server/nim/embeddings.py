"""POST /v1/embeddings: parse, one call of the engine, format."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from minivec.embedding.interface import Embedded, Embedder, InputType, ModelCard, Truncation
from minivec.errors import EmbeddingFailed, TextTooLong
from minivec_server.nim.documentation import nim_route
from minivec_server.nim.errors import NimRefusal
from minivec_server.nim.reply import embedding_list
from minivec_server.nim.state import NimState, nim_of
from minivec_server.nim.wire import EmbeddingList, EmbeddingsBody, TruncateWord, read_embeddings
from minivec_server.rest.answers import json_response
from minivec_server.rest.body import parse, read_with

T = TypeVar("T")

router = APIRouter(tags=["nim"])

_TRUNCATION: Mapping[TruncateWord, Truncation] = {"NONE": "refuse", "END": "end", "START": "start"}
_IMAGE = "data:image/"
_EXAMPLE = {"model": "all-MiniLM-L6-v2", "input": ["insects that talk"], "input_type": "query"}


@router.post(
    "/v1/embeddings",
    **nim_route(
        {200: (EmbeddingList, "A vector for each text, in their order.")}, body=EmbeddingsBody, example=_EXAMPLE
    ),
)
async def embeddings(request: Request) -> Response:
    """Vectors of texts, as NVIDIA's embedding NIM answers. A text that cannot be embedded refuses the whole request."""
    nim = nim_of(request)
    body = await read_with(request, _read, "EmbeddingsBody")
    pool = nim.pools.queries if _lane(body) == "query" else nim.pools.passages
    return json_response(await while_connected(request, pool.run(_answer, nim, body)))


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The work's result; when the client goes away first, the work is cancelled and ClientDisconnect raised."""
    working = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        working.cancel()
        leaving.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _read(raw: bytes, max_depth: int) -> EmbeddingsBody:
    return read_embeddings(parse(raw, max_depth))


def _lane(body: EmbeddingsBody) -> InputType:
    """Whether the request may overtake passages. Where nothing says so, one text is taken for a query."""
    if body.input_type is not None:
        return body.input_type
    if body.model.endswith(("-query", "-passage")):
        return "query" if body.model.endswith("-query") else "passage"
    return "query" if len(body.input) == 1 else "passage"


def _answer(nim: NimState, body: EmbeddingsBody) -> bytes:
    served, of_suffix = nim.models.find(body.model)
    _check_texts(body, nim.settings.max_batch_objects)
    embedder = nim.source.embedder(served.name)
    _check_shape(body, embedder.card, served.id)
    input_type = _input_type(body, of_suffix, embedder.card)
    embedded = _embed(embedder, body, input_type)
    _raise_for_text(nim, embedded, served.root, embedder.card.max_tokens, input_type)
    tokens = sum(note.tokens - note.cut for note in embedded.notes)
    cut = [note.cut for note in embedded.notes if note.cut]
    nim.metrics.embedded(served.root, input_type, texts=len(embedded.notes), tokens=tokens, cut=cut)
    return embedding_list(embedded.vectors, encoding=body.encoding_format, model=served.id, tokens=tokens)


def _embed(embedder: Embedder, body: EmbeddingsBody, input_type: InputType) -> Embedded:
    dimensions = None if body.dimensions == embedder.card.dimension else body.dimensions
    return embedder.embed(
        body.input,
        input_type=input_type,
        truncate=_TRUNCATION[body.truncate],
        dimensions=dimensions,
        embedding_type=body.embedding_type,
    )


def _input_type(body: EmbeddingsBody, of_suffix: InputType | None, card: ModelCard) -> InputType:
    if of_suffix and body.input_type and of_suffix != body.input_type:
        raise NimRefusal(f"The model's suffix says {of_suffix} and input_type says {body.input_type}.")
    if card.asymmetric and not (of_suffix or body.input_type):
        raise NimRefusal(
            "The model expects an input_type from one of `passage` or `query` but none was provided.",
        )
    return of_suffix or _lane(body)


def _check_texts(body: EmbeddingsBody, most: int) -> None:
    if len(body.input) > most:
        raise NimRefusal(f"There are {len(body.input)} texts in one request; this server takes {most}.")
    if isinstance(body.modality, list) and len(body.modality) != len(body.input):
        raise NimRefusal(f"There are {len(body.input)} inputs and {len(body.modality)} modalities.")
    modalities = body.modality if isinstance(body.modality, list) else [body.modality] * len(body.input)
    for index, (modality, text) in enumerate(zip(modalities, body.input, strict=True)):
        if modality not in (None, "text") or (modality is None and text.startswith(_IMAGE)):
            raise NimRefusal("The model reads text only.", detail=_place("input", index))


def _check_shape(body: EmbeddingsBody, card: ModelCard, model: str) -> None:
    allowed = ", ".join(map(str, sorted({*card.dimensions, card.dimension})))
    if body.dimensions not in (None, card.dimension, *card.dimensions):
        if not card.dimensions:
            detail: dict[str, Any] = {"type": "extra_forbidden", **_place("dimensions")}
            detail |= {"msg": "Extra inputs are not permitted", "input": body.dimensions}
            raise NimRefusal(f"Vectors of {model} have {card.dimension} dimensions only.", detail=detail)
        raise NimRefusal(f"`dimensions` must be one of {allowed}.", detail=_place("dimensions"))
    if body.embedding_type not in card.embedding_types:
        types = ", ".join(card.embedding_types)
        raise NimRefusal(f"`embedding_type` must be one of {types} for {model}.", detail=_place("embedding_type"))
    if body.dimensions is not None and body.embedding_type != "float":
        raise NimRefusal("`dimensions` and `embedding_type` cannot be used together.", detail=_place("dimensions"))


def _raise_for_text(nim: NimState, embedded: Embedded, model: str, max_tokens: int, input_type: InputType) -> None:
    """Refuse the request for its first text that has no vector: NIM answers all of a request or nothing."""
    failed = [(index, note) for index, note in enumerate(embedded.notes) if note.error is not None]
    for _, note in failed:
        nim.metrics.failed(model, input_type, note.error.code if note.error else "")
    if not failed:
        return
    index, note = failed[0]
    place = _place("input", index)
    if isinstance(note.error, TextTooLong):
        message = f"Input length {note.tokens} exceeds maximum allowed token size {max_tokens}"
        raise NimRefusal(message, detail=place)
    status, kind = (500, "internal_server_error") if isinstance(note.error, EmbeddingFailed) else (400, None)
    raise NimRefusal(str(note.error), status=status, kind=kind or "invalid_request_error", detail=place)


def _place(*loc: str | int) -> dict[str, Any]:
    return {"loc": ["body", *loc]}
