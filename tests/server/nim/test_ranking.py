"""/v1/ranking and /v1/rerank: order, logits, limits, and NIM's error shape."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from minivec.settings import Settings
from minivec_server.nim.models import Models
from minivec_server.nim.ranking import EXAMPLE_MODEL
from tests.embedding.tiny_checkpoints import write_json
from tests.server.conftest import client_of, nim_error_in
from tests.server.nim.embedders import Source

PASSAGES = ["ships sail", "bees dance", "bees dance to talk", "the sea"]
LONG = "word " * 400


def body(passages: list[str] = PASSAGES, query: str = "bees talk", **more: Any) -> dict[str, Any]:
    texts = [{"text": passage} for passage in passages]
    return {"model": EXAMPLE_MODEL, "query": {"text": query}, "passages": texts, **more}


async def test_passages_are_ranked_by_raw_logits(api: httpx.AsyncClient) -> None:
    answer = (await api.post("/v1/ranking", json=body())).json()
    assert set(answer) == {"rankings", "usage"}
    assert answer["rankings"] == [
        {"index": 2, "logit": 2.0},
        {"index": 1, "logit": 1.0},
        {"index": 0, "logit": 0.0},
        {"index": 3, "logit": 0.0},
    ]
    assert (
        answer["usage"]["total_tokens"]
        == answer["usage"]["prompt_tokens"]
        == sum(2 + len(text.split()) + 3 for text in PASSAGES)
    )


async def test_too_long_is_refused_or_cut(api: httpx.AsyncClient) -> None:
    error = nim_error_in(await api.post("/v1/ranking", json=body(["bees", LONG])), 400)
    assert error["message"] == "Input length 405 exceeds maximum allowed token size 256"
    assert error["detail"] == {"loc": ["body", "passages", 1]}
    answer = await api.post("/v1/ranking", json=body(["bees", "talk of bees " + LONG], truncate="END"))
    assert answer.json()["rankings"][0] == {"index": 1, "logit": 2.0}
    metrics = (await api.get("/v1/metrics")).text
    assert f'minivec_cut_texts_total{{model="{EXAMPLE_MODEL}",input_type="ranking"}} 1' in metrics


async def test_an_old_name_and_any_case_lead_to_the_model(api: httpx.AsyncClient) -> None:
    for name in ("nvidia/llama-3.2-nv-rerankqa-1b-v2", EXAMPLE_MODEL.upper()):
        assert (await api.post("/v1/ranking", json=body() | {"model": name})).status_code == 200


@pytest.mark.parametrize("name", ["no/such-model", "all-MiniLM-L6-v2", "../secret", "/etc", "baai/bge-reranker-base"])
async def test_models_that_are_not_there_are_404(api: httpx.AsyncClient, name: str) -> None:
    for path, sent in (("/v1/ranking", body()), ("/v1/rerank", {"query": "q", "documents": ["d"]})):
        error = nim_error_in(await api.post(path, json=sent | {"model": name}), 404)
        assert f"The model `{name}` does not exist." in error["message"]
        assert EXAMPLE_MODEL in error["message"]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"passages": []}, ["body", "passages"]),
        ({"passages": ["bare"]}, ["body", "passages", 0]),
        ({"passages": [{"text": "a", "image": "data:image/png;base64,"}]}, ["body", "passages", 0, "image"]),
        ({"query": "bare"}, ["body", "query"]),
        ({"truncate": "START"}, ["body", "truncate"]),
        ({"truncate": None}, ["body", "truncate"]),
        ({"model": ""}, ["body", "model"]),
        ({"top_n": 3}, ["body", "top_n"]),
    ],
)
async def test_a_request_that_does_not_fit_is_400_with_its_place(
    api: httpx.AsyncClient, change: dict[str, Any], place: list[Any]
) -> None:
    error = nim_error_in(await api.post("/v1/ranking", json=body() | change), 400)
    assert error["type"] == "request_validation_error"
    assert error["detail"]["loc"] == place


async def test_half_a_surrogate_pair_is_400(api: httpx.AsyncClient) -> None:
    content = b'{"model":"m","query":{"text":"\\ud800"},"passages":[{"text":"a"}]}'
    answer = await api.post("/v1/ranking", content=content, headers={"content-type": "application/json"})
    nim_error_in(answer, 400)


async def test_more_passages_than_a_request_may_hold(make_app: Any) -> None:
    async with client_of(make_app(max_batch_objects=3)) as client:
        error = nim_error_in(await client.post("/v1/ranking", json=body()), 400)
    assert "this server takes 3" in error["message"]


async def test_documents_are_ranked_with_scores_from_0_to_1(api: httpx.AsyncClient) -> None:
    sent = {"model": EXAMPLE_MODEL, "query": "bees talk", "documents": PASSAGES}
    answer = (await api.post("/v1/rerank", json=sent)).json()
    assert answer["model"] == EXAMPLE_MODEL
    assert [one["index"] for one in answer["results"]] == [2, 1, 0, 3]
    assert answer["results"][0]["relevance_score"] == pytest.approx(1 / (1 + math.exp(-2)))
    best = await api.post("/v1/rerank", json={**sent, "documents": [{"text": t} for t in PASSAGES], "top_n": 1})
    assert best.json()["results"] == [{**answer["results"][0], "document": None}]
    told = await api.post("/v1/rerank", json={**sent, "return_documents": True})
    assert told.json()["results"][0]["document"] == {"text": PASSAGES[2]}
    del sent["model"]
    assert (await api.post("/v1/rerank", json=sent)).json() == answer


async def test_an_engine_without_rerankers_has_none(nim: httpx.AsyncClient) -> None:
    nim_error_in(await nim.post("/v1/ranking", json=body()), 404)
    error = nim_error_in(await nim.post("/v1/rerank", json={"query": "q", "documents": ["d"]}), 404)
    assert error["message"] == "This server has no reranker."


async def test_a_search_is_reranked_over_rest(api: httpx.AsyncClient, articles: str) -> None:
    wish = {"model": "words", "properties": ["title"], "query": "honey", "depth": 3}
    for kind, more in (("near-text", {"text": "bees"}), ("hybrid", {"text": "bees"}), ("keyword", {"text": "bees"})):
        answer = (await api.post(f"{articles}/search/{kind}", json={**more, "limit": 2, "rerank": wish})).json()
        first = answer["hits"][0]
        assert first["properties"]["title"] == "bees make honey"
        assert first["parts"][0]["source"] == "rerank"
        assert first["first_stage"]["parts"]
        assert answer["plan"]["rerank"]["model"] == "words"
    for wrong in (
        {"model": "../x"},
        {"model": "w", "depth": 0},
        {"model": "w", "more": 1},
        {"model": "w", "query": " "},
    ):
        refused = await api.post(f"{articles}/search/near-text", json={"text": "bees", "rerank": wrong})
        assert refused.status_code == 422, wrong
        assert refused.json()["error"]["field"].startswith("rerank")


def test_folders_of_rerankers_are_found_by_name_and_are_not_listed_as_embedding_models(tmp_path: Path) -> None:
    for name, kind in (("own/ranker", "BertForSequenceClassification"), ("own/embedder", "BertModel"), ("odd", None)):
        write_json(tmp_path / name / "config.json", {"architectures": [kind] if kind else "none"})
    settings = Settings(models=str(tmp_path))
    models = Models(Source(), settings)
    assert [served.id for served in models.rerankers()] == ["own/ranker"]
    assert {"own/embedder", "odd"} <= {served.id for served in models.all()}
    assert "own/ranker" not in {served.id for served in models.all()}
    assert models.find_reranker("own/ranker").name == "own/ranker"
    alone = Models(Source(), settings, ["own/ranker", "plain"])
    assert [served.id for served in alone.rerankers()] == ["own/ranker"]
    assert alone.find_reranker("OWN/ranker").name == "own/ranker"
