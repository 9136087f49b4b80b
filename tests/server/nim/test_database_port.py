"""NIM's routes on the database's port: the same engine fills collections and answers embeddings."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from minivec.database import Database
from minivec.types.collection import BUNDLED_MODEL
from tests.server.conftest import client_of, error_in, nim_error_in


async def test_a_vector_from_nims_route_finds_what_the_same_text_would(api: httpx.AsyncClient, articles: str) -> None:
    answer = (await api.post("/v1/embeddings", json={"model": BUNDLED_MODEL, "input": "bees make honey"})).json()
    vector = answer["data"][0]["embedding"]
    by_vector = (await api.post(f"{articles}/search/near-vector", json={"vector": vector, "limit": 3})).json()
    by_text = (await api.post(f"{articles}/search/near-text", json={"text": "bees make honey", "limit": 3})).json()
    found = [[hit["uuid"] for hit in one["hits"]] for one in (by_vector, by_text)]
    assert found[0] == found[1]
    assert len(found[0]) == 3


async def test_models_in_use_are_listed(api: httpx.AsyncClient, articles: str) -> None:
    assert (await api.get("/v1/models")).json()["data"][0]["id"] == BUNDLED_MODEL


async def test_each_facade_keeps_its_error_shape(make_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_app(api_key="k")) as api:
        nim_error_in(await api.get("/v1/models"), 401)
        error_in(await api.get("/v1/collections"), 401)
        key = {"authorization": "Bearer k"}
        nim_error_in(await api.get("/v1/embeddings", headers=key), 405)
        error_in(await api.get("/v1/embedding", headers=key), 404)


async def test_a_closed_database_leaves_an_answer(api: httpx.AsyncClient, database: Database) -> None:
    database.close()
    nim_error_in(await api.post("/v1/embeddings", json={"model": BUNDLED_MODEL, "input": "x"}), 503)
    nim_error_in(await api.get("/v1/metrics"), 503)


@pytest.mark.parametrize("path", ["/v1/metadata", "/v1/license", "/v1/manifest", "/v1/metrics"])
async def test_the_rest_is_there_too(api: httpx.AsyncClient, path: str) -> None:
    assert (await api.get(path)).status_code == 200
