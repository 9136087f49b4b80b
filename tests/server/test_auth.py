from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from fastapi import FastAPI

from minivec_server.auth import OPEN_PATHS
from tests.server.conftest import assert_told, client_of, error_in
from tests.server.test_error_shape import METHODS, PATHS, address, all_paths

KEY = "correct-horse-battery"


@pytest.fixture
async def locked(make_app: Callable[..., FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(make_app(api_key=KEY)) as client:
        yield client


async def test_every_route_but_health_asks_for_the_key(locked: httpx.AsyncClient) -> None:
    wrong = ("", "Bearer", "Bearer ", "Bearer wrong", KEY, f"Basic {KEY}", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}")
    for path in [*all_paths(), "/nowhere"]:
        for method in METHODS:
            if path in OPEN_PATHS:
                continue
            response = await locked.request(method, address(path))
            assert response.status_code == 401, (method, path)
            assert response.headers["www-authenticate"] == "Bearer"
        for header in wrong if path not in OPEN_PATHS else ():
            refused = await locked.get(address(path), headers={"authorization": header})
            assert_told(refused, 401, code="unauthorized")


async def test_health_is_open_and_nothing_else_is(locked: httpx.AsyncClient) -> None:
    assert set(PATHS) >= OPEN_PATHS
    for path in OPEN_PATHS:
        assert (await locked.get(path)).status_code == 200


async def test_the_key_opens_every_route(locked: httpx.AsyncClient) -> None:
    for path in all_paths():
        for header in (f"Bearer {KEY}", f"bearer   {KEY}  "):
            response = await locked.get(address(path), headers={"authorization": header})
            assert response.status_code in (200, 404, 405), (path, response.text)


async def test_two_keys_are_no_key(locked: httpx.AsyncClient) -> None:
    headers = [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer wrong")]
    error_in(await locked.get("/v1/version", headers=headers), 401)


async def test_the_description_says_that_a_key_is_needed(locked: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    described = (await locked.get("/openapi.json", headers={"authorization": f"Bearer {KEY}"})).json()
    assert described["components"]["securitySchemes"] == {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert operation["security"] == ([] if path in OPEN_PATHS else [{"key": []}])
    assert "securitySchemes" not in (await api.get("/openapi.json")).json()["components"]


async def test_the_key_is_in_no_log_and_no_answer(locked: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for path in all_paths():
        response = await locked.get(address(path), headers={"authorization": f"Bearer {KEY}"})
        assert KEY not in response.text
    assert KEY not in caplog.text
