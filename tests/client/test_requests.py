"""Each operation: what it sends, and what it makes of the reply. No server, no HTTP."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from minivec import Property, Rerank, VectorSpace, errors
from minivec.client import requests
from minivec.client.wire import Call, Reply
from minivec.types.answer import Answer, FirstStage, Hit, Plan, PlanLeg, PlanRerank, ScorePart, TermScore
from minivec.types.codec import to_plain
from minivec.types.collection import CollectionConfig, CollectionInfo, IndexState
from minivec.types.filter import And, Equal
from minivec.types.object import DeleteReport, ObjectPage, Outcome, StoredObject, TokenNote

UUID = "00000000-0000-0000-0000-000000000001"
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
OBJECT = StoredObject(
    uuid=UUID, properties={"a": [1, None, "é"]}, created_at=WHEN, updated_at=WHEN, version=2, vectors={"default": [0.5]}
)
INFO = CollectionInfo(
    config=CollectionConfig(name="notes", properties=(Property(name="title"),)),
    count=7,
    indexes=(IndexState(name="keyword", kind="keyword", count=7, ready=True),),
)
PART = ScorePart(
    source="keyword",
    name="bm25f",
    raw=2.0,
    rank=0,
    normalised=1.0,
    weight=0.5,
    contribution=0.5,
    terms=(TermScore(property="title", term="bee", frequency=1, length=3, idf=2.0, contribution=2.0),),
)
ANSWER = Answer(
    hits=(Hit(uuid=UUID, score=0.5, properties={"title": "bee"}, distance=0.25, certainty=0.875, parts=(PART,)),),
    plan=Plan(
        mode="hybrid",
        legs=(PlanLeg(source="keyword", name="bm25f", index="keyword", candidates=3, exact=True),),
        formula="sum",
    ),
    milliseconds={"total": 1.5},
)
STORED = Outcome(index=0, status="inserted", uuid=UUID, tokens=(TokenNote(space="default", tokens=9, cut=2),))


def body(call: Call[Any]) -> Any:
    assert call.body is not None
    return json.loads(call.body)


def answered(call: Call[Any], value: object, status: int = 200) -> Any:
    return call.read(Reply(status=status, headers={}, content=json.dumps(to_plain(value)).encode()))


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (requests.describe("notes"), INFO),
        (requests.get("notes", UUID), OBJECT),
        (requests.list_objects("notes"), ObjectPage(objects=(OBJECT, OBJECT), cursor="1:9")),
        (requests.delete_where("notes", And(())), DeleteReport(matched=3, deleted=3)),
        (requests.near_text("notes", "bee"), ANSWER),
        (requests.near_vector("notes", [0.5]), ANSWER),
        (requests.near_object("notes", UUID), ANSWER),
        (requests.keyword("notes", "bee"), ANSWER),
        (requests.hybrid("notes", "bee"), ANSWER),
        (requests.upsert("notes", UUID, {}), STORED),
        (requests.merge("notes", UUID, {}), STORED),
    ],
)
def test_a_type_sent_by_the_server_is_read_as_the_same_type(call, value):
    assert answered(call, value) == value


def test_count_and_definition_are_read_from_the_collection():
    assert answered(requests.count("notes"), INFO) == 7
    assert answered(requests.update("notes", description="x"), INFO) == INFO.config
    assert answered(requests.add_property("notes", Property(name="a")), INFO) == INFO.config
    assert answered(requests.add_vector_space("notes", VectorSpace(name="b")), INFO) == INFO.config
    assert answered(requests.list_collections(), {"collections": [INFO, INFO]}) == (INFO, INFO)


def test_creating_sends_the_whole_definition():
    call = requests.create_collection("notes", properties=[Property(name="title")], auto_schema=False)
    expected = CollectionConfig(name="notes", properties=(Property(name="title"),), auto_schema=False)
    assert (call.method, call.path) == ("POST", "/v1/collections")
    assert body(call) == to_plain(expected)


def test_no_vector_spaces_is_not_the_default_one():
    assert body(requests.create_collection("notes", vector_spaces=[]))["vector_spaces"] == []
    assert len(body(requests.create_collection("notes"))["vector_spaces"]) == 1


def test_a_search_sends_its_arguments_by_name_and_leaves_out_what_was_not_given():
    call = requests.near_text("notes", "bee", distance=0.3, properties=["title"], vectors=("default",))
    assert call.path == "/v1/collections/notes/search/near-text"
    assert body(call) == {
        "text": "bee",
        "distance": 0.3,
        "limit": 10,
        "offset": 0,
        "properties": ["title"],
        "vectors": ["default"],
    }


def test_a_wish_to_rerank_goes_with_every_search():
    wish = Rerank(model="words", properties=("title",), depth=20)
    calls = [
        requests.near_text("notes", "bee", rerank=wish),
        requests.near_vector("notes", [1.0], rerank=wish),
        requests.near_object("notes", UUID, rerank=wish),
        requests.keyword("notes", "bee", rerank=wish),
        requests.hybrid("notes", "bee", rerank=wish),
    ]
    for call in calls:
        assert body(call)["rerank"] == to_plain(wish)


def test_a_reranked_answer_is_read_as_the_same_type():
    first = FirstStage(score=0.5, rank=3, parts=(PART,))
    step = PlanRerank(model="words", candidates=4, properties=("title",), first_formula="sum")
    hit = dataclasses.replace(ANSWER.hits[0], first_stage=first)
    answer = dataclasses.replace(ANSWER, hits=(hit,), plan=dataclasses.replace(ANSWER.plan, rerank=step))
    assert answered(requests.keyword("notes", "bee"), answer) == answer


def test_a_hybrid_search_sends_both_legs():
    sent = body(requests.hybrid("notes", "bee", alpha=0, vector=np.ones(2), query_properties=["title^2"], limit=3))
    assert sent == {
        "text": "bee",
        "alpha": 0,
        "fusion": "relative-score",
        "vector": [1.0, 1.0],
        "query_properties": ["title^2"],
        "limit": 3,
        "offset": 0,
        "vectors": [],
    }


def test_a_vector_may_be_any_array():
    assert body(requests.near_vector("notes", np.array([1, 0.5], dtype=np.float32)))["vector"] == [1.0, 0.5]
    assert body(requests.near_vector("notes", (1, 2)))["vector"] == [1, 2]


def test_choices_of_a_listing_travel_in_the_query():
    call = requests.list_objects("notes", limit=3, cursor="1:7", properties=["a", "b"], vectors=["s"])
    assert call.query == {"limit": "3", "cursor": "1:7", "properties": "a,b", "vectors": "s"}
    assert requests.list_objects("notes").query == {"limit": "100"}
    assert requests.get("notes", UUID).query == {}


def test_objects_may_be_listed_without_their_properties():
    call = requests.list_objects("notes", properties=[])
    assert call.query == {"limit": "100"}
    assert answered(call, ObjectPage(objects=(OBJECT,))).objects == (dataclasses.replace(OBJECT, properties={}),)


def test_changing_nothing_only_reads():
    assert requests.update("notes").method == "GET"
    assert body(requests.update("notes", description="")) == {"description": ""}


def test_a_filter_travels_as_a_tree():
    call = requests.delete_where("notes", And((Equal("a", 1), Equal("b", "x"))), dry_run=True)
    assert call.path == "/v1/collections/notes/objects/delete"
    assert body(call) == {
        "where": {
            "operator": "and",
            "filters": [
                {"operator": "equal", "property": "a", "value": 1},
                {"operator": "equal", "property": "b", "value": "x"},
            ],
        },
        "dry_run": True,
    }


def test_deleting_tells_whether_the_object_was_there():
    call = requests.delete("notes", UUID)
    gone = {"error": {"code": "object_not_found", "message": "No."}}
    assert call.read(Reply(status=204, headers={}, content=b"")) is True
    assert answered(call, gone, 404) is False
    with pytest.raises(errors.CollectionNotFound):
        answered(call, {"error": {"code": "collection_not_found", "message": "No."}}, 404)


def test_an_insert_without_a_uuid_brings_its_own_so_that_it_may_be_repeated():
    call = requests.insert("notes", {"a": 1})
    again = requests.insert("notes", {"a": 1})
    assert call.repeatable and body(call)["mode"] == "upsert"
    assert body(call)["objects"][0]["uuid"] != body(again)["objects"][0]["uuid"]
    repeated = {"outcomes": [{"index": 0, "status": "unchanged", "uuid": UUID}]}
    assert answered(call, repeated) == Outcome(index=0, status="inserted", uuid=UUID)


def test_an_insert_under_a_uuid_is_not_repeated():
    call = requests.insert("notes", {"a": 1}, uuid=UUID, vectors={"default": [1.0]})
    assert not call.repeatable
    assert body(call) == {
        "objects": [{"properties": {"a": 1}, "vectors": {"default": [1.0]}, "uuid": UUID}],
        "mode": "insert",
    }


@pytest.mark.parametrize(
    "call", [requests.insert("notes", {}, uuid=UUID), requests.insert("notes", {}), requests.replace("notes", UUID, {})]
)
def test_a_single_object_that_is_refused_raises_its_reason(call):
    refused = {
        "index": 0,
        "status": "refused",
        "code": "object_exists",
        "reason": "It is there.",
        "hint": "H",
        "field": "uuid",
    }
    with pytest.raises(errors.ObjectExists, match=r"uuid: It is there\. H"):
        answered(call, {"outcomes": [refused]})


def test_a_commit_that_may_have_failed_raises_commit_unknown():
    unknown = {"index": 0, "status": "unknown", "code": "commit_unknown", "reason": "Perhaps."}
    with pytest.raises(errors.CommitUnknown):
        answered(requests.replace("notes", UUID, {}), {"outcomes": [unknown]})


@pytest.mark.parametrize("outcomes", [[], [STORED, STORED]])
def test_the_number_of_outcomes_must_be_that_of_objects(outcomes):
    with pytest.raises(errors.UnexpectedAnswer, match="outcomes for"):
        answered(requests.replace("notes", UUID, {}), {"outcomes": outcomes})
    with pytest.raises(errors.UnexpectedAnswer, match="outcomes for"):
        answered(
            requests.import_batch("notes", [b"{}"], mode="upsert", id_from=None, repeatable=True),
            {"outcomes": outcomes},
        )


def test_an_import_joins_lines_that_are_json_already():
    call = requests.import_batch("notes", [b'{"a":1}', b'{"b":2}'], mode="merge", id_from=["x"], repeatable=True)
    assert body(call) == {"objects": [{"a": 1}, {"b": 2}], "mode": "merge", "id_from": ["x"]}


def test_a_server_that_names_no_version_is_not_minivec():
    with pytest.raises(errors.UnexpectedAnswer, match="version of minivec"):
        answered(requests.server_version(), {"version": "1.25.0"})
