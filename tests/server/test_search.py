from __future__ import annotations

from typing import Any

import httpx
import pytest

from minivec.database import Database
from minivec.types.codec import to_plain
from minivec.types.query import Cutoff, Hybrid, Keyword, NearObject, NearText, NearVector, Paging, Query
from tests.server.conftest import DIMENSION, error_in, uuid_of

VECTOR = [0.5, -1.0, 0.25, 1.0, 0.0, 2.0, -0.5, 1.5]
PAGING: dict[str, Any] = {"limit": 2, "offset": 1, "properties": ["title"], "vectors": ["default"]}
PAGE = Paging(limit=2, offset=1, properties=("title",), vectors=("default",))

SAME: list[tuple[str, dict[str, Any], Query]] = [
    ("near-text", {"text": "bees dance"}, NearText(text="bees dance")),
    (
        "near-text",
        {"text": "bees", "space": "default", "distance": 0.9, **PAGING},
        NearText(text="bees", space="default", cutoff=Cutoff(distance=0.9), paging=PAGE),
    ),
    ("near-vector", {"vector": VECTOR}, NearVector(vector=VECTOR)),
    (
        "near-vector",
        {"vector": VECTOR, "certainty": 0.1, **PAGING},
        NearVector(vector=VECTOR, cutoff=Cutoff(certainty=0.1), paging=PAGE),
    ),
    ("near-object", {"uuid": uuid_of(1)}, NearObject(uuid=uuid_of(1))),
    ("keyword", {"text": "bees"}, Keyword(text="bees")),
    (
        "keyword",
        {"text": "bees", "query_properties": ["title^2"], **PAGING},
        Keyword(text="bees", query_properties=("title^2",), paging=PAGE),
    ),
    ("hybrid", {"text": "bees honey"}, Hybrid(text="bees honey")),
    (
        "hybrid",
        {
            "text": "bees",
            "alpha": 0.25,
            "fusion": "ranked",
            "vector": VECTOR,
            "space": "default",
            "query_properties": ["title"],
            "max_vector_distance": 1.5,
            **PAGING,
        },
        Hybrid(
            text="bees",
            alpha=0.25,
            fusion="ranked",
            vector=VECTOR,
            space="default",
            query_properties=("title",),
            max_vector_distance=1.5,
            paging=PAGE,
        ),
    ),
]


@pytest.mark.parametrize(("kind", "body", "query"), SAME)
async def test_rest_and_the_embedded_handle_answer_alike(
    api: httpx.AsyncClient, articles: str, database: Database, kind: str, body: dict[str, Any], query: Query
) -> None:
    over_rest = await api.post(f"{articles}/search/{kind}", json=body)
    assert over_rest.status_code == 200, over_rest.text
    embedded = to_plain(database.collection("articles").search(query))
    answer = over_rest.json()
    assert answer["plan"] == embedded["plan"]
    assert [hit["uuid"] for hit in answer["hits"]] == [hit["uuid"] for hit in embedded["hits"]]
    for ours, theirs in zip(answer["hits"], embedded["hits"], strict=True):
        assert ours["score"] == pytest.approx(theirs["score"])
        assert ours["properties"] == theirs["properties"]
        assert ours["vectors"].keys() == theirs["vectors"].keys()
    assert set(answer["milliseconds"]) == set(embedded["milliseconds"])


async def test_the_parts_of_a_score_add_up_on_the_wire(api: httpx.AsyncClient, articles: str) -> None:
    answer = (await api.post(f"{articles}/search/hybrid", json={"text": "bees honey"})).json()
    for hit in answer["hits"]:
        assert sum(part["contribution"] for part in hit["parts"]) == pytest.approx(hit["score"])


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("near-text", {"text": "x", "distance": 0.1, "certainty": 0.9}, ""),
    ("near-text", {"text": "  "}, "text"),
    ("near-text", {"text": 5}, "text"),
    ("near-text", {}, "text"),
    ("near-text", {"text": "x", "limit": 0}, "limit"),
    ("near-text", {"text": "x", "limit": "5"}, "limit"),
    ("near-text", {"text": "x", "limit": True}, "limit"),
    ("near-text", {"text": "x", "limit": 10_000, "offset": 10_000}, "limit"),
    ("near-text", {"text": "x", "colour": "red"}, "colour"),
    ("near-text", {"text": "x", "properties": ["unknown"]}, "properties"),
    ("near-text", {"text": "x\0y"}, "text"),
    ("near-vector", {"vector": []}, "vector"),
    ("near-vector", {"vector": [1.0]}, "vector"),
    ("near-vector", {"vector": [1e39] * DIMENSION}, "vector[0]"),
    ("near-vector", {"vector": [True] * DIMENSION}, "vector[0]"),
    ("near-vector", {"vector": ["1"] * DIMENSION}, "vector[0]"),
    ("near-vector", {"vector": None}, "vector"),
    ("near-object", {"uuid": "5"}, "uuid"),
    ("keyword", {"text": "x", "query_properties": ["year"]}, "query_properties"),
    ("keyword", {"text": "x", "query_properties": ["title^x"]}, "query_properties[0]"),
    ("hybrid", {"text": "x", "alpha": 1.5}, "alpha"),
    ("hybrid", {"text": "x", "fusion": "magic"}, "fusion"),
]


@pytest.mark.parametrize(("kind", "body", "field"), BAD)
async def test_a_bad_query_is_refused_with_its_field(
    api: httpx.AsyncClient, articles: str, kind: str, body: dict[str, Any], field: str
) -> None:
    assert error_in(await api.post(f"{articles}/search/{kind}", json=body), 422)["field"] == field


async def test_404_is_for_the_address_and_422_for_what_the_body_names(api: httpx.AsyncClient, articles: str) -> None:
    no_object = await api.post(f"{articles}/search/near-object", json={"uuid": uuid_of(77)})
    assert error_in(no_object, 422)["code"] == "object_not_found"
    no_space = await api.post(f"{articles}/search/near-text", json={"text": "x", "space": "nowhere"})
    assert error_in(no_space, 422)["code"] == "vector_space_not_found"
    no_collection = await api.post("/v1/collections/nowhere/search/keyword", json={"text": "x"})
    assert error_in(no_collection, 404)["code"] == "collection_not_found"
