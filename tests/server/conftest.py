from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import minivec
from minivec.database import Database
from minivec.embedding.engine import Engine
from minivec.settings import Settings
from minivec_server import nim
from minivec_server.app import create_app
from minivec_server.nim.ranking import EXAMPLE_MODEL

DIMENSION = 8


@pytest.fixture
def database() -> Iterator[Database]:
    engine = Engine.fake(DIMENSION)
    engine.reranker(EXAMPLE_MODEL)
    with minivec.open(":memory:", embedders=engine) as opened:
        yield opened


@pytest.fixture
def make_app(database: Database) -> Iterator[Callable[..., FastAPI]]:
    """Makes an application over the database with the given settings."""
    made: list[FastAPI] = []

    def make(**settings: Any) -> FastAPI:
        made.append(create_app(database, Settings(**settings)))
        return made[-1]

    yield make
    for app in made:
        app.state.minivec.pools.close(5.0)


@pytest.fixture
async def api(make_app: Callable[..., FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with the default settings."""
    async with client_of(make_app()) as client:
        yield client


@pytest.fixture
async def articles(api: httpx.AsyncClient) -> str:
    """The address of a collection with three objects in it."""
    created = await api.post("/v1/collections", json={"name": "articles"})
    assert created.status_code == 201, created.text
    objects = [
        {"uuid": uuid_of(1), "properties": {"title": "bees dance to talk", "year": 2001}},
        {"uuid": uuid_of(2), "properties": {"title": "ships sail the sea", "year": 2002}},
        {"uuid": uuid_of(3), "properties": {"title": "bees make honey", "year": 2002}},
    ]
    stored = await api.post("/v1/collections/articles/objects", json={"objects": objects})
    assert stored.json()["counts"] == {"inserted": 3}, stored.text
    return "/v1/collections/articles"


def client_of(app: FastAPI, **options: Any) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="http://test", **options)


def uuid_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def error_in(response: httpx.Response, status: int) -> dict[str, str]:
    """The error of an answer, after asserting status and shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, str] = body["error"]
    assert set(error) == {"code", "message", "hint", "field", "request_id"}
    assert all(isinstance(value, str) for value in error.values())
    assert error["code"] and error["message"]
    assert error["request_id"] == response.headers["x-request-id"]
    return error


def nim_error_in(response: httpx.Response, status: int) -> dict[str, Any]:
    """The error of an answer in NIM's shape, after asserting status and shape."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error: dict[str, Any] = response.json()
    assert set(error) == {"object", "message", "detail", "type"}
    assert error["object"] == "error"
    assert isinstance(error["message"], str) and error["message"]
    assert isinstance(error["type"], str) and error["type"]
    assert isinstance(error["detail"], dict)
    return error


def assert_told(response: httpx.Response, status: int, code: str = "", field: str = "") -> None:
    """The answer is this error, in the shape of the facade its address belongs to; NIM has no codes and no fields."""
    if response.request.url.path in nim.PATHS:
        nim_error_in(response, 400 if status == 422 else status)
        return
    error = error_in(response, status)
    assert code in ("", error["code"])
    assert field in ("", error["field"])
