"""Every route of the OpenAPI description, against everything that can be wrong with a request: one shape per facade."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

import minivec
from minivec.embedding.engine import Engine
from minivec.settings import Settings
from minivec_server.app import create_app
from tests.server.conftest import DIMENSION, assert_told, error_in, uuid_of

METHODS = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE")
JSON = {"content-type": "application/json"}
BODIES: dict[str, bytes] = {
    "empty": b"",
    "blank": b" \n ",
    "not json": b"hello",
    "cut off": b'{"text": "x"',
    "nan": b'{"vector": [NaN], "text": "x"}',
    "infinity": b'{"vector": [-Infinity]}',
    "overflow": b'{"vector": [1e999]}',
    "invalid utf-8": b'{"text": "\xff\xfe"}',
    "surrogate": b'{"text": "\\ud800"}',
    "surrogate key": b'{"\\udfff": 1}',
    "nul": b'{"text": "a\\u0000b"}',
    "deep list": b"[" * 100_000,
    "deep object": b'{"a":' * 2_000 + b"1" + b"}" * 2_000,
    "depth 70": b'{"text":' + b"[" * 70 + b"]" * 70 + b"}",
    "long integer": b'{"limit": ' + b"9" * 5_000 + b"}",
    "65 bits": b'{"limit": 36893488147419103232}',
    "null": b"null",
    "list": b"[]",
    "string": b'"text"',
    "number": b"12",
    "unknown members": b'{"no_such_member": 1}',
    "wrong types": orjson.dumps(
        dict.fromkeys(("name", "text", "vector", "uuid", "objects", "where", "properties", "description"), False)
    ),
    "many members": orjson.dumps({f"member{i}": i for i in range(10_000)}),
    "byte order mark": b"\xef\xbb\xbf{}",
}


def described() -> dict[str, Any]:
    with minivec.open(":memory:", embedders=Engine.fake(DIMENSION)) as database:
        return create_app(database, Settings()).openapi()


PATHS: dict[str, dict[str, Any]] = described()["paths"]
OPERATIONS = [(method.upper(), path) for path, operations in PATHS.items() for method in operations]
WITH_BODY = [(m, p) for m, p in OPERATIONS if "requestBody" in PATHS[p][m.lower()]]


def address(path: str, name: str = "articles", uuid: str = uuid_of(1), space: str = "default") -> str:
    return path.replace("{name}", name).replace("{uuid}", uuid).replace("{space}", space)


def all_paths() -> Iterator[str]:
    yield from PATHS
    yield from ("/docs", "/openapi.json")


@pytest.mark.parametrize("problem", BODIES)
async def test_a_bad_body_is_refused_on_every_route(api: httpx.AsyncClient, articles: str, problem: str) -> None:
    for method, path in WITH_BODY:
        response = await api.request(method, address(path), content=BODIES[problem], headers=JSON)
        assert response.status_code in (400, 413, 422), (method, path, problem, response.text)
        assert_told(response, response.status_code)
    assert (await api.get(articles)).json()["count"] == 3


async def test_a_body_that_is_not_declared_as_json_is_refused_on_every_route(
    api: httpx.AsyncClient, articles: str
) -> None:
    for method, path in WITH_BODY:
        for headers in ({}, {"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}):
            response = await api.request(method, address(path), content=b"{}", headers=headers)
            assert_told(response, 415, field="content-type")


async def test_json_with_a_charset_is_still_json(api: httpx.AsyncClient) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    created = await api.post("/v1/collections", content=b'{"name": "notes"}', headers=headers)
    assert created.status_code == 201


async def test_an_unknown_collection_is_not_found_on_every_route(api: httpx.AsyncClient) -> None:
    bodies = {path: PATHS[path][m.lower()]["requestBody"]["content"]["application/json"] for m, path in WITH_BODY}
    for method, path in OPERATIONS:
        if "{name}" in path:
            body = PATHS[path][method.lower()].get("requestBody", {}).get("content", {}).get("application/json")
            content = orjson.dumps(body["example"]) if body else None
            response = await api.request(method, address(path, name="nowhere"), content=content, headers=JSON)
            assert error_in(response, 404)["code"] == "collection_not_found", (method, path)
    assert bodies


async def test_a_name_that_cannot_be_is_refused_on_every_route(api: httpx.AsyncClient) -> None:
    for method, path in OPERATIONS:
        if "{name}" in path:
            response = await api.request(method, address(path, name="not%20a%20name"), content=b"{}", headers=JSON)
            assert error_in(response, 422)["field"] == "name", (method, path)


async def test_a_method_that_is_not_described_is_refused_and_the_others_are_named(api: httpx.AsyncClient) -> None:
    for path, operations in PATHS.items():
        described_methods = sorted(method.upper() for method in operations)
        for method in set(METHODS) - set(described_methods):
            response = await api.request(method, address(path))
            assert response.status_code == 405, (method, path)
            assert response.headers["allow"] == ", ".join(described_methods), (method, path)
            if method != "HEAD":
                assert_told(response, 405, code="method_not_allowed")


async def test_an_address_that_is_not_there_is_not_found(api: httpx.AsyncClient) -> None:
    for path in (
        "/nowhere",
        "/v1",
        "/v1/",
        "/v1/collections/",
        "/v2/collections",
        "/v1//collections",
        "/redoc",
        "/%00",
        "/\u00e4",
    ):
        assert error_in(await api.get(path), 404)["code"] == "not_found", path


async def test_an_unexpected_error_tells_nothing_and_is_logged(
    api: httpx.AsyncClient, articles: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: object, query: object) -> object:
        raise ZeroDivisionError("the secret inside")

    monkeypatch.setattr("minivec.collection.Collection.search", broken)
    error = error_in(await api.post(f"{articles}/search/keyword", json={"text": "x"}), 500)
    assert error["code"] == "internal"
    assert "secret" not in str(error)
    record = next(record for record in caplog.records if record.levelname == "ERROR")
    assert error["request_id"] in record.getMessage()
    assert "the secret inside" in str(record.exc_info)
