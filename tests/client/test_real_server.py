"""The client against a real server process: killed in the middle, gone for a while, refusing, and a client left open."""

from __future__ import annotations

import gc
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minivec
from minivec import VectorSpace, errors
from minivec.client.client import Client
from minivec.client.retry import Retry
from tests.server.serving import Running, running

OWN = [VectorSpace(vectorizer="none")]


def drafts(count: int) -> list[dict[str, Any]]:
    return [{"properties": {"n": n}} for n in range(count)]


def killing(server: Running, objects: list[dict[str, Any]], at: int) -> Iterator[dict[str, Any]]:
    for n, draft in enumerate(objects):
        if n == at:
            server.process.kill()
            server.process.wait()
        yield draft


def numbers(collection: Any) -> list[int]:
    found, cursor = [], None
    while True:
        page = collection.list_objects(cursor=cursor)
        found += [stored.properties["n"] for stored in page.objects]
        if (cursor := page.cursor) is None:
            return sorted(found)


def test_an_import_outlives_the_server(tmp_path: Path):
    """The server is killed twice; each time the import stops, and the same call goes on with the next server."""
    journal, data = tmp_path / "journal", tmp_path / "data"
    with running(data) as server, minivec.connect(server.url) as client:
        client.create_collection("notes", vector_spaces=OWN)
    for at in (50, 120):
        with running(data) as server, Client.connect(server.url, retry=Retry(limit=2)) as client:
            notes = client.collection("notes")
            with pytest.raises(errors.ImportFailed, match=f"stopped after {at} objects.* The same call resumes"):
                notes.import_objects(killing(server, drafts(200), at), batch_size=10, resume_from=journal)
    with running(data) as server, minivec.connect(server.url) as client:
        notes = client.collection("notes")
        report = notes.import_objects(drafts(200), batch_size=10, resume_from=journal)
        assert report.counts == {"inserted": 200}
        assert numbers(notes) == list(range(200))


def test_an_object_too_large_for_the_server_is_refused_alone(tmp_path: Path):
    with running(tmp_path, max_body_bytes=10_000) as server, minivec.connect(server.url) as client:
        notes = client.create_collection("notes", vector_spaces=OWN)
        objects = [*drafts(3), {"properties": {"n": 3, "text": "x" * 50_000}}, *drafts(300)]
        report = notes.import_objects(objects, raise_on_failure=False)
        assert [(outcome.index, outcome.code) for outcome in report.failed] == [(3, "limit_exceeded")]
        assert notes.count() == 303


def test_the_servers_key_is_asked_for_and_taken(tmp_path: Path):
    with running(tmp_path, api_key="secret") as server:
        with pytest.raises(errors.MinivecError, match="api_key="):
            minivec.connect(server.url)
        with minivec.connect(server.url, api_key="secret") as client:
            assert client.list_collections() == ()


def test_a_client_nobody_closed_ends_without_a_word(tmp_path: Path):
    with running(tmp_path) as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        client = minivec.connect(server.url)
        assert client.list_collections() == ()
        del client
        gc.collect()


def test_several_threads_share_a_client(tmp_path: Path):
    with running(tmp_path) as server, minivec.connect(server.url) as client:
        notes = client.create_collection("notes", vector_spaces=OWN)
        threads = [threading.Thread(target=lambda: [notes.insert({"n": n}) for n in range(10)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert notes.count() == 80


def test_what_speaks_no_http_is_not_minivec():
    """A listener that hangs up on everybody, as a server of another protocol may."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(b"220 mail ready\r\n")
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(errors.ClientError):
            minivec.connect(f"http://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
