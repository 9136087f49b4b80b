"""NDJSON imports: in process for their meaning, against the real server for what only a connection shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.server.conftest import client_of, error_in, uuid_of
from tests.server.serving import Running, running

NDJSON = {"content-type": "application/x-ndjson"}


def lines_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in response.content.splitlines()]


def line(number: int, **extra: Any) -> bytes:
    draft = {"uuid": uuid_of(number), "properties": {"title": f"number {number}"}, **extra}
    return json.dumps(draft).encode() + b"\n"


async def test_there_is_one_outcome_a_line_in_order(api: httpx.AsyncClient, articles: str) -> None:
    content = b"".join(line(number) for number in range(100, 1000))
    outcomes = lines_of(await api.post(f"{articles}/objects", content=content, headers=NDJSON))
    assert [outcome["index"] for outcome in outcomes] == list(range(900))
    assert [outcome["uuid"] for outcome in outcomes] == [uuid_of(number) for number in range(100, 1000)]
    assert {outcome["status"] for outcome in outcomes} == {"inserted"}


async def test_a_bad_line_costs_only_itself(api: httpx.AsyncClient, articles: str) -> None:
    bad = [b"not json", b'{"properties": {"year": NaN}}', b'"\xff"', b"[" * 100_000, b'{"properties": 5}', b"7"]
    bad += [b'{"properties": {"title": "\\ud800"}}', b'{"properties": {"year": 99999999999999999999}}', b'{"x": 1}']
    content = line(10) + b"".join(one + b"\n" for one in bad) + line(11)
    outcomes = lines_of(await api.post(f"{articles}/objects", content=content, headers=NDJSON))
    assert [outcome["index"] for outcome in outcomes] == list(range(len(bad) + 2))
    assert outcomes[0]["status"] == outcomes[-1]["status"] == "inserted"
    for outcome in outcomes[1:-1]:
        assert outcome["status"] == "refused"
        assert outcome["code"] in ("invalid_input", "limit_exceeded")
        assert outcome["reason"]


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (b"", 0),
        (b"\n\n \n", 0),
        (line(10).strip(), 1),
        (b"\n" + line(10) + b"\r\n" + line(11).replace(b"\n", b"\r\n"), 2),
    ],
)
async def test_blank_lines_and_line_ends_do_not_matter(
    api: httpx.AsyncClient, articles: str, content: bytes, count: int
) -> None:
    outcomes = lines_of(await api.post(f"{articles}/objects", content=content, headers=NDJSON))
    assert [outcome["status"] for outcome in outcomes] == ["inserted"] * count


async def test_mode_and_id_from_come_from_the_query(api: httpx.AsyncClient, articles: str) -> None:
    there = lines_of(await api.post(f"{articles}/objects?mode=insert", content=line(1), headers=NDJSON))
    assert there[0]["code"] == "object_exists"
    named = b'{"properties": {"title": "a", "year": 1}}\n'
    both = lines_of(await api.post(f"{articles}/objects?id_from=title,year", content=named * 2, headers=NDJSON))
    assert both[0]["uuid"] == both[1]["uuid"]


async def test_an_error_before_the_first_outcome_is_an_ordinary_answer(api: httpx.AsyncClient, articles: str) -> None:
    error_in(await api.post("/v1/collections/nowhere/objects", content=line(1), headers=NDJSON), 404)
    error_in(await api.post(f"{articles}/objects?mode=magic", content=line(1), headers=NDJSON), 422)


async def test_an_error_in_the_middle_is_the_last_line(api: httpx.AsyncClient, articles: str) -> None:
    async def dropping() -> AsyncIterator[bytes]:
        yield b"".join(line(number) for number in range(256))
        assert (await api.delete(articles)).status_code == 204
        yield b"".join(line(number) for number in range(256, 600))

    outcomes = lines_of(await api.post(f"{articles}/objects", content=dropping(), headers=NDJSON))
    assert len(outcomes) == 257
    assert outcomes[-1]["error"]["code"] == "collection_not_found"


async def test_a_line_that_is_too_long_is_refused_and_the_next_is_read(make_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_app(max_body_bytes=2000)) as api:
        await api.post("/v1/collections", json={"name": "small"})
        content = line(1) + line(2, padding="x" * 3000) + line(3) * 100
        outcomes = lines_of(await api.post("/v1/collections/small/objects", content=content, headers=NDJSON))
        assert len(outcomes) == 102
        assert [outcome["code"] for outcome in outcomes if outcome["status"] == "refused"] == ["limit_exceeded"]
        assert outcomes[1]["index"] == 1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data"), durability="relaxed") as started:
        with httpx.Client(base_url=started.url) as client:
            assert client.post("/v1/collections", json={"name": "things"}).status_code == 201
        yield started


async def test_an_outcome_comes_back_before_the_next_object_is_sent(server: Running) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"POST /v1/collections/things/objects HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n")
    writer.write(b"transfer-encoding: chunked\r\n\r\n")
    for number in range(3):
        sent = line(number)
        writer.write(b"%x\r\n%b\r\n" % (len(sent), sent))
        await asyncio.wait_for(reader.readuntil(uuid_of(number).encode()), 30)
    writer.write(b"0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 30)).endswith(b"0\r\n\r\n")
    writer.close()


async def test_a_client_that_sends_everything_before_it_reads_is_served(server: Running) -> None:
    count = 60_000  # their outcomes are more bytes than the buffers between server and client hold
    reader, writer = await asyncio.open_connection(server.host, server.port)
    sent = b'"refused for its form"\n' * count
    head = "POST /v1/collections/things/objects HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n"
    writer.write(f"{head}content-length: {len(sent)}\r\nconnection: close\r\n\r\n".encode())
    writer.write(sent)
    await asyncio.wait_for(writer.drain(), 60)
    answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.count(b'"status":"refused"') == count
    writer.close()


async def test_a_client_that_leaves_stops_its_import(server: Running) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"POST /v1/collections/things/objects HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n")
    writer.write(b"content-length: 1000000\r\n\r\n" + line(70) + line(71)[:20])
    await asyncio.wait_for(reader.readuntil(uuid_of(70).encode()), 30)
    writer.close()
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get(f"/v1/collections/things/objects/{uuid_of(70)}")).status_code == 200
        assert (await client.get(f"/v1/collections/things/objects/{uuid_of(71)}")).status_code == 404


def test_an_import_by_file_comes_through_the_socket_whole(server: Running, tmp_path: Path) -> None:
    file = tmp_path / "things.jsonl"
    file.write_bytes(b"".join(line(number) for number in range(1000, 3000)))
    with httpx.Client(base_url=server.url, timeout=60) as client, file.open("rb") as opened:
        outcomes = lines_of(client.post("/v1/collections/things/objects", content=opened, headers=NDJSON))
        assert len(outcomes) == 2000
        assert {outcome["status"] for outcome in outcomes} == {"inserted"}
