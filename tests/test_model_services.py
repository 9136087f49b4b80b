"""Vector spaces that a service fills: which service, with whose key, and what an import and a search make of its faults."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minivec
from minivec import Credentials, Settings, VectorSpace
from minivec.database import Database, open_database
from minivec.embedding.remote import RemoteSource
from minivec.errors import EmbeddingFailed, FingerprintMismatch, InvalidInput, MinivecError
from minivec.storage.vectors import scan_vectors
from minivec.types.codec import to_plain
from minivec.vectorizer import Services
from tests.embedders import Few
from tests.embedding.fault_server import (
    DIMENSION,
    NO_JITTER,
    POISON,
    FaultServer,
    Patience,
    Received,
    fault_server,
    vector_of,
)

CANARY = "nvapi-CANARY-of-the-operator"
BROUGHT = "nvapi-CANARY-of-the-caller"


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def make_database(tmp_path: Path) -> Iterator[Callable[..., Database]]:
    """Makes databases over an engine that has only the bundled model, with the operator's services."""
    made: list[Database] = []

    def make(*, models: tuple[str, ...] = ("all-MiniLM-L6-v2",), seconds: float = 5.0, **services: Any) -> Database:
        remotes = RemoteSource(seconds=seconds, policy=NO_JITTER, sleep=Patience())
        made.append(
            Database(tmp_path / str(len(made)), embedders=Few(*models), remotes=remotes, services=Services(**services))
        )
        return made[-1]

    yield make
    for database in made:
        database.close()


def nvidia(server: FaultServer, **more: Any) -> VectorSpace:
    return VectorSpace(vectorizer="nvidia", base_url=server.url + "/v1", **more)


def drafts(count: int) -> list[dict[str, Any]]:
    return [{"properties": {"text": f"text number {n}", "n": n}} for n in range(count)]


def keys_seen(server: FaultServer) -> set[str]:
    return {request.headers.get("authorization", "") for request in server.received}


def test_imports_send_passages_and_searches_send_queries(make_database: Any, server: FaultServer) -> None:
    notes = make_database().create_collection("Notes", vector_spaces=[nvidia(server)])
    assert server.received == []  # making a collection calls nobody
    notes.import_objects(drafts(3))
    found = notes.near_text("number", vectors=["default"])
    kinds = [(request.body["input_type"], request.texts) for request in server.received]
    assert kinds == [("passage", [f"text number {n}" for n in range(3)]), ("query", ["number"])]
    for hit in found.hits:
        np.testing.assert_allclose(hit.vectors["default"], vector_of(f"text number {hit.properties['n']}"), rtol=1e-6)
    (space,) = notes.describe().config.vector_spaces
    assert (space.model, space.dimension) == ("nvidia/nv-embed-v1", DIMENSION)


def test_a_chosen_dimension_is_asked_for_also_after_reopening(tmp_path: Path, server: FaultServer) -> None:
    for attempt in range(2):
        with open_database(tmp_path, embedders=Few()) as database:
            if attempt == 0:
                database.create_collection(
                    "Notes",
                    vector_spaces=[
                        nvidia(server, dimension=4),
                    ],
                )
            database.collection("Notes").import_objects(drafts(2 + attempt))
    assert {request.body.get("dimensions") for request in server.received} == {4}


def test_a_learnt_dimension_is_not_asked_for(tmp_path: Path, server: FaultServer) -> None:
    for attempt in range(2):
        with open_database(tmp_path, embedders=Few()) as database:
            if attempt == 0:
                database.create_collection("Notes", vector_spaces=[nvidia(server)])
            database.collection("Notes").import_objects(drafts(2))
    assert {request.body.get("dimensions") for request in server.received} == {None}


def test_a_model_the_engine_has_runs_here(make_database: Any, server: FaultServer) -> None:
    database = make_database(models=("nvidia/nv-embed-v1",), base_urls={"nvidia": server.url})
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
    notes.import_objects(drafts(2))
    assert notes.near_text("number").hits
    assert server.received == []


