"""The moments around a server's life: its first start, collections being made and dropped, SIGTERM, a second opener."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import minivec
from minivec.client.client import Client
from minivec.errors import DatabaseLocked, MinivecError
from tests.crash.checker import Check
from tests.crash.history import History, Seen
from tests.crash.rounds import WRITERS
from tests.crash.servers import ServerProcess
from tests.crash.values import KINDS, Kind, fake_engine, token_of
from tests.crash.writers import Writer, uuid_of

KIND = KINDS[1]
CONTENDERS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path / "data") as process:
        yield process


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    server.start()
    server.wait_until_ready()
    with server.client() as connected:
        for kind in KINDS:
            connected.create_collection(**kind.definition)
        yield connected


def names(server: ServerProcess) -> list[str]:
    """The collections there are after a start."""
    server.start()
    server.wait_until_ready()
    with server.client() as client:
        found = [info.config.name for info in client.list_collections()]
        for name in found:
            client.collection(name).insert({"text": "usable"})
            assert client.collection(name).count() == 1
        return found


@pytest.mark.parametrize("place", ["catalog-begun", "catalog-made"])
def test_a_death_during_the_very_first_start_leaves_a_folder_that_opens(server: ServerProcess, place: str) -> None:
    server.start("--die-at", place)
    assert server.wait_for_end(30) == -9
    assert names(server) == []


@pytest.mark.parametrize(
    ("place", "exists"),
    [("collection-begun", [False]), ("collection-made", [False]), ("collection-listed", [True])],
)
def test_a_death_while_a_collection_is_made_leaves_all_of_it_or_nothing(
    server: ServerProcess, place: str, exists: list[bool]
) -> None:
    server.start("--die-at", place)
    server.wait_until_ready()
    with server.client() as client, pytest.raises(MinivecError):
        client.create_collection(**KIND.definition)
    assert [KIND.name in names(server)] == exists
    folders = [folder for folder in server.data.glob("collections/*") if folder.is_dir()]
    assert len(folders) == sum(exists)


def test_a_death_while_a_collection_is_dropped_leaves_nothing_of_it(server: ServerProcess) -> None:
    server.start("--die-at", "collection-unlisted")
    server.wait_until_ready()
    with server.client() as client:
        client.create_collection(**KIND.definition)
        with pytest.raises(MinivecError):
            client.drop_collection(KIND.name)
    assert names(server) == []
    assert [folder for folder in server.data.glob("collections/*") if folder.is_dir()] == []


def test_sigterm_under_load_ends_in_order_and_loses_nothing(server: ServerProcess, client: Client) -> None:
    histories = {kind.name: History() for kind in KINDS}
    writers = [Writer(number, client, histories, Random(number), "r1") for number in range(WRITERS)]
    threads = [threading.Thread(target=writer.work) for writer in writers]
    for thread in threads:
        thread.start()
    while sum(history.acknowledged for history in histories.values()) < 100:
        threads[0].join(0.02)
    assert server.terminate() == 0
    for thread in threads:
        thread.join()
    assert [violation for writer in writers for violation in writer.violations] == []
    server.start()
    server.wait_until_ready()
    with server.client() as again:
        checks = [Check(again.collection(kind.name), kind, histories[kind.name], Random(1)) for kind in KINDS]
        for check in checks:
            check.run()
    assert [violation for check in checks for violation in check.violations] == []
    assert "rebuilding" not in server.log.read_text()


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_clients_that_write_one_object_at_once_leave_one_version(client: Client, kind: Kind) -> None:
    history = History()
    collection = client.collection(kind.name)
    uuid = uuid_of(kind, "shared", 0)

    def contend(number: int) -> None:
        for turn in range(25):
            token = f"c{number}t{turn}"
            draft = kind.draft(uuid, token, "g")
            operation = history.begin(uuid, "write", token)
            collection.upsert(uuid, draft.properties, vectors=draft.vectors)
            history.acknowledge(operation)

    threads = [threading.Thread(target=contend, args=(number,)) for number in range(CONTENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check = Check(collection, kind, history, Random(1))
    found = check.run()
    assert check.violations == []
    one = collection.get(uuid)
    assert found == {uuid: Seen(token_of(one.properties), token_of(one.properties))}
    assert one.version == CONTENDERS * 25


def test_a_second_server_on_the_folder_is_refused_at_once(server: ServerProcess, client: Client) -> None:
    second = ServerProcess(server.data)
    second.log = server.data.parent / "second.log"
    with second:
        second.start()
        assert second.wait_for_end(30) == 2
        assert "in use by process" in second.log_end()
    with pytest.raises(DatabaseLocked, match=r"in use by process \d+ on .* since "):
        minivec.open(server.data, embedders=fake_engine())
    assert client.collection(KIND.name).count() == 0


def test_a_reader_beside_the_server_sees_what_it_acknowledges(server: ServerProcess, client: Client) -> None:
    collection, history = client.collection(KIND.name), History()
    with minivec.open(server.data, read_only=True, embedders=fake_engine()) as reader:
        for number in range(40):
            uuid, token = uuid_of(KIND, "w0", number % 15), f"n{number}"
            draft = KIND.draft(uuid, token, "g")
            operation = history.begin(uuid, "write", token)
            collection.upsert(uuid, draft.properties, vectors=draft.vectors)
            history.acknowledge(operation)
            if number % 10 == 9:
                check = Check(reader.collection(KIND.name), KIND, history, Random(1), ready=False)
                check.run()
                assert check.violations == []
    server.kill()
    with minivec.open(server.data, embedders=fake_engine()) as writer:
        assert writer.collection(KIND.name).count() == 15
