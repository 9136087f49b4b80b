from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable

import pytest
from fastapi import FastAPI

from minivec.collection import Collection
from tests.server.conftest import client_of, error_in, uuid_of


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


@pytest.fixture
def blocked(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Imports wait until `gate` is set; the event says that one has begun."""
    begun = threading.Event()
    ingest = Collection.ingest

    def waiting(self: Collection, *args: object, **options: object) -> object:
        begun.set()
        assert gate.wait(60)
        return ingest(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Collection, "ingest", waiting)
    return begun


ONE = {"objects": [{"uuid": uuid_of(1), "properties": {"title": "one"}}]}


async def test_the_event_loop_is_free_while_an_import_waits_for_its_model(
    make_app: Callable[..., FastAPI], gate: threading.Event, blocked: threading.Event
) -> None:
    async with client_of(make_app(write_threads=1)) as api:
        await api.post("/v1/collections", json={"name": "slow"})
        importing = asyncio.ensure_future(api.post("/v1/collections/slow/objects", json=ONE))
        await asyncio.to_thread(blocked.wait)
        for path in ("/v1/health/live", "/v1/health/ready", "/v1/version", "/v1/collections/slow"):
            assert (await api.get(path)).status_code == 200
        assert (await api.post("/v1/collections/slow/search/near-text", json={"text": "x"})).status_code == 200
        assert not importing.done()
        gate.set()
        assert (await importing).json()["counts"] == {"inserted": 1}


async def test_when_too_many_wait_the_next_is_told_busy(
    make_app: Callable[..., FastAPI], gate: threading.Event, blocked: threading.Event
) -> None:
    app = make_app(write_threads=1, max_waiting=1)
    async with client_of(app) as api:
        await api.post("/v1/collections", json={"name": "slow"})
        first = asyncio.ensure_future(api.post("/v1/collections/slow/objects", json=ONE))
        await asyncio.to_thread(blocked.wait)
        others = [asyncio.ensure_future(api.post("/v1/collections/slow/objects", json=ONE)) for _ in range(2)]
        done, waiting = await asyncio.wait(others, return_when=asyncio.FIRST_COMPLETED)
        refused = done.pop().result()
        assert error_in(refused, 503)["code"] == "busy"
        assert int(refused.headers["retry-after"]) >= 1
        gate.set()
        assert (await first).status_code == 200
        assert (await waiting.pop()).status_code == 200


async def test_a_request_that_takes_too_long_is_told_so(
    make_app: Callable[..., FastAPI], gate: threading.Event, blocked: threading.Event
) -> None:
    async with client_of(make_app(request_seconds=0.05)) as api:
        created = await api.post("/v1/collections", json={"name": "slow"})
        assert created.status_code in (201, 504)
        late = await api.post("/v1/collections/slow/objects", json=ONE)
        assert error_in(late, 504)["code"] == "deadline_exceeded"
        gate.set()


async def test_a_large_body_is_read_whole(make_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_app()) as api:
        await api.post("/v1/collections", json={"name": "large"})
        objects = [{"properties": {"title": "x" * 2000}} for _ in range(300)]  # beyond what the loop parses itself
        answer = await api.post("/v1/collections/large/objects", json={"objects": objects})
        assert answer.json()["counts"] == {"inserted": 300}


async def test_compressed_bodies_are_not_read(make_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_app()) as api:
        for kind in ("application/json", "application/x-ndjson"):
            headers = {"content-type": kind, "content-encoding": "gzip"}
            bomb = gzip.compress(b" " * 1_000_000)
            error_in(await api.post("/v1/collections", content=bomb, headers=headers), 415)