def test_what_filled_a_space_goes_on_filling_it(tmp_path: Path, server: FaultServer) -> None:
    """A model that arrives at the engine later does not take over a space that a service filled, nor the other way."""
    settings = Settings(nvidia_base_url=server.url)
    with open_database(tmp_path, embedders=Few(), settings=settings) as database:
        database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
        database.collection("Notes").import_objects(drafts(2))
    asked = len(server.received)
    with open_database(tmp_path, embedders=Few("nvidia/nv-embed-v1"), settings=settings) as database:
        assert database.collection("Notes").near_text("number").hits
        assert len(server.received) == asked + 1
        database.create_collection("Here", vector_spaces=[VectorSpace(vectorizer="nvidia")])
        database.collection("Here").import_objects(drafts(2))
    with open_database(tmp_path, embedders=Few(), settings=settings) as database, pytest.raises(FingerprintMismatch):
        database.collection("Here").near_text("number")
    assert len(server.received) == asked + 1


def test_an_openai_like_server_needs_no_key_of_its_own(make_database: Any, server: FaultServer) -> None:
    space = VectorSpace(vectorizer="openai", model="my-model", base_url=server.url)
    notes = make_database().create_collection("Notes", vector_spaces=[space])
    notes.import_objects(drafts(2))
    assert keys_seen(server) == {""}
    assert {request.body["model"] for request in server.received} == {"my-model"}


def test_the_callers_key_goes_before_the_operators(make_database: Any, server: FaultServer) -> None:
    database = make_database(base_urls={"nvidia": server.url}, keys={"nvidia": CANARY})
    database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
    database.collection("Notes").import_objects(drafts(1))
    assert keys_seen(server) == {f"Bearer {CANARY}"}
    brought = database.collection("Notes", credentials=Credentials(nvidia_api_key=BROUGHT))
    brought.near_text("number")
    assert server.received[-1].headers["authorization"] == f"Bearer {BROUGHT}"
    database.collection("Notes").near_text("number")
    assert server.received[-1].headers["authorization"] == f"Bearer {CANARY}"


def test_without_any_key_the_hosted_service_is_not_called_and_both_ways_are_named(make_database: Any) -> None:
    database = make_database()
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
    with pytest.raises(InvalidInput) as caught:
        notes.near_text("number")
    said = str(caught.value)
    assert "X-NVIDIA-Api-Key" in said
    assert "NVIDIA_APIKEY or NVIDIA_API_KEY" in said
    report = notes.import_objects(drafts(2), raise_on_failure=False)
    assert [outcome.field for outcome in report.failed] == ["X-NVIDIA-Api-Key"] * 2
    assert notes.count() == 0


def test_the_key_may_stand_in_nvidias_own_variables(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: FaultServer
) -> None:
    monkeypatch.setenv("NVIDIA_API_KEY", CANARY)
    with minivec.open(tmp_path, embedders=Few()) as database:
        database.create_collection("Notes", vector_spaces=[nvidia(server)]).import_objects(drafts(1))
    assert keys_seen(server) == {f"Bearer {CANARY}"}


# ---------------------------------------------------------------------- strangers


def test_a_strangers_definition_reaches_no_private_address(make_database: Any, server: FaultServer) -> None:
    database = make_database(keys={"nvidia": CANARY})
    database.create_collection("Mine", vector_spaces=[nvidia(server)])
    database.guard()
    for url in (
        server.url,
        server.url.replace("http", "https"),
        "https://169.254.169.254/latest",
        "http://example.com",
    ):
        with pytest.raises(InvalidInput) as caught:
            database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia", base_url=url)])
        assert "allow_private_base_urls" in caught.value.hint
    name = server.url.replace("http", "https").replace("127.0.0.1", "localhost")
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia", base_url=name)])
    for collection in (notes, database.collection("Mine")):
        assert len(collection.import_objects(drafts(1), raise_on_failure=False).failed) == 1
        with pytest.raises(MinivecError):
            collection.near_text("number")
    credentials = Credentials(nvidia_base_url=server.url, nvidia_api_key=BROUGHT)
    with pytest.raises(InvalidInput):
        database.collection("Notes", credentials=credentials).near_text("number")
    assert server.received == []


def test_an_operators_key_never_goes_to_an_address_a_stranger_chose(make_database: Any, server: FaultServer) -> None:
    with fault_server() as own:
        database = make_database(base_urls={"nvidia": own.url}, keys={"nvidia": CANARY})
        database.guard(allow_private=True)
        there = database.create_collection("There", vector_spaces=[nvidia(server)])
        there.import_objects(drafts(1))
        named = database.create_collection("Here", vector_spaces=[nvidia(own)])
        named.import_objects(drafts(1))
        assert (keys_seen(server), keys_seen(own)) == ({""}, {f"Bearer {CANARY}"})
        brought = database.collection("There", credentials=Credentials(nvidia_api_key=BROUGHT))
        brought.near_text("number")
        assert keys_seen(server) == {"", f"Bearer {BROUGHT}"}


