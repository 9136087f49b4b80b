"""Keys and addresses of model services in the headers of a request: used for it, shown nowhere, kept within bounds."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from minivec import Settings
from minivec.database import Database, open_database
from minivec_server.app import create_app
from tests.embedders import Few
from tests.embedding.fault_server import FaultServer, fault_server
from tests.server.conftest import client_of, error_in

CANARY = "nvapi-CANARY-of-the-operator"
BROUGHT = "nvapi-CANARY-of-the-caller"
Serve = Callable[..., httpx.AsyncClient]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serves a database that knows the bundled model only, with these settings."""
    made: list[tuple[httpx.AsyncClient, FastAPI, Database]] = []

    def make(**more: Any) -> httpx.AsyncClient:
        settings = Settings(nvidia_api_key=CANARY, **more)
        database = open_database(tmp_path / str(len(made)), embedders=Few("all-MiniLM-L6-v2"), settings=settings)
        app = create_app(database, settings)
        made.append((client_of(app), app, database))
        return made[-1][0]

    yield make
    for client, app, database in made:
        await client.aclose()
        app.state.minivec.pools.close(5.0)
        database.close()


def notes(**space: Any) -> dict[str, Any]:
    return {"name": "Notes", "vector_spaces": [{"vectorizer": "nvidia", **space}]}


OBJECTS = {"objects": [{"properties": {"text": f"text number {n}"}} for n in range(3)]}


async def test_the_key_of_a_request_is_the_one_used_and_our_own_key_stays_ours(
    serve: Serve, server: FaultServer
) -> None:
    api = serve(nvidia_base_url=server.url, api_key="ours")
    ours = {"Authorization": "Bearer ours"}
    both = {**ours, "X-NVIDIA-Api-Key": BROUGHT}
    assert (await api.post("/v1/collections", json=notes(), headers=ours)).status_code == 201
    await api.post("/v1/collections/Notes/objects", json=OBJECTS, headers=both)
    await api.post("/v1/collections/Notes/search/near-text", json={"text": "number"}, headers=both)
    await api.put(
        "/v1/collections/Notes/objects/0e1c7a52-7f3c-4d0c-9d62-3a8f4a4ff001",
        json={"properties": {"text": "more"}},
        headers=both,
    )
    assert {request.headers["authorization"] for request in server.received} == {f"Bearer {BROUGHT}"}
    assert [request.body["input_type"] for request in server.received] == ["passage", "query", "passage"]
    await api.post("/v1/collections/Notes/search/hybrid", json={"text": "number"}, headers=ours)
    assert server.received[-1].headers["authorization"] == f"Bearer {CANARY}"


async def test_a_streamed_import_and_a_reembed_use_the_requests_key_too(serve: Serve, server: FaultServer) -> None:
    api = serve(nvidia_base_url=server.url)
    await api.post("/v1/collections", json={"name": "Notes"})
    headers = {"X-NVIDIA-Api-Key": BROUGHT}
    lines = b'{"properties": {"text": "one"}}\n{"properties": {"text": "two"}}\n'
    place = "/v1/collections/Notes/vector-spaces/default/reembed"
    stored = await api.post(
        "/v1/collections/Notes/objects", content=lines, headers={**headers, "content-type": "application/x-ndjson"}
    )
    assert stored.text.count("inserted") == 2
    started = await api.post(place, json={"vectorizer": "nvidia"}, headers=headers)
    assert started.status_code == 202, started.text
    while (job := (await api.get(place)).json())["state"] == "running":
        pass
    assert job["state"] == "done", job
    stored = await api.post(
        "/v1/collections/Notes/objects", content=lines, headers={**headers, "content-type": "application/x-ndjson"}
    )
    assert stored.text.count("inserted") == 2
    assert {request.headers["authorization"] for request in server.received} == {f"Bearer {BROUGHT}"}


