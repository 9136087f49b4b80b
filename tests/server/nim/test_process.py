"""The server as a process, with NIM's variables, and what only a real connection can show."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.server.serving import ROOT

NAME = "the-name-served"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A server told by NIM_... variables alone where to listen and what to call its model."""
    variables = {"NIM_BIND_ADDR": "127.0.0.1:0", "NIM_SERVED_MODEL_NAME": NAME, "NIM_LOG_LEVEL": "ERROR"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MINIVEC_", "NIM_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "minivec_server"],
        cwd=tmp_path_factory.mktemp("nim"),
        env={**kept, **variables, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'server'}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.search(r"http://([^:]+):(\d+)", line)
        assert found, f"the server did not start: {line!r}"
        yield found[1], int(found[2])
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0
        process.stdout.close()


def answered(address: tuple[str, int], request: bytes) -> tuple[bytes, dict[str, object]]:
    """The status line and the JSON that the server sends back before it ends the connection."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0], json.loads(body)


def test_the_served_name_comes_from_its_variable(address: tuple[str, int]) -> None:
    listed = httpx.get(f"http://{address[0]}:{address[1]}/v1/models").json()
    assert listed["data"][0]["id"] == NAME


def test_a_head_that_is_refused_before_it_is_a_request_is_told_in_the_shape_of_its_address(
    address: tuple[str, int],
) -> None:
    headers = b"host: x\r\nx-large: " + b"a" * 100_000 + b"\r\n\r\n"
    status, body = answered(address, b"POST /v1/embeddings HTTP/1.1\r\n" + headers)
    assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert set(body) == {"object", "message", "detail", "type"}
    status, body = answered(address, b"GET /v1/collections?x=1 HTTP/1.1\r\n" + headers)
    assert b"431" in status
    assert set(body) == {"error"}


def test_clients_that_go_away_at_once_leave_the_server_answering(address: tuple[str, int]) -> None:
    body = json.dumps({"model": NAME, "input": ["some words"] * 50}).encode()
    head = f"POST /v1/embeddings HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    for _ in range(5):
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(head.encode() + body)
    answer = httpx.post(
        f"http://{address[0]}:{address[1]}/v1/embeddings",
        content=body,
        headers={"content-type": "application/json"},
        timeout=60,
    )
    assert answer.status_code == 200
    assert answer.json()["model"] == NAME
    assert len(answer.json()["data"]) == 50