def test_the_operators_own_service_may_be_anywhere(make_database: Any, server: FaultServer) -> None:
    database = make_database(base_urls={"nvidia": server.url})
    database.guard()
    notes = database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
    notes.import_objects(drafts(1))
    assert notes.near_text("number").hits


@pytest.mark.parametrize(
    ("space", "field"),
    [
        (VectorSpace(vectorizer="nvidia", base_url="ftp://host"), "base_url"),
        (VectorSpace(vectorizer="local", base_url="http://host"), "base_url"),
        (VectorSpace(vectorizer="none", base_url="http://host"), "base_url"),
        (VectorSpace(stored_as="other"), "stored_as"),
        (VectorSpace(kept_for="other"), "kept_for"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(make_database: Any, space: VectorSpace, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_database().create_collection("Notes", vector_spaces=[space])
    assert caught.value.field == f"vector_spaces[0].{field}"


# ---------------------------------------------------------------------- faults


def test_ten_thousand_objects_at_a_service_with_every_fault(make_database: Any) -> None:
    """A fifth of all requests goes wrong, now in this way, now in that: every object is stored or has its reason."""
    chance = random.Random(1)
    faults = ["429", "500", "503", "cut", "silent", "drip", "garbage", "html", "wrong-count", "wrong-dims", "nan"]

    def behave(request: Received, number: int) -> str:
        fault = chance.choice(faults) if chance.random() < 0.2 else "poison"
        spoilt = any(POISON in text for text in request.texts)
        return "poison" if spoilt and fault in ("nan", "wrong-dims") else fault  # these would give it a vector

    objects = [{"properties": {"text": f"{POISON if n % 997 == 0 else 'text'} {n}", "n": n}} for n in range(10_000)]
    with fault_server(behave) as server:
        notes = make_database(seconds=0.2).create_collection(
            "Notes", vector_spaces=[nvidia(server, dimension=DIMENSION, index="flat")]
        )
        report = notes.import_objects(objects, batch_size=500, raise_on_failure=False)
        assert set(faults) <= set(server.answered)
    assert len(report.outcomes) == 10_000
    assert notes.count() == len(report.outcomes) - len(report.failed)
    assert 5_000 < notes.count() < 10_000
    for outcome in report.failed:
        assert outcome.code == EmbeddingFailed.code
        assert "127.0.0.1" in outcome.reason
    refused = {outcome.index for outcome in report.failed}
    assert {n for n in range(10_000) if n % 997 == 0} <= refused
    with notes._shard.truth.read() as connection:
        stored = np.vstack([matrix for _, matrix in scan_vectors(connection, "default", 1000)])
    assert stored.shape == (notes.count(), DIMENSION)
    assert np.isfinite(stored).all()


def test_keys_are_seen_in_no_log_error_or_answer(make_database: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    credentials = Credentials(nvidia_api_key=BROUGHT)
    settings = Settings(nvidia_api_key=CANARY, openai_api_key=CANARY, api_key=CANARY)
    services = Services(keys={"nvidia": CANARY})
    seen += [repr(credentials), repr(settings), str(settings), repr(services)]
    for fault in ("ok", "unauthorized", "500", "garbage", "cut"):
        with fault_server(fault) as server:
            database = make_database(base_urls={"nvidia": server.url}, keys={"nvidia": CANARY})
            database.create_collection("Notes", vector_spaces=[VectorSpace(vectorizer="nvidia")])
            for notes in (database.collection("Notes"), database.collection("Notes", credentials=credentials)):
                report = notes.import_objects(drafts(2), raise_on_failure=False)
                seen += [repr(report), repr(to_plain(report)), repr(notes), repr(notes.describe()), repr(database)]
                seen.append(repr(to_plain(database.list_collections())))
                try:
                    seen.append(repr(notes.near_text("number")))
                except MinivecError as error:
                    seen += [repr(error), str(error), repr(error.__cause__), repr(error.__context__)]
            assert keys_seen(server) == {f"Bearer {CANARY}", f"Bearer {BROUGHT}"}
            folder = database.root
            database.close()
            seen += [file.read_bytes().decode("latin-1") for file in folder.rglob("*") if file.is_file()]
    everything = "\n".join([*seen, caplog.text])
    assert CANARY not in everything
    assert BROUGHT not in everything