async def test_a_base_url_in_a_header_is_refused_unless_the_operator_allows_it(
    serve: Serve, server: FaultServer
) -> None:
    with fault_server() as other:
        headers = {"X-NVIDIA-BaseURL": other.url, "X-NVIDIA-Api-Key": BROUGHT}
        question = {"text": "number"}
        near_text = "/v1/collections/Notes/search/near-text"
        for settings, status in (
            ({}, 422),
            ({"allow_base_url_header": True}, 422),
            ({"allow_base_url_header": True, "allow_private_base_urls": True}, 200),
        ):
            api = serve(nvidia_base_url=server.url, **settings)
            await api.post("/v1/collections", json=notes())
            answer = await api.post(near_text, json=question, headers=headers)
            assert answer.status_code == status, answer.text
            assert len(other.received) == (1 if status == 200 else 0)
            if status == 422:
                assert "allow_" in error_in(answer, 422)["hint"]
        assert server.received == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:{port}", "https://localhost:{port}", "http://[::1]:{port}", "http://169.254.169.254"]
)
async def test_a_definition_over_rest_reaches_nothing_private(serve: Serve, server: FaultServer, url: str) -> None:
    api = serve()
    base_url = url.format(port=server.url.rpartition(":")[2])
    created = await api.post("/v1/collections", json=notes(base_url=base_url))
    if created.status_code == 201:  # a name: judged when it is called
        stored = await api.post("/v1/collections/Notes/objects", json=OBJECTS)
        assert stored.json()["counts"] == {"refused": 3}
        error_in(await api.post("/v1/collections/Notes/search/near-text", json={"text": "a"}), 422)
    else:
        assert error_in(created, 422)["field"] == "base_url"
    await api.post("/v1/collections", json={"name": "Other"})
    added = await api.post(
        "/v1/collections/Other/vector-spaces", json={"name": "b", "vectorizer": "nvidia", "base_url": base_url}
    )
    assert added.status_code in (200, 422)
    assert server.received == []


@pytest.mark.parametrize("key", ["two words", "tab\there", "x" * 5000])
async def test_a_key_that_no_header_can_carry_on_is_refused_and_not_repeated(serve: Serve, key: str) -> None:
    answer = await serve().post("/v1/collections", json=notes(), headers={"X-NVIDIA-Api-Key": key})
    assert error_in(answer, 422)["field"] == "X-NVIDIA-Api-Key"
    assert key not in answer.text


@pytest.mark.parametrize("fault", ["ok", "unauthorized", "500", "garbage"])
async def test_no_key_is_in_any_answer_or_log(
    serve: Serve, fault: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"X-NVIDIA-Api-Key": BROUGHT}
    seen = []
    with fault_server(fault) as server:
        api = serve(nvidia_base_url=server.url, remote_seconds=1.0)
        if fault == "500":
            database = api._transport.app.state.minivec.database  # type: ignore[attr-defined]
            database._remotes.sender(server.url, guarded=False)._sleep = lambda seconds: None
        for sent in ({}, headers):
            for method, path, body in (
                ("POST", "/v1/collections", notes()),
                ("POST", "/v1/collections/Notes/objects", OBJECTS),
                ("POST", "/v1/collections/Notes/search/near-text", {"text": "number"}),
                ("POST", "/v1/collections/Notes/vector-spaces/default/reembed", {"model": "other"}),
                ("GET", "/v1/collections/Notes/vector-spaces/default/reembed", None),
                ("GET", "/v1/collections", None),
                ("GET", "/v1/health/ready", None),
                ("GET", "/v1/version", None),
                ("GET", "/openapi.json", None),
            ):
                answer = await api.request(method, path, json=body, headers=sent)
                seen.append(answer.text + repr(answer.headers))
        assert {request.headers["authorization"] for request in server.received} == {
            f"Bearer {CANARY}",
            f"Bearer {BROUGHT}",
        }
        await api.delete("/v1/collections/Notes/vector-spaces/default/reembed")
    seen += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    everything = "\n".join([*seen, caplog.text])
    assert CANARY not in everything
    assert BROUGHT not in everything
