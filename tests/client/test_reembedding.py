"""A reembed over HTTP looks like an embedded one: it returns at the end, tells its progress, and raises what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minivec
from minivec import Credentials, Reembedded, ReembedJob, VectorSpace
from minivec.client.reembedding import follow
from minivec.client.wire import Call
from minivec.errors import Conflict, InvalidInput, NotFound, TextTooLong, Unavailable, VectorSpaceNotFound
from tests.client.stand_in import StandIn
from tests.server.serving import Running, running

RESULT = Reembedded(space="default", kept_as="default_before", vectors=9, refused=0, seconds=1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("reembedding")) as found:
        yield found


def test_it_switches_and_switches_back(server: Running) -> None:
    seen: list[tuple[int, int | None]] = []
    with minivec.connect(server.url) as client:
        notes = client.create_collection("sync")
        notes.import_objects([{"properties": {"text": f"text {n}"}} for n in range(20)])
        done = notes.reembed(model="another", progress=lambda done, total: seen.append((done, total)))
        assert (done.kept_as, done.vectors) == ("default_before", 20)
        assert seen[-1] == (20, 20)
        assert notes.reembed_job("default").state == "done"
        assert notes.switch_back(to="default_before").vectors == 0
        assert notes.cancel_reembed("default").state == "done"
        config = notes.drop_vector_space("default_before")
        assert [(space.name, space.model) for space in config.vector_spaces] == [("default", "all-MiniLM-L6-v2")]
        with pytest.raises(InvalidInput, match="by this model already"):
            notes.reembed()
        with pytest.raises(VectorSpaceNotFound):
            notes.reembed("nowhere", model="x")
        with pytest.raises(VectorSpaceNotFound):
            notes.drop_vector_space("nowhere")
        with pytest.raises(NotFound):
            client.create_collection("empty", vector_spaces=[VectorSpace()]).reembed_job("default")


def test_it_is_awaited_by_the_async_client(server: Running) -> None:
    async def run() -> None:
        async with await minivec.connect_async(server.url) as client:
            notes = await client.create_collection("async")
            await notes.import_objects([{"properties": {"text": f"text {n}"}} for n in range(20)])
            assert (await notes.reembed(model="another")).vectors == 20
            assert (await notes.switch_back("default")).kept_as == "default_before"
            with pytest.raises(InvalidInput):
                await notes.reembed("default", vectorizer="none")

    asyncio.run(run())


def job(state: str, **more: Any) -> ReembedJob:
    return ReembedJob(collection="notes", space="default", state=state, **more)  # type: ignore[arg-type]


def answers(*replies: Any) -> Any:
    """A sender that gives these answers in turn, raising those that are errors."""
    waiting = iter(replies)

    def send(call: Call[Any]) -> Any:
        reply = next(waiting)
        if isinstance(reply, Exception):
            raise reply
        return reply

    return send


def start(space: str) -> Call[ReembedJob]:
    return Call(method="POST", path="/", read=lambda reply: job("running"))


def test_a_job_that_runs_already_is_followed() -> None:
    send = answers(Conflict("It runs."), job("running"), job("done", result=RESULT))
    assert follow("notes", "default", start, False, send) == RESULT


def test_a_conflict_that_is_no_running_job_is_raised() -> None:
    with pytest.raises(Conflict, match="unfinished"):
        follow("notes", "default", start, False, answers(Conflict("It is unfinished."), job("failed")))


def test_how_a_job_ended_is_raised_as_itself() -> None:
    failed = job("failed", code="text_too_long", reason="Too long.", hint="Cut it.", field="text")
    with pytest.raises(TextTooLong) as caught:
        follow("notes", "default", start, False, answers(job("running"), failed))
    assert (caught.value.hint, caught.value.field) == ("Cut it.", "text")
    with pytest.raises(Unavailable, match="cancelled"):
        follow("notes", "default", start, False, answers(job("cancelled")))


def test_keys_go_with_the_requests_and_are_not_shown(tmp_path: Path) -> None:
    stand_in = StandIn()
    client = minivec.connect(
        "http://x", transport=stand_in.transport(), nvidia_api_key="nvapi-CANARY", headers={"X-More": "1"}
    )
    notes = client.collection(
        "notes", credentials=Credentials(nvidia_api_key="nvapi-OTHER", nvidia_base_url="http://y")
    )
    notes.count()
    client.collection("notes").count()
    first, second = stand_in.requests[-3], stand_in.requests[-1]
    assert (first.headers["X-NVIDIA-Api-Key"], first.headers["X-NVIDIA-BaseURL"]) == ("nvapi-OTHER", "http://y")
    assert (second.headers["X-NVIDIA-Api-Key"], second.headers["X-More"]) == ("nvapi-CANARY", "1")
    assert "Authorization" not in second.headers
    assert "nvapi" not in repr(client) + repr(notes) + repr(client._sender)
    client.close()
    with pytest.raises(InvalidInput) as caught:
        minivec.connect("http://x", transport=stand_in.transport(), nvidia_api_key="nvapi\nCANARY")
    assert "CANARY" not in str(caught.value)
