"""The life of a server process: its one line, its end, and that no acknowledged write is lost by ending it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import minivec
from minivec.embedding.engine import Engine
from minivec.errors import Unavailable
from minivec_server.serve import listen
from tests.server.conftest import DIMENSION, uuid_of
from tests.server.serving import ROOT, Running, running


def test_the_server_says_one_line_when_it_is_ready(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        version = httpx.get(f"{server.url}/v1/version").json()
        assert server.start_line == (
            f"minivec {version['minivec']} at {server.url} "
            f"(data {tmp_path / 'data'}, durability full, SQLite {version['sqlite']})"
        )
        assert server.stop() == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""


def test_sigterm_under_load_loses_no_acknowledged_write(tmp_path: Path) -> None:
    acknowledged: list[int] = []
    enough = threading.Event()

    def write(first: int) -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for number in range(first, first + 100_000):
                try:
                    address = f"/v1/collections/load/objects/{uuid_of(number)}"
                    answer = client.put(address, json={"properties": {"title": f"number {number}"}})
                except httpx.TransportError:
                    return
                if answer.status_code == 201:
                    acknowledged.append(number)
                if len(acknowledged) > 200:
                    enough.set()

    with running(tmp_path) as server:
        assert httpx.post(f"{server.url}/v1/collections", json={"name": "load"}).status_code == 201
        writers = [threading.Thread(target=write, args=(i * 100_000,)) for i in range(4)]
        for writer in writers:
            writer.start()
        assert enough.wait(60)
        assert server.stop() == 0
        for writer in writers:
            writer.join()
    with minivec.open(tmp_path, embedders=Engine.fake(DIMENSION)) as database:
        load = database.collection("load")
        for number in acknowledged:
            assert load.get(uuid_of(number)).properties == {"title": f"number {number}"}


def test_an_accepted_request_is_finished_before_the_end(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        httpx.post(f"{server.url}/v1/collections", json={"name": "last"})
        body = b'{"properties": {"title": "the last one"}}'
        head = (
            f"PUT /v1/collections/last/objects/{uuid_of(1)} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        )
        with socket.create_connection((server.host, server.port), timeout=60) as connection:
            connection.sendall(f"{head}expect: 100-continue\r\ncontent-length: {len(body)}\r\n\r\n".encode())
            assert b"100 Continue" in connection.recv(1000)  # the server reads this request's body now
            server.process.send_signal(signal.SIGTERM)
            connection.sendall(body)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 201"), answer
        assert server.process.wait(60) == 0


@contextmanager
def endless_request(server: Running) -> Iterator[None]:
    """A request whose body the server waits for in vain."""
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/collections HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"expect: 100-continue\r\ncontent-length: 1000\r\n\r\n"
        )
        assert b"100 Continue" in connection.recv(1000)
        yield


def test_a_request_that_never_ends_does_not_keep_the_server_alive(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_seconds=1) as server, endless_request(server):
        assert server.stop() == 0


def test_work_that_never_ends_does_not_keep_the_server_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCK_IMPORTS", "1")
    body = b'{"objects": [{}]}'
    with running(tmp_path, shutdown_seconds=1, log_level="error") as server:
        httpx.post(f"{server.url}/v1/collections", json={"name": "stuck"})
        with socket.create_connection((server.host, server.port), timeout=60) as connection:
            connection.sendall(
                b"POST /v1/collections/stuck/objects HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body)
            )
            assert b"100 Continue" in connection.recv(1000)
            connection.sendall(body)
            assert httpx.get(f"{server.url}/v1/version").status_code == 200
            assert server.stop() == 1


def test_a_second_signal_ends_the_server_at_once(tmp_path: Path) -> None:
    with running(tmp_path, shutdown_seconds=600) as server, endless_request(server):
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(OSError):
            while True:  # until it no longer listens, which says that the first signal has arrived
                socket.create_connection((server.host, server.port), timeout=60).close()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 1


def test_an_address_that_is_taken_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(Unavailable, match=f"Cannot listen on 127.0.0.1, port {port}"):
            listen("127.0.0.1", port)
    with pytest.raises(Unavailable, match=r"Cannot listen on no\.such\.host"):
        listen("no.such.host.invalid", 0)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("MINIVEC_PORT", "many", "port"),
        ("MINIVEC_DURABILITY", "some", "durability"),
        ("MINIVEC_HOST", "256.0.0.1", "host"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(tmp_path: Path, variable: str, value: str, says: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "minivec_server"],
        cwd=ROOT,
        env={**os.environ, "MINIVEC_DATA": str(tmp_path), "MINIVEC_PORT": "0", variable: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert says in ended.stderr
    assert ended.stderr.startswith("minivec: ")


def test_a_second_server_on_the_same_folder_is_refused_by_name(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        ended = subprocess.run(
            [sys.executable, "-m", "minivec_server"],
            cwd=ROOT,
            env={**os.environ, "MINIVEC_DATA": str(tmp_path), "MINIVEC_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ended.returncode == 2
        assert str(server.process.pid) in ended.stderr
