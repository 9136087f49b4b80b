"""NVIDIA's rerankers of langchain and Haystack, each in its own environment (long: they are installed)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.contract.clients import HAYSTACK, LANGCHAIN, ask
from tests.contract.conftest import DOCUMENTS, Server

pytestmark = pytest.mark.judge
CLIENTS = {
    "langchain": replace(LANGCHAIN, script="langchain_rerank.py"),
    "haystack": replace(HAYSTACK, script="haystack_rerank.py"),
}
QUERY = "bees"


@pytest.mark.parametrize("name", CLIENTS)
def test_documents_are_ranked_and_an_error_reaches_the_user_in_words(server: Server, name: str) -> None:
    sent: dict[str, Any] = {"model": server.reranker, "query": {"text": QUERY}, "truncate": "END"}
    sent["passages"] = [{"text": text} for text in DOCUMENTS]
    answer = httpx.post(f"{server.url}/v1/ranking", json=sent, timeout=60).json()
    expected = [[DOCUMENTS[one["index"]], pytest.approx(one["logit"], abs=1e-4)] for one in answer["rankings"]]
    assert len({one["logit"] for one in answer["rankings"]}) == len(DOCUMENTS)
    said = ask(CLIENTS[name], server.url, server.reranker, QUERY, json.dumps(DOCUMENTS))
    assert said["all"] == expected
    assert said["best"] == expected[:1]
    assert "The model `no/such-model` does not exist." in said["no such model"]
