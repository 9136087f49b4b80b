"""Imports over HTTP: one outcome per object, nothing twice, nothing lost in silence, sync and async alike."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from minivec import Draft, ImportReport, errors
from minivec.client import importing
from minivec.client.client import AsyncRemoteCollection, RemoteCollection
from minivec.client.retry import Retry
from minivec.client.transport import AsyncSender, Sender
from tests.client.stand_in import StandIn, error

LOST = httpx.ReadError("reset")
REFUSED = httpx.ConnectError("refused")


def drafts(count: int) -> list[dict[str, Any]]:
    return [{"properties": {"n": n}} for n in range(count)]


def number(value: int) -> str:
    return f"00000000-0000-0000-0000-{value:012}"


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def server() -> StandIn:
    return StandIn()


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, server: StandIn) -> Iterator[Any]:
    """`import_objects` of a handle on the stand-in, called the same way for both forms."""
    retry = Retry(jitter=lambda: 1.0, limit=3)
    if request.param == "sync":
        sender = Sender("http://x", transport=server.transport(), retry=retry, sleep=lambda seconds: None)
        with contextlib.closing(sender):
            yield RemoteCollection("notes", sender).import_objects
        return

    async def work(objects: Any, **more: Any) -> ImportReport:
        sender = AsyncSender("http://x", transport=server.transport(), retry=retry, sleep=no_sleep)
        try:
            return await AsyncRemoteCollection("notes", sender).import_objects(objects, **more)
        finally:
            await sender.close()

    yield lambda objects, **more: asyncio.run(work(objects, **more))


def test_every_object_has_one_outcome_in_order(run, server):
    report = run(iter(drafts(10)), batch_size=4)
    assert [outcome.index for outcome in report.outcomes] == list(range(10))
    assert report.counts == {"inserted": 10}
    assert [len(body["objects"]) for body in server.imports] == [4, 4, 2]
    assert [server.objects[outcome.uuid]["n"] for outcome in report.outcomes] == list(range(10))


def test_no_objects_at_all_is_an_import_too(run, server):
    assert run([]).outcomes == ()
    assert server.imports == []


def test_drafts_mappings_and_arrays_are_taken(run, server):
    objects = [
        Draft(properties={"n": 1}, uuid=number(1), vectors={"default": np.array([0.5, 1.0], dtype=np.float32)}),
        {"properties": {"n": 2}, "vector": (1, 2)},
    ]
    assert run(objects).counts == {"inserted": 2}
    first, second = server.imports[0]["objects"]
    assert first == {"properties": {"n": 1}, "uuid": number(1), "vectors": {"default": [0.5, 1.0]}}
    assert second["vector"] == [1, 2]


def test_the_callers_objects_are_left_as_they_are(run):
    objects = drafts(2)
    run(objects)
    assert objects == drafts(2)


def test_refusals_are_gathered_and_raised_at_the_end(run, server):
    server.judge = lambda draft: (
        {"code": "text_too_long", "reason": "Too long."} if draft["properties"]["n"] % 3 == 1 else None
    )
    with pytest.raises(
        errors.ImportFailed, match=r"3 of 10 objects were not stored:\n  3 x text_too_long: Too long\."
    ) as raised:
        run(drafts(10), batch_size=4)
    report = raised.value.report
    assert [outcome.index for outcome in report.failed] == [1, 4, 7]
    assert len(server.objects) == 7


def test_refusals_do_not_raise_when_told_not_to(run, server):
    server.judge = lambda draft: {"code": "invalid_input", "reason": "No."}
    assert run(drafts(3), raise_on_failure=False).counts == {"refused": 3}


def test_what_json_cannot_carry_costs_only_itself(run, server):
    objects = [*drafts(2), {"properties": {"n": float("nan")}}, "a text", *drafts(1)]
    report = run(objects, raise_on_failure=False)
    assert [outcome.status for outcome in report.outcomes] == ["inserted", "inserted", "refused", "refused", "inserted"]
    assert report.outcomes[2].field == "properties.n"
    assert report.outcomes[3].reason == "An object is expected, not str."
    assert len(server.imports) == 1


@pytest.mark.parametrize("objects", [{"properties": {}}, "text", b"bytes", Draft(), 7])
def test_one_object_is_not_a_list_of_them(run, objects):
    with pytest.raises(errors.InvalidInput) as raised:
        run(objects)
    assert raised.value.field == "objects"


def test_a_batch_of_none_is_refused(run):
    with pytest.raises(errors.InvalidInput):
        run([], batch_size=0)


def test_an_answer_that_was_lost_stores_nothing_twice(run, server):
    server.after.extend([LOST])
    report = run(drafts(5))
    assert report.counts == {"inserted": 5}
    assert len(server.objects) == 5
    assert len(server.imports) == 2


def test_the_own_uuids_are_kept_as_they_are(run, server):
    run([{"properties": {}, "uuid": number(7)}])
    assert list(server.objects) == [number(7)]


def test_no_uuid_is_given_where_it_is_made_from_properties_or_must_exist(run, server):
    run(drafts(1), id_from=["n"])
    run(drafts(1), mode="merge")
    assert [("uuid" in body["objects"][0], body["mode"], body.get("id_from")) for body in server.imports] == [
        (False, "upsert", ["n"]),
        (False, "merge", None),
    ]


def test_inserting_under_fresh_uuids_may_be_repeated(run, server):
    server.after.extend([LOST])
    assert run(drafts(3), mode="insert").counts == {"inserted": 3}
    assert {body["mode"] for body in server.imports} == {"upsert"}


def test_inserting_where_something_is_refuses_only_that(run, server):
    server.objects[number(0)] = {"n": "older"}
    objects = [{"properties": {"n": n}, "uuid": number(n)} for n in range(3)] + drafts(1)
    report = run(objects, mode="insert", raise_on_failure=False)
    assert [outcome.status for outcome in report.outcomes] == ["refused", "inserted", "inserted", "inserted"]
    assert [outcome.index for outcome in report.outcomes] == [0, 1, 2, 3]
    assert server.objects[number(0)] == {"n": "older"}


def test_an_insert_whose_answer_was_lost_is_unknown_and_not_refused(run, server):
    server.after.extend([LOST])
    report = run([{"properties": {}, "uuid": number(1)}], mode="insert", raise_on_failure=False)
    assert [(outcome.status, outcome.code) for outcome in report.outcomes] == [("unknown", "object_exists")]
    assert number(1) in server.objects


def test_a_batch_too_large_for_the_server_is_halved(run, server):
    server.most_objects = 3
    report = run(drafts(10))
    assert report.counts == {"inserted": 10}
    assert [outcome.index for outcome in report.outcomes] == list(range(10))


def test_a_batch_refused_as_a_whole_is_halved_until_the_bad_object_stands_alone(run, server):
    whole = server.answer

    def answer(request: httpx.Request) -> httpx.Response:
        if b'"n":6}' in request.content:
            return error(400, "invalid_input", "The body is not JSON.")
        return whole(request)

    server.answer = answer  # type: ignore[method-assign]
    report = run(drafts(9), raise_on_failure=False)
    assert [outcome.index for outcome in report.failed] == [6]
    assert report.failed[0].reason == "The body is not JSON."


def test_a_wrong_mode_is_the_calls_fault_and_not_the_objects(run, server):
    server.before.extend([error(422, "invalid_input", "No such mode.", field="mode")])
    with pytest.raises(errors.InvalidInput, match="No such mode"):
        run(drafts(4), mode="upsrt")
    assert len(server.imports) == 1


def test_an_object_on_which_the_time_ran_out_is_unknown(run, server):
    server.before.extend([error(504, "deadline_exceeded", "Too slow.")] * 3)
    report = run(drafts(2), raise_on_failure=False)
    assert report.counts == {"unknown": 2}
    server.before.extend([error(504, "deadline_exceeded", "Too slow.")])
    assert run(drafts(4)).counts == {"inserted": 4}


def test_large_objects_travel_in_several_requests(run, server, monkeypatch):
    monkeypatch.setattr(importing, "PART_BYTES", 1_000)
    objects = [{"properties": {"text": "x" * size}} for size in (10, 10, 900, 10, 5_000, 10)]
    assert run(objects).counts == {"inserted": 6}
    assert [len(body["objects"]) for body in server.imports] == [2, 1, 1, 1, 1]


def test_a_missing_collection_is_told_as_such(server):
    sender = Sender("http://x", transport=server.transport())
    with contextlib.closing(sender), pytest.raises(errors.CollectionNotFound):
        RemoteCollection("missing", sender).import_objects(drafts(1))


def test_a_server_that_goes_away_stops_the_import_with_what_was_done(run, server):
    server.before.extend([None, *[REFUSED] * 9])
    with pytest.raises(errors.ImportFailed, match="stopped after 4 objects: No server answers") as raised:
        run(drafts(10), batch_size=4, raise_on_failure=False)
    assert raised.value.report.counts == {"inserted": 4, "unknown": 4}
    assert [outcome.index for outcome in raised.value.report.failed] == [4, 5, 6, 7]
    assert isinstance(raised.value.__cause__, errors.ConnectionFailed)


def test_a_server_that_was_never_there_raises_the_plain_reason(run, server):
    server.before.extend([REFUSED] * 9)
    with pytest.raises(errors.ConnectionFailed):
        run(drafts(10))


def test_an_error_of_the_callers_iterable_goes_through_with_a_note(run, server):
    def objects() -> Iterator[dict[str, Any]]:
        yield from drafts(5)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as raised:
        run(objects(), batch_size=4)
    assert raised.value.__notes__ == ["4 objects were imported before this."]


def test_an_iterable_is_read_only_as_far_as_it_is_sent(run, server):
    taken = 0

    def objects() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for draft in drafts(100):
            taken += 1
            yield draft

    server.before.extend([None, *[REFUSED] * 9])
    with pytest.raises(errors.ImportFailed):
        run(objects(), batch_size=4)
    assert taken == 8


def test_progress_hears_of_every_batch(run):
    heard: list[tuple[int, int | None]] = []
    run(drafts(10), batch_size=4, progress=lambda done, total: heard.append((done, total)))
    assert heard == [(4, 10), (8, 10), (10, 10)]
    heard.clear()
    run((draft for draft in drafts(3)), progress=lambda done, total: heard.append((done, total)))
    assert heard == [(3, None)]


async def test_an_async_iterable_is_imported(server):
    async def objects() -> AsyncIterator[dict[str, Any]]:
        for draft in drafts(10):
            await asyncio.sleep(0)
            yield draft

    sender = AsyncSender("http://x", transport=server.transport())
    report = await AsyncRemoteCollection("notes", sender).import_objects(objects(), batch_size=4)
    await sender.close()
    assert report.counts == {"inserted": 10}
    assert [len(body["objects"]) for body in server.imports] == [4, 4, 2]


async def test_an_error_of_an_async_iterable_goes_through(server):
    async def objects() -> AsyncIterator[dict[str, Any]]:
        yield {"properties": {}}
        raise ValueError("no more")

    sender = AsyncSender("http://x", transport=server.transport())
    with pytest.raises(ValueError, match="no more"):
        await AsyncRemoteCollection("notes", sender).import_objects(objects(), batch_size=1)
    await sender.close()
    assert len(server.objects) == 1
