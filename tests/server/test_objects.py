from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI

from minivec.database import Database
from minivec.errors import Busy
from tests.server.conftest import DIMENSION, client_of, error_in, uuid_of


async def test_an_object_is_put_read_merged_and_deleted(api: httpx.AsyncClient, articles: str) -> None:
    address = f"{articles}/objects/{uuid_of(9)}"
    created = await api.put(address, json={"properties": {"title": "new", "year": 2020}})
    assert (created.status_code, created.json()["status"]) == (201, "inserted")
    same = await api.put(address, json={"properties": {"title": "new", "year": 2020}})
    assert (same.status_code, same.json()["status"]) == (200, "unchanged")
    merged = await api.patch(address, json={"properties": {"year": 2021}})
    assert (merged.status_code, merged.json()["status"]) == (200, "updated")

    stored = (await api.get(address)).json()
    assert stored["properties"] == {"title": "new", "year": 2021}
    assert stored["uuid"] == uuid_of(9)
    assert stored["version"] == 2
    assert stored["created_at"].endswith("Z")

    replaced = await api.put(address, json={"properties": {"title": "other"}})
    assert replaced.status_code == 200
    assert (await api.get(address)).json()["properties"] == {"title": "other"}
    assert (await api.delete(address)).status_code == 204
    for gone in (await api.get(address), await api.delete(address), await api.patch(address, json={"properties": {}})):
        assert error_in(gone, 404)["code"] == "object_not_found"


async def test_uuids_are_read_in_any_case(api: httpx.AsyncClient, articles: str) -> None:
    upper = "ABCDEF00-0000-4000-8000-00000000000A"
    await api.put(f"{articles}/objects/{upper}", json={"properties": {}})
    assert (await api.get(f"{articles}/objects/{upper.lower()}")).json()["uuid"] == upper.lower()
    assert error_in(await api.get(f"{articles}/objects/not-a-uuid"), 422)["field"] == "uuid"


async def test_own_vectors_go_in_and_come_back_when_asked_for(api: httpx.AsyncClient, articles: str) -> None:
    vector = [float(i) for i in range(DIMENSION)]
    address = f"{articles}/objects/{uuid_of(9)}"
    await api.put(address, json={"properties": {"title": "own"}, "vectors": {"default": vector}})
    assert (await api.get(address)).json()["vectors"] == {}
    assert (await api.get(address, params={"vectors": "default"})).json()["vectors"] == {"default": vector}
    refused = error_in(await api.get(address, params={"vectors": "nowhere"}), 422)
    assert refused["field"] == "vectors"


async def test_an_import_tells_of_every_object_and_a_bad_one_costs_only_itself(
    api: httpx.AsyncClient, articles: str
) -> None:
    objects = [
        {"properties": {"title": "fine"}},
        {"properties": {"title": 5}},
        "not an object",
        {"properties": {"title": "with\0nul"}},
        {"properties": {"year": 2**70}},
        {"properties": {"title": "own"}, "vector": [1.0] * DIMENSION},
        {"properties": {"title": "short"}, "vector": [1.0]},
        {"properties": {"title": "odd"}, "colour": "red"},
    ]
    answer = (await api.post(f"{articles}/objects", json={"objects": objects})).json()
    assert [outcome["index"] for outcome in answer["outcomes"]] == list(range(8))
    kinds = ["inserted", "refused", "refused", "refused", "refused", "inserted", "refused", "refused"]
    assert [outcome["status"] for outcome in answer["outcomes"]] == kinds
    assert answer["counts"] == {"inserted": 2, "refused": 6}
    assert all(
        outcome["reason"] and outcome["code"] for outcome in answer["outcomes"] if outcome["status"] == "refused"
    )
    assert answer["outcomes"][1]["field"] == "properties.title"


async def test_mode_and_id_from_count_in_the_body_and_in_the_query(api: httpx.AsyncClient, articles: str) -> None:
    there = {"objects": [{"uuid": uuid_of(1), "properties": {"title": "again"}}]}
    in_query = await api.post(f"{articles}/objects", params={"mode": "insert"}, json=there)
    assert in_query.json()["outcomes"][0]["code"] == "object_exists"
    in_body = await api.post(f"{articles}/objects", params={"mode": "upsert"}, json={**there, "mode": "insert"})
    assert in_body.json()["outcomes"][0]["code"] == "object_exists"

    named = {"objects": [{"properties": {"title": "one", "year": 1}}]}
    first = await api.post(f"{articles}/objects", json={**named, "id_from": ["title"]})
    second = await api.post(f"{articles}/objects", params={"id_from": "title"}, json=named)
    assert first.json()["outcomes"][0]["uuid"] == second.json()["outcomes"][0]["uuid"]
    assert second.json()["counts"] == {"unchanged": 1}


