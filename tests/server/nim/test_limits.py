"""What is too much, too slow or gone: every request ends, and what nobody waits for is not begun."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI

from tests.server.conftest import client_of, nim_error_in
from tests.server.nim.embedders import Source

URL = "/v1/embeddings"
BODY = {"model": "plain", "input": "x"}


@pytest.fixture
def gate(source: Source) -> Iterator[threading.Event]:
    """The model answers nobody until it is set."""
    opened = threading.Event()
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        assert opened.wait(60)

    source.before = wait
    opened.begun = begun  # type: ignore[attr-defined]
    yield opened
    opened.set()


async def begun(gate: Any) -> None:
    assert await asyncio.to_thread(gate.begun.wait, 60)


class Caller:
    """One request by hand, so that it can go away."""

    def __init__(self, app: FastAPI, body: bytes) -> None:
        self.sent: list[Any] = []
        self._app = app
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": body, "more_body": False})

    async def call(self) -> None:
        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "method": "POST", "path": URL, "raw_path": URL.encode(), "query_string": b""}
        scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "server": ("test", 80), "client": None}

        async def send(message: Any) -> None:
            self.sent.append(message)

        await self._app(scope, self._messages.get, send)

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})


async def test_a_client_that_goes_away_is_not_worked_for(
    make_engine_app: Callable[..., FastAPI], source: Source, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minivec_server.pools.EMBEDDING_THREADS", 1)
    app = make_engine_app()
    staying = Caller(app, b'{"model": "plain", "input": "stays"}')
    leaving = Caller(app, b'{"model": "plain", "input": "leaves"}')
    first = asyncio.ensure_future(staying.call())
    await begun(gate)
    second = asyncio.ensure_future(leaving.call())
    await asyncio.sleep(0)
    leaving.leave()
    await asyncio.wait_for(second, 60)
    assert leaving.sent == []
    gate.set()
    await asyncio.wait_for(first, 60)
    assert staying.sent[0]["status"] == 200
    assert [asked["texts"] for asked in source.asked] == [["stays"]]


async def test_a_client_that_goes_away_while_the_model_works_leaves_the_server_free(
    make_engine_app: Callable[..., FastAPI], gate: threading.Event
) -> None:
    app = make_engine_app()
    leaving = Caller(app, b'{"model": "plain", "input": "leaves"}')
    call = asyncio.ensure_future(leaving.call())
    await begun(gate)
    leaving.leave()
    await asyncio.wait_for(call, 60)
    assert leaving.sent == []
    gate.set()
    async with client_of(app) as nim:
        assert (await nim.post(URL, json=BODY)).status_code == 200


async def test_when_too_many_wait_the_next_is_told_so(
    make_engine_app: Callable[..., FastAPI], gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minivec_server.pools.EMBEDDING_THREADS", 1)
    async with client_of(make_engine_app(max_waiting=1)) as nim:
        first = asyncio.ensure_future(nim.post(URL, json=BODY))
        await begun(gate)
        others = [asyncio.ensure_future(nim.post(URL, json=BODY)) for _ in range(2)]
        done, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert nim_error_in(refused, 429)["type"] == "rate_limit_error"
        assert int(refused.headers["retry-after"]) >= 1
        gate.set()
        assert (await first).status_code == 200
        assert (await waiting.pop()).status_code == 200


async def test_passages_that_wait_leave_queries_their_threads(
    make_engine_app: Callable[..., FastAPI], source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("minivec_server.pools.EMBEDDING_THREADS", 1)
    opened, held = threading.Event(), threading.Event()

    def wait_for_passages() -> None:
        if source.asked[-1]["input_type"] == "passage":
            held.set()
            assert opened.wait(60)

    source.before = wait_for_passages
    async with client_of(make_engine_app()) as nim:
        passages = asyncio.ensure_future(nim.post(URL, json={"model": "plain", "input": ["a", "b"]}))
        assert await asyncio.to_thread(held.wait, 60)
        assert (await nim.post(URL, json={**BODY, "input_type": "query"})).status_code == 200
        assert not passages.done()
        opened.set()
        assert (await passages).status_code == 200


async def test_a_request_that_takes_too_long_is_told_so(
    make_engine_app: Callable[..., FastAPI], gate: threading.Event
) -> None:
    async with client_of(make_engine_app(request_seconds=0.2)) as nim:
        assert nim_error_in(await nim.post(URL, json=BODY), 504)["type"] == "timeout_error"
        gate.set()


async def test_a_body_that_is_too_large(make_engine_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_engine_app(max_body_bytes=2000)) as nim:
        assert (await nim.post(URL, json=BODY)).status_code == 200
        large = {**BODY, "input": "x" * 3000}
        assert nim_error_in(await nim.post(URL, json=large), 413)["type"] == "request_too_large_error"


async def test_compressed_and_undeclared_bodies(make_engine_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_engine_app()) as nim:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        nim_error_in(await nim.post(URL, content=gzip.compress(b"{}"), headers=headers), 415)
        nim_error_in(await nim.post(URL, content=b"{}"), 415)
        nim_error_in(await nim.post(URL, content=b"", headers={"content-type": "application/json"}), 400)
        for body in (b"nonsense", b"[1", b'"text"', b"null", b"[" * 9999, b'{"input": NaN}'):
            nim_error_in(await nim.post(URL, content=body, headers={"content-type": "application/json"}), 400)


async def test_a_stopping_server_says_so(make_engine_app: Callable[..., FastAPI]) -> None:
    app = make_engine_app()
    async with client_of(app) as nim:
        app.state.minivec.pools.close(0.0)
        nim_error_in(await nim.post(URL, json=BODY), 503)


async def test_an_unexpected_error_tells_nothing(make_engine_app: Callable[..., FastAPI], source: Source) -> None:
    def broken() -> None:
        raise ZeroDivisionError("the secret inside")

    source.before = broken
    async with client_of(make_engine_app()) as nim:
        error = nim_error_in(await nim.post(URL, json=BODY), 500)
        assert "secret" not in str(error)
