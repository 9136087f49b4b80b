from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from minivec.database import Database, Health
from tests.server.conftest import client_of, error_in


async def test_health_is_told_in_the_words_of_nim(api: httpx.AsyncClient) -> None:
    live = (await api.get("/v1/health/live")).json()
    assert live == {"object": "health-response", "message": "Service is live.", "status": "ready", "notes": []}
    ready = await api.get("/v1/health/ready")
    assert ready.status_code == 200
    assert ready.json()["message"] == "Service is ready."


async def test_a_stopping_server_is_alive_but_not_ready(make_app: Callable[..., FastAPI]) -> None:
    app = make_app()
    async with client_of(app) as api:
        app.state.minivec.pools.close(0.0)
        assert (await api.get("/v1/health/live")).status_code == 200
        ready = await api.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "degraded")
        assert ready.json()["notes"]
        assert error_in(await api.get("/v1/collections"), 503)["code"] == "closed"


async def test_an_index_that_is_behind_is_told_while_requests_are_answered(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = Health(ready=False, notes=("things, index keyword: rebuilding",))
    monkeypatch.setattr(Database, "health", lambda self: behind)
    ready = await api.get("/v1/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "degraded"
    assert ready.json()["notes"] == ["things, index keyword: rebuilding"]


async def test_the_version_names_everything_a_report_needs(api: httpx.AsyncClient, database: Database) -> None:
    version = (await api.get("/v1/version")).json()
    assert version == database.version()
    assert set(version) == {"release", "api", "minivec", "sqlite", "format"}


async def test_the_root_shows_the_way(api: httpx.AsyncClient) -> None:
    root = (await api.get("/")).json()
    assert root["name"] == "minivec"
    for link in root["links"].values():
        assert (await api.get(link)).status_code == 200
