"""NVIDIA's integrations of langchain, llama-index and Haystack, each in its own environment (long: they are installed)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.contract.clients import HAYSTACK, LANGCHAIN, LLAMA_INDEX, Client, ask
from tests.contract.conftest import DOCUMENTS, SHORT, Server

pytestmark = pytest.mark.judge
CLIENTS = {"langchain": LANGCHAIN, "llama-index": LLAMA_INDEX, "haystack": HAYSTACK}
BATCHED = {"langchain": 120, "llama-index": 30, "haystack": 70}


@pytest.fixture(scope="module", params=CLIENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def said(server: Server, name: str) -> dict[str, Any]:
    client: Client = CLIENTS[name]
    return ask(client, server.url, server.model, server.two_sided, json.dumps(DOCUMENTS), SHORT)


def test_documents_and_queries_are_embedded(server: Server, name: str, said: dict[str, Any]) -> None:
    assert np.allclose(said["documents"], server.embed(DOCUMENTS), atol=1e-5)
    query, passage = (server.embed([SHORT], server.two_sided, input_type=kind)[0] for kind in ("query", "passage"))
    assert not np.allclose(query, passage, atol=1e-3)
    assert np.allclose(said["query"], query, atol=1e-5)
    assert np.allclose(said["passage"], passage, atol=1e-5)


def test_more_texts_than_one_request_of_the_client_holds(name: str, said: dict[str, Any]) -> None:
    assert said["many"] == BATCHED[name]


def test_a_client_without_a_model_takes_one_of_the_server(server: Server, said: dict[str, Any]) -> None:
    assert said["default"] in (server.model, server.two_sided)
    assert {server.model, server.two_sided} <= set(said.get("models", [server.model, server.two_sided]))


def test_an_error_reaches_the_user_in_words(said: dict[str, Any]) -> None:
    assert "The model `no/such-model` does not exist." in said["no such model"]["text"]
    assert "Input length 2002 exceeds maximum allowed token size 256" in said["too long"]["text"]


@pytest.mark.parametrize("name", ["haystack"], indirect=True)
def test_usage_is_there_for_haystack(said: dict[str, Any]) -> None:
    assert said["usage"]["total_tokens"] > len(" ".join(DOCUMENTS).split())


@pytest.mark.parametrize("name", ["llama-index"], indirect=True)
def test_llama_indexs_query_without_await_is_sent_as_a_passage(said: dict[str, Any]) -> None:
    """Its mistake, not ours: it is here so that we hear when it is mended."""
    assert np.allclose(said["query, called without await"], said["passage"], atol=1e-5)


@pytest.mark.parametrize("name", ["langchain"], indirect=True)
def test_langchain_shows_the_status_and_which_lengths_there_are(said: dict[str, Any]) -> None:
    assert "[400]" in said["no such length"]["text"]
    assert "32 dimensions only" in said["no such length"]["text"]
