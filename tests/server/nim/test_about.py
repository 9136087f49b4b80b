"""What a NIM's clients ask besides embeddings, alone and on the database's port."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from fastapi import FastAPI

from minivec.client.requests import server_version
from tests.server.conftest import client_of, nim_error_in
from tests.server.nim.embedders import Source


async def test_the_models_are_listed_the_default_first(nim: httpx.AsyncClient) -> None:
    listed = (await nim.get("/v1/models")).json()
    common = {"created": 0, "object": "model", "owned_by": "organization-owner"}
    assert listed == {
        "object": "list",
        "data": [{"id": name, **common, "root": name} for name in ("nvidia/rich", "plain")],
    }


async def test_a_served_name_is_offered_first_and_echoed(make_engine_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_engine_app(served_model_name="my-model")) as nim:
        names = [model["id"] for model in (await nim.get("/v1/models")).json()["data"]]
        assert names == ["my-model", "nvidia/rich", "plain"]
        for name in ("my-model-query", "nvidia/rich-query"):
            answer = (await nim.post("/v1/embeddings", json={"model": name, "input": "x"})).json()
            assert answer["model"] == name.removesuffix("-query")


async def test_metadata_has_what_nvidias_own_clients_read(nim: httpx.AsyncClient) -> None:
    metadata = (await nim.get("/v1/metadata")).json()
    assert isinstance(metadata["version"], str) and metadata["version"]
    assert metadata["modelInfo"][0]["shortName"] == "nvidia/rich"
    assert metadata["licenseInfo"]["name"] == "Apache-2.0"


async def test_licence_and_manifest(nim: httpx.AsyncClient) -> None:
    licence = (await nim.get("/v1/license")).json()
    assert licence["name"] == "Apache-2.0"
    assert licence["size"] == len(licence["content"])
    assert (await nim.get("/v1/manifest")).json() == {"manifest_file": "nvidia/rich\nplain\n", "repository": "local"}


async def test_health_tells_the_truth(nim: httpx.AsyncClient, source: Source) -> None:
    live = await nim.get("/v1/health/live")
    assert (live.status_code, live.json()["message"]) == (200, "Service is live.")
    ready = await nim.get("/v1/health/ready")
    assert (ready.status_code, ready.json()["message"]) == (200, "Service is ready.")
    assert ready.json()["object"] == "health-response"
    source.ready = False
    ready = await nim.get("/v1/health/ready")
    assert (ready.status_code, ready.json()["message"]) == (503, "Service is not ready.")
    assert ready.json()["notes"] == ["cpu: its worker is gone"]


async def test_the_version_suits_nims_clients_and_ours(nim: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    for client in (nim, api):
        version = (await client.get("/v1/version")).json()
        assert version["api"] == "1.0.0"
        assert version["release"] == version["minivec"]
        assert server_version().path == "/v1/version"


async def test_an_engine_alone_has_no_collections_and_says_so_as_a_nim(nim: httpx.AsyncClient) -> None:
    for path in ("/v1/collections", "/nowhere", "/"):
        nim_error_in(await nim.get(path), 404)
    refused = await nim.get("/v1/embeddings")
    nim_error_in(refused, 405)
    assert refused.headers["allow"] == "POST"


async def test_an_engine_alone_describes_itself(nim: httpx.AsyncClient) -> None:
    described: dict[str, Any] = (await nim.get("/openapi.json")).json()
    assert set(described["paths"]) == {
        *("/v1/embeddings", "/v1/models", "/v1/metadata", "/v1/license", "/v1/manifest", "/v1/metrics"),
        *("/v1/ranking", "/v1/rerank", "/v1/health/live", "/v1/health/ready", "/v1/version"),
    }
    for operations in described["paths"].values():
        for operation in operations.values():
            assert operation["responses"]["500"]["content"]["application/json"]["schema"]["$ref"].endswith("/NimError")


async def test_a_key_is_asked_for_where_one_is_set(make_engine_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_engine_app(api_key="k")) as nim:
        for path in ("/v1/models", "/v1/metadata", "/v1/metrics", "/v1/version"):
            nim_error_in(await nim.get(path), 401)
            assert (await nim.get(path, headers={"authorization": "Bearer k"})).status_code == 200
        assert (await nim.get("/v1/health/ready")).status_code == 200
