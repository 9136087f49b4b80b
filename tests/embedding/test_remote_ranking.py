"""The remote reranker: what it sends to a NIM and to the hosted service, and what each answer or failure becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest

from minivec.embedding.remote import RemoteModel, RemoteSource
from minivec.embedding.remote_ranking import MOST_PASSAGES, RemoteReranker, ranking_place, remote_reranker
from minivec.embedding.remote_retry import RetryPolicy
from minivec.errors import Closed, EmbeddingFailed, InvalidInput

KEY = "nvapi-secret"
BASE = "http://nim:8000"
MODEL = "nvidia/llama-3.2-nv-rerankqa-1b-v2"
Answer = Callable[[dict[str, Any]], httpx.Response]


class Service:
    """Stands where the network would; keeps what it was sent."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or ranked
        self.requests: list[httpx.Request] = []
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        self.bodies.append(json.loads(request.content))
        return self.answer(self.bodies[-1])

    def reranker(self, base_url: str = BASE, key: str = KEY) -> RemoteReranker:
        source = RemoteSource(
            policy=RetryPolicy(attempts=3, jitter=lambda: 0.0),
            transport=httpx.MockTransport(self),
            sleep=lambda seconds: None,
        )
        return remote_reranker(source, RemoteModel(provider="nvidia", name=MODEL, base_url=base_url, key=key))


def logit(text: str) -> float:
    return len(text) / 4 - 3


def ranked(body: dict[str, Any]) -> httpx.Response:
    """As a NIM answers: sorted by logit, places in `index`."""
    found = [{"index": place, "logit": logit(one["text"])} for place, one in enumerate(body["passages"])]
    found.sort(key=lambda one: -one["logit"])
    return httpx.Response(200, json={"rankings": found, "usage": {"prompt_tokens": 9, "total_tokens": 9}})


def test_logits_come_back_in_the_passages_order() -> None:
    service = Service()
    passages = ["a bee", "a much longer one about ships", "sea"]
    scores = service.reranker().rank("bees", passages)
    assert scores.logits.dtype == np.float32
    assert scores.logits.tolist() == [logit(text) for text in passages]
    assert all(note.error is None for note in scores.notes)
    assert service.bodies == [
        {
            "model": MODEL,
            "query": {"text": "bees"},
            "passages": [{"text": text} for text in passages],
            "truncate": "END",
        }
    ]
    assert str(service.requests[0].url) == f"{BASE}/v1/ranking"
    assert service.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_the_hosted_service_has_a_path_for_each_model() -> None:
    service = Service()
    service.reranker("https://integrate.api.nvidia.com").rank("q", ["p"], truncate="refuse")
    hosted = "https://ai.api.nvidia.com/v1/retrieval/nvidia/llama-3_2-nv-rerankqa-1b-v2/reranking"
    assert str(service.requests[0].url) == hosted
    assert service.bodies[0]["truncate"] == "NONE"
    assert ranking_place("https://ai.api.nvidia.com", "nvidia/x")[1] == "/v1/retrieval/nvidia/x/reranking"
    assert ranking_place("https://elsewhere", "nvidia/x") == ("https://elsewhere", "/v1/ranking")


def test_many_passages_go_in_several_requests_and_none_in_none() -> None:
    service = Service()
    passages = ["x" * (n % 50 + 1) for n in range(2 * MOST_PASSAGES + 3)]
    scores = service.reranker().rank("q", passages)
    assert scores.logits.tolist() == [logit(text) for text in passages]
    assert sorted(len(body["passages"]) for body in service.bodies) == [3, MOST_PASSAGES, MOST_PASSAGES]
    service.bodies.clear()
    assert service.reranker().rank("q", []).logits.shape == (0,)
    assert service.bodies == []


def test_a_refused_passage_fails_alone() -> None:
    def answer(body: dict[str, Any]) -> httpx.Response:
        if any(one["text"] == "poison" for one in body["passages"]):
            return httpx.Response(400, json={"object": "error", "message": f"no poison, {KEY}", "detail": {}})
        return ranked(body)

    passages = ["a", "bb", "ccc", "poison", "eeeee", "ffffff"]
    scores = Service(answer).reranker().rank("q", passages)
    assert [note.error is None for note in scores.notes] == [text != "poison" for text in passages]
    assert np.isneginf(scores.logits[3]) and np.isfinite(np.delete(scores.logits, 3)).all()
    error = scores.notes[3].error
    assert isinstance(error, EmbeddingFailed) and "no poison" in error.message
    assert KEY not in str(error)


def test_a_service_that_refuses_everything_is_not_asked_for_every_passage() -> None:
    service = Service(lambda body: httpx.Response(422, json={"detail": "no"}))
    scores = service.reranker().rank("q", ["p"] * 64)
    assert all(isinstance(note.error, EmbeddingFailed) for note in scores.notes)
    assert len(service.requests) < 20


@pytest.mark.parametrize(
    ("status", "hint", "asked"),
    [(401, "key", 1), (404, "served there", 1), (429, "limits", 3), (503, "later", 3), (302, "Redirects", 1)],
)
def test_other_refusals_fail_every_passage_with_what_to_do(status: int, hint: str, asked: int) -> None:
    service = Service(lambda body: httpx.Response(status, json={"detail": "because"}))
    scores = service.reranker().rank("q", ["a", "b"])
    assert len(service.requests) == asked
    for note in scores.notes:
        assert isinstance(note.error, EmbeddingFailed)
        assert "because" in note.error.message and str(status) in note.error.message
        assert hint in note.error.hint


@pytest.mark.parametrize(
    "content",
    [
        b"<html>",
        b"[]",
        b'{"data": []}',
        b'{"rankings": [{"index": 0, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": 1}, {"index": 0, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": 1}, {"index": 2, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": 1}, {"index": true, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": "1"}, {"index": 1, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": NaN}, {"index": 1, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": 1e99}, {"index": 1, "logit": 1}]}',
        b'{"rankings": [{"index": 0, "logit": %s}, {"index": 1, "logit": 1}]}' % (b"9" * 400),
        b'{"rankings": [1, 2]}',
    ],
)
def test_an_answer_that_ranks_nothing_is_an_error_of_its_own(content: bytes) -> None:
    scores = Service(lambda body: httpx.Response(200, content=content)).reranker().rank("q", ["a", "b"])
    assert np.isneginf(scores.logits).all()
    assert all(note.error and "its answer" in note.error.message for note in scores.notes)


def test_what_cannot_be_asked_is_refused_here() -> None:
    ranker = Service().reranker()
    with pytest.raises(InvalidInput) as refused:
        ranker.rank("q", ["p"], truncate="start")
    assert refused.value.field == "truncate"
    with pytest.raises(InvalidInput):
        ranker.rank("q", "p")
    with pytest.raises(InvalidInput):
        Service().reranker(key="two words")
    assert KEY not in repr(ranker) and MODEL in repr(ranker)
    assert ranker.card.dimension == 1 and ranker.card.name == MODEL


def test_a_closed_source_gives_no_reranker() -> None:
    source = RemoteSource()
    source.close()
    with pytest.raises(Closed):
        remote_reranker(source, RemoteModel(provider="nvidia", name=MODEL, base_url=BASE))
