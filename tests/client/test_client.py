"""The handles: the same methods, names and signatures as the embedded ones, in two forms."""

from __future__ import annotations

import inspect
import json

import httpx
import pytest

import minivec
from minivec import errors
from minivec.client.client import AsyncClient, AsyncRemoteCollection, Client, RemoteCollection
from minivec.collection import Collection
from minivec.database import Database
from tests.client.stand_in import StandIn

FOR_THE_SERVER = {"ingest", "search"}
OF_THE_FOLDER = {"create", "guard", "health"}
OF_A_JOB = {"cancel_reembed", "reembed_job"}  # embedded, a reembed runs in the caller's own thread


def methods(kind: type) -> dict[str, inspect.Signature]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in found if not name.startswith("_")}


def parameters(signature: inspect.Signature) -> list[tuple[str, object, object]]:
    return [(p.name, p.kind, p.default) for p in signature.parameters.values()]


@pytest.mark.parametrize("remote", [RemoteCollection, AsyncRemoteCollection])
def test_a_remote_collection_has_the_methods_of_an_embedded_one(remote):
    embedded, over_http = methods(Collection), methods(remote)
    assert set(over_http) - OF_A_JOB == set(embedded) - FOR_THE_SERVER
    for name in OF_A_JOB:
        del over_http[name]
    for name, signature in over_http.items():
        expected = parameters(embedded[name])
        assert parameters(signature)[: len(expected)] == expected, name
    extra = {
        name for name, signature in over_http.items() if len(signature.parameters) > len(embedded[name].parameters)
    }
    assert extra == {"import_objects"}


@pytest.mark.parametrize("remote", [Client, AsyncClient])
def test_a_client_has_the_methods_of_an_embedded_database(remote):
    embedded, over_http = methods(Database), methods(remote)
    assert set(over_http) == set(embedded) - OF_THE_FOLDER
    for name, signature in over_http.items():
        assert parameters(signature) == parameters(embedded[name]), name


def test_annotations_are_the_same_too():
    embedded, over_http = methods(Collection), methods(RemoteCollection)
    for name in set(over_http) - {"import_objects"} - OF_A_JOB:
        assert str(over_http[name]) == str(embedded[name]), name


def test_every_method_can_be_read_in_help():
    for kind in (RemoteCollection, AsyncRemoteCollection, Client, AsyncClient):
        for name in methods(kind):
            method = getattr(kind, name)
            assert (method.__name__, bool(method.__doc__)) == (name, True)


def test_async_methods_are_coroutines():
    for kind in (AsyncRemoteCollection, AsyncClient):
        assert all(inspect.iscoroutinefunction(getattr(kind, name)) for name in methods(kind))


def test_a_handle_says_what_it_is():
    server = StandIn()
    with minivec.connect("http://x", transport=server.transport()) as client:
        assert repr(client) == "<Client of http://x>"
        assert repr(client.collection("notes")) == "<RemoteCollection 'notes' at http://x>"
        assert client.collection("notes").name == "notes"


def test_asking_for_a_collection_that_is_not_there_raises_at_once():
    with (
        minivec.connect("http://x", transport=StandIn().transport()) as client,
        pytest.raises(errors.CollectionNotFound),
    ):
        client.collection("missing")


def test_operations_travel_and_come_back():
    server = StandIn()
    with minivec.connect("http://x", transport=server.transport()) as client:
        notes = client.collection("notes")
        outcome = notes.insert({"title": "Bees"})
        assert outcome.status == "inserted"
        assert notes.get(outcome.uuid).properties == {"title": "Bees"}
        assert notes.count() == 1
        assert client.version()["api"] == "1.0.0"


async def test_operations_travel_and_come_back_async():
    server = StandIn()
    async with await minivec.connect_async("http://x", transport=server.transport()) as client:
        assert repr(client) == "<AsyncClient of http://x>"
        notes = await client.collection("notes")
        assert repr(notes) == "<AsyncRemoteCollection 'notes' at http://x>"
        outcome = await notes.insert({"title": "Bees"})
        assert (await notes.get(outcome.uuid)).properties == {"title": "Bees"}
        assert await notes.count() == 1
        assert (await client.version())["api"] == "1.0.0"
        with pytest.raises(errors.CollectionNotFound):
            await client.collection("missing")
    with pytest.raises(errors.Closed):
        await client.version()


async def test_a_failed_async_connect_leaves_nothing_open():
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(errors.ConnectionFailed):
        await minivec.connect_async("http://x", transport=httpx.MockTransport(refuse))


def test_a_method_can_be_called_on_the_class():
    server = StandIn()
    with minivec.connect("http://x", transport=server.transport()) as client:
        assert RemoteCollection.count(client.collection("notes")) == 0


def test_collections_are_made_and_listed_and_dropped():
    seen: list[tuple[str, str]] = []
    info = {"config": {"name": "notes"}, "count": 0, "indexes": []}

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.method, request.url.path))
        if request.url.path == "/v1/version":
            return httpx.Response(200, json={"minivec": "1"})
        if request.method == "DELETE":
            return httpx.Response(204)
        if request.method == "POST":
            assert json.loads(request.content)["name"] == "notes"
            return httpx.Response(201, json=info)
        return httpx.Response(200, json={"collections": [info]})

    with minivec.connect("http://x", transport=httpx.MockTransport(answer)) as client:
        assert client.create_collection("notes").name == "notes"
        assert [found.config.name for found in client.list_collections()] == ["notes"]
        client.drop_collection("notes")
    assert seen[1:] == [("POST", "/v1/collections"), ("GET", "/v1/collections"), ("DELETE", "/v1/collections/notes")]