async def test_an_import_has_a_limit_that_the_answer_names(make_app: Callable[..., FastAPI]) -> None:
    async with client_of(make_app(max_batch_objects=2)) as api:
        await api.post("/v1/collections", json={"name": "small"})
        refused = await api.post("/v1/collections/small/objects", json={"objects": [{"properties": {}}] * 3})
        assert "2 objects" in error_in(refused, 413)["message"]


async def test_when_a_later_batch_fails_the_earlier_outcomes_are_still_told(
    api: httpx.AsyncClient, articles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from minivec.collection import Collection

    ingest = Collection.ingest

    def fails_later(self: Collection, drafts: list[object], **options: object) -> object:
        if options["offset"]:
            raise Busy("The model is busy.")
        return ingest(self, drafts, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Collection, "ingest", fails_later)
    objects = [{"properties": {"year": i}} for i in range(300)]
    answer = (await api.post(f"{articles}/objects", json={"objects": objects})).json()
    assert answer["counts"] == {"inserted": 256, "refused": 44}
    assert answer["outcomes"][299] | {"index": 0} == answer["outcomes"][256] | {"index": 0}
    assert answer["outcomes"][299]["code"] == "busy"


async def test_objects_are_listed_page_by_page_without_gaps(api: httpx.AsyncClient, articles: str) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get(f"{articles}/objects", params=params)).json()
        seen += [one["uuid"] for one in page["objects"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert seen == [uuid_of(1), uuid_of(2), uuid_of(3)]


async def test_a_page_holds_what_was_asked_for(api: httpx.AsyncClient, articles: str) -> None:
    page = (await api.get(f"{articles}/objects", params={"properties": "year", "vectors": "default"})).json()
    assert [one["properties"] for one in page["objects"]] == [{"year": 2001}, {"year": 2002}, {"year": 2002}]
    assert all(len(one["vectors"]["default"]) == DIMENSION for one in page["objects"])
    for params in ({"limit": "0"}, {"limit": "x"}, {"cursor": "bad"}, {"properties": "a,,b"}, {"properties": "nope"}):
        error_in(await api.get(f"{articles}/objects", params=params), 422)


async def test_a_filter_deletes_what_it_matches_and_a_dry_run_nothing(api: httpx.AsyncClient, articles: str) -> None:
    where = {"operator": "and", "filters": [{"operator": "equal", "property": "year", "value": 2002}]}
    dry = await api.post(f"{articles}/objects/delete", json={"where": where, "dry_run": True})
    assert dry.json() == {"matched": 2, "deleted": 0}
    wet = await api.post(f"{articles}/objects/delete", json={"where": where})
    assert wet.json() == {"matched": 2, "deleted": 2}
    assert (await api.get(articles)).json()["count"] == 1
    unknown = {"operator": "equal", "property": "colour", "value": "red"}
    error_in(await api.post(f"{articles}/objects/delete", json={"where": unknown}), 422)
    error_in(await api.post(f"{articles}/objects/delete", json={"where": {"operator": "or", "filters": []}}), 422)


async def test_what_was_written_over_rest_is_there_for_the_embedded_handle(
    database: Database, api: httpx.AsyncClient, articles: str
) -> None:
    assert database.collection("articles").get(uuid_of(2)).properties == {"title": "ships sail the sea", "year": 2002}


@pytest.mark.parametrize("text", ["שלום", "𝔘𝔫𝔦", "e\u0301", "\u202eabc", "\x7f", "a\tb\nc", ""])
async def test_text_comes_back_as_it_was_sent(api: httpx.AsyncClient, articles: str, text: str) -> None:
    address = f"{articles}/objects/{uuid_of(9)}"
    await api.put(address, json={"properties": {"title": text}})
    assert (await api.get(address)).json()["properties"]["title"] == text
