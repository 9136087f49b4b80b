"""POST /v1/ranking and /v1/rerank: parse, one call of the reranker, format."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from minivec.embedding.interface import RerankerSource, Scores, TextNote, Truncation, relevance
from minivec.errors import EmbeddingFailed, ModelNotFound, TextTooLong
from minivec_server.nim.documentation import nim_route
from minivec_server.nim.embeddings import while_connected
from minivec_server.nim.errors import NimRefusal
from minivec_server.nim.models import Served
from minivec_server.nim.ranking_wire import (
    DocumentRankingBody,
    DocumentRankingList,
    DocumentText,
    RankedDocument,
    Ranking,
    RankingBody,
    RankingList,
)
from minivec_server.nim.state import NimState, nim_of
from minivec_server.nim.wire import Usage, read_as
from minivec_server.rest.answers import json_response, to_json
from minivec_server.rest.body import parse, read_with

router = APIRouter(tags=["nim"])

EXAMPLE_MODEL = "nvidia/llama-nemotron-rerank-1b-v2"
INPUT_TYPE = "ranking"
_PASSAGES = ["Bees dance to tell the way.", "Ships sail the sea."]
_EXAMPLE = {
    "model": EXAMPLE_MODEL,
    "query": {"text": "insects that talk"},
    "passages": [{"text": text} for text in _PASSAGES],
    "truncate": "END",
}
_DOCUMENTS = {"model": EXAMPLE_MODEL, "query": "insects that talk", "documents": _PASSAGES, "top_n": 1}


@router.post(
    "/v1/ranking",
    **nim_route({200: (RankingList, "The passages, best first.")}, body=RankingBody, example=_EXAMPLE),
)
async def ranking(request: Request) -> Response:
    """Passages by how well they answer a query, as NVIDIA's reranking NIM answers, with raw logits.

    A passage that cannot be read refuses the whole request.
    """
    nim = nim_of(request)
    body = await read_with(request, lambda raw, depth: read_as(RankingBody, parse(raw, depth)), "RankingBody")
    return json_response(await while_connected(request, nim.pools.queries.run(_answer, nim, body)))


@router.post(
    "/v1/rerank",
    **nim_route(
        {200: (DocumentRankingList, "The documents, best first.")}, body=DocumentRankingBody, example=_DOCUMENTS
    ),
)
async def rerank(request: Request) -> Response:
    """Documents by how well they answer a query, with scores from 0 to 1; what is too long is cut at its end."""
    nim = nim_of(request)
    body = await read_with(
        request, lambda raw, depth: read_as(DocumentRankingBody, parse(raw, depth)), "DocumentRankingBody"
    )
    return json_response(await while_connected(request, nim.pools.queries.run(_answer_documents, nim, body)))


def _answer(nim: NimState, body: RankingBody) -> bytes:
    served = nim.models.find_reranker(body.model)
    passages = [passage.text for passage in body.passages]
    scores, tokens = _ranked(nim, served, body.query.text, passages, "refuse" if body.truncate == "NONE" else "end")
    rankings = [Ranking(index=index, logit=float(scores.logits[index])) for index in _order(scores)]
    return to_json(RankingList(rankings=rankings, usage=_usage(tokens)))


def _answer_documents(nim: NimState, body: DocumentRankingBody) -> bytes:
    served = nim.models.find_reranker(body.model) if body.model is not None else _default(nim)
    texts = [document if isinstance(document, str) else document.text for document in body.documents]
    scores, tokens = _ranked(nim, served, body.query, texts, "end")
    results = [
        RankedDocument(
            index=index,
            relevance_score=relevance(float(scores.logits[index])),
            document=DocumentText(text=texts[index]) if body.return_documents else None,
        )
        for index in _order(scores)[: body.top_n]
    ]
    return to_json(DocumentRankingList(model=served.id, results=results, usage=_usage(tokens)))


def _default(nim: NimState) -> Served:
    found = nim.models.rerankers()
    if not found:
        raise NimRefusal("This server has no reranker.", status=404, kind="not_found_error")
    return found[0]


def _ranked(nim: NimState, served: Served, query: str, passages: list[str], truncate: Truncation) -> tuple[Scores, int]:
    """The scores and the tokens read for them. Raises NimRefusal for the first passage without a score."""
    most = nim.settings.max_batch_objects
    if len(passages) > most:
        raise NimRefusal(f"There are {len(passages)} passages in one request; this server takes {most}.")
    if not isinstance(nim.source, RerankerSource):
        raise ModelNotFound("This server has no rerankers.")
    reranker = nim.source.reranker(served.name)
    scores = reranker.rank(query, passages, truncate=truncate)
    for index, note in enumerate(scores.notes):
        if note.error is not None:
            nim.metrics.failed(served.root, INPUT_TYPE, note.error.code)
            raise _refusal(index, note, reranker.card.max_tokens)
    tokens = sum(note.tokens - note.cut for note in scores.notes)
    cut = [note.cut for note in scores.notes if note.cut]
    nim.metrics.embedded(served.root, INPUT_TYPE, texts=len(passages), tokens=tokens, cut=cut)
    return scores, tokens


def _refusal(index: int, note: TextNote, max_tokens: int) -> NimRefusal:
    place: dict[str, Any] = {"loc": ["body", "passages", index]}
    if isinstance(note.error, TextTooLong):
        return NimRefusal(f"Input length {note.tokens} exceeds maximum allowed token size {max_tokens}", detail=place)
    if isinstance(note.error, EmbeddingFailed):
        return NimRefusal(str(note.error), status=500, kind="internal_server_error", detail=place)
    return NimRefusal(str(note.error), detail=place)


def _order(scores: Scores) -> list[int]:
    """Places by falling logit, equal ones in the order of the request."""
    return sorted(range(len(scores.logits)), key=lambda index: (-float(scores.logits[index]), index))


def _usage(tokens: int) -> Usage:
    return Usage(prompt_tokens=tokens, total_tokens=tokens)
