"""Searches that a service reranks: which service, with whose key, and what strangers may not choose."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from minivec import Credentials, Rerank
from minivec.collection import Collection
from minivec.database import Database
from minivec.embedding.engine import Engine
from minivec.embedding.interface import EmbedderSource
from minivec.embedding.remote import RemoteSource
from minivec.embedding.remote_retry import RetryPolicy
from minivec.errors import EmbeddingFailed, InvalidInput
from minivec.vectorizer import Services
from tests.embedders import Few

OURS = "nvapi-CANARY-of-the-operator"
BROUGHT = "nvapi-CANARY-of-the-caller"
NIM = "http://nim:8000"
MODEL = "nvidia/llama-nemotron-rerank-1b-v2"
HOSTED = f"https://ai.api.nvidia.com/v1/retrieval/{MODEL}/reranking"
TEXTS = ["bees dance", "the sea is very deep indeed", "a ship"]


class Wire:
    """Stands where the network would: the longest passage is the best; `status` other than 200 refuses everything."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.status != 200:
            return httpx.Response(self.status, json={"detail": "no"})
        passages = json.loads(request.content)["passages"]
        rankings = [{"index": place, "logit": float(len(one["text"]))} for place, one in enumerate(passages)]
        return httpx.Response(200, json={"rankings": rankings})

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(str(request.url), request.headers.get("authorization", "")) for request in self.requests]


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def make(tmp_path: Path, wire: Wire) -> Iterator[Callable[..., Database]]:
    """Makes databases with one filled collection, whose services are on the wire."""
    made: list[Database] = []

    def make(source: EmbedderSource | None = None, **services: Any) -> Database:
        remotes = RemoteSource(
            policy=RetryPolicy(attempts=2), transport=httpx.MockTransport(wire), sleep=lambda seconds: None
        )
        embedders = source or Few("all-MiniLM-L6-v2")
        database = Database(
            tmp_path / str(len(made)), embedders=embedders, remotes=remotes, services=Services(**services)
        )
        made.append(database)
        database.create_collection("Notes").import_objects([{"properties": {"text": text}} for text in TEXTS])
        return database

    yield make
    for database in made:
        database.close()


def best(collection: Collection, **wish: Any) -> str:
    answer = collection.near_text("bees", rerank=Rerank(model=MODEL, service="nvidia", **wish))
    assert answer.plan.rerank is not None and answer.plan.rerank.model == MODEL
    return str(answer.hits[0].properties["text"])


def test_a_nim_reranks_without_a_key(make: Any, wire: Wire) -> None:
    assert best(make().collection("Notes"), base_url=NIM + "/v1") == TEXTS[1]
    assert wire.seen == [(f"{NIM}/v1/ranking", "")]


def test_the_hosted_service_needs_a_key_and_the_callers_goes_first(make: Any, wire: Wire) -> None:
    with pytest.raises(InvalidInput, match="NVIDIA_API_KEY"):
        best(make().collection("Notes"))
    database = make(keys={"nvidia": OURS})
    assert best(database.collection("Notes")) == TEXTS[1]
    best(database.collection("Notes", credentials=Credentials(nvidia_api_key=BROUGHT)))
    assert wire.seen == [(HOSTED, f"Bearer {OURS}"), (HOSTED, f"Bearer {BROUGHT}")]


def test_a_model_this_machine_has_runs_here_unless_an_address_is_named(make: Any, wire: Wire) -> None:
    collection = make(Engine.fake(8)).collection("Notes")
    assert best(collection) == TEXTS[0]
    assert wire.seen == []
    assert best(collection, base_url=NIM) == TEXTS[1]


def test_a_strangers_address_is_public_and_gets_no_key_of_ours(make: Any, wire: Wire) -> None:
    database = make(keys={"nvidia": OURS}, base_urls={"nvidia": NIM})
    database.guard()
    collection = database.collection("Notes")
    for address in ("http://10.0.0.1:8000", "https://127.0.0.1", "http://elsewhere"):
        with pytest.raises(InvalidInput) as refused:
            best(collection, base_url=address)
        assert refused.value.field == "base_url"
    assert wire.seen == []
    best(collection, base_url="https://elsewhere")
    best(collection)
    assert wire.seen == [("https://elsewhere/v1/ranking", ""), (f"{NIM}/v1/ranking", f"Bearer {OURS}")]


def test_a_service_that_fails_fails_the_search_in_words(make: Any, wire: Wire) -> None:
    wire.status = 503
    with pytest.raises(EmbeddingFailed, match="nim:8000 answered 503 2 times: no"):
        best(make().collection("Notes"), base_url=NIM)
