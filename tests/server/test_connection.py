"""The limits of a connection and a body, against the real server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.server.serving import Running, running

LIMIT = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("data")
    with running(folder, header_seconds=0.5, max_body_bytes=LIMIT, max_header_bytes=16_384) as started:
        yield started


@pytest.fixture
def connection(server: Running) -> Iterator[socket.socket]:
    with socket.create_connection((server.host, server.port), timeout=30) as opened:
        yield opened


def read_all(connection: socket.socket) -> bytes:
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:  # it closed while we were still sending
        pass
    return b"".join(pieces)


def error_of(answer: bytes, status: int) -> dict[str, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == str(status).encode(), answer[:200]
    error: dict[str, str] = json.loads(body)["error"]
    assert set(error) == {"code", "message", "hint", "field", "request_id"}
    return error


def send(connection: socket.socket, content: bytes) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # refused before all of it was sent
        connection.sendall(content)


def test_half_a_head_is_answered_with_408_and_closed(server: Running, connection: socket.socket) -> None:
    connection.sendall(b"GET /v1/version HTTP/1.1\r\nhost: x\r\nx-slow:")
    assert error_of(read_all(connection), 408)["code"] == "request_timeout"


def test_a_head_that_drips_is_cut_off_by_its_first_byte(server: Running, connection: socket.socket) -> None:
    connection.settimeout(0.05)
    received = b""
    connection.sendall(b"GET /v1/version HTTP/1.1\r\n")
    for number in range(400):
        try:
            connection.sendall(b"x%d: y\r\n" % number)
            received += connection.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            break
        if received:
            break
    assert b"408" in received.partition(b"\r\n")[0]


def test_a_connection_that_says_nothing_is_closed(server: Running, connection: socket.socket) -> None:
    assert read_all(connection) == b""


def test_a_second_request_on_a_connection_has_the_same_time(server: Running, connection: socket.socket) -> None:
    connection.sendall(b"GET /v1/version HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/ver")
    answers = read_all(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert b"408" in answers


def test_many_slow_connections_do_not_keep_others_out(server: Running) -> None:
    slow = [socket.create_connection((server.host, server.port), timeout=30) for _ in range(200)]
    for one in slow:
        one.sendall(b"POST /v1/collections HTTP/1.1\r\nhost: x\r\n")
    assert httpx.get(f"{server.url}/v1/health/ready").status_code == 200
    for one in slow:
        assert read_all(one).startswith(b"HTTP/1.1 408")
        one.close()


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx-large: " + b"a" * 8_000_000,
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x%d: y\r\n" % i for i in range(100_000)) + b"\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x%d: y\r\n" % i for i in range(300)) + b"\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx-just-over: " + b"a" * 16_384 + b"\r\n\r\n",
    ],
    ids=["one large header", "a flood of headers", "300 headers", "a long address", "just over"],
)
def test_a_large_head_is_refused(server: Running, connection: socket.socket, head: bytes) -> None:
    send(connection, head)
    answer = read_all(connection)
    if answer:  # nothing when the connection broke while we were sending
        assert error_of(answer, 431)["code"] == "limit_exceeded"
    else:
        assert len(head) > 1_000_000
    assert httpx.get(f"{server.url}/v1/health/live").status_code == 200


def test_a_head_within_the_limit_passes(server: Running) -> None:
    assert httpx.get(f"{server.url}/v1/version", headers={"x-large": "a" * 15_000}).status_code == 200


@pytest.mark.parametrize(
    "request_line", [b"hello\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\r\n\r\n"]
)
def test_what_is_not_http_is_refused_in_the_one_shape(
    server: Running, connection: socket.socket, request_line: bytes
) -> None:
    connection.sendall(request_line)
    assert error_of(read_all(connection), 400)["code"] == "invalid_input"


def body_of(size: int) -> bytes:
    return json.dumps({"name": "x", "description": "a" * (size - 32)}).encode().ljust(size)


def test_a_body_announced_as_too_large_is_refused(server: Running) -> None:
    with httpx.Client(base_url=server.url) as client:
        headers = {"content-type": "application/json"}
        refused = client.post("/v1/collections", content=body_of(LIMIT + 1), headers=headers)
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "limit_exceeded"
        fits = client.post("/v1/collections", content=body_of(LIMIT), headers=headers)
        assert fits.status_code == 201, fits.text
        assert client.delete("/v1/collections/x").status_code == 204


def test_a_body_that_turns_out_too_large_is_refused(server: Running) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    with httpx.Client(base_url=server.url) as client:
        refused = client.post("/v1/collections", content=endless(), headers={"content-type": "application/json"})
        assert refused.status_code == 413
        assert refused.json()["error"]["code"] == "limit_exceeded"


@pytest.mark.parametrize("length", [b"99999999999999999999", b"9" * 200, b"-1", b"1e9", b"abc"])
def test_odd_lengths_are_refused(server: Running, connection: socket.socket, length: bytes) -> None:
    connection.sendall(
        b"POST /v1/collections HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"expect: 100-continue\r\ncontent-length: " + length + b"\r\n\r\n"
    )
    assert read_all(connection).split(b" ")[1] in (b"400", b"413")
