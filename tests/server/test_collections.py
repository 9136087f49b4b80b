from __future__ import annotations

import httpx

from tests.server.conftest import error_in


async def test_a_collection_is_created_listed_described_and_dropped(api: httpx.AsyncClient) -> None:
    created = await api.post("/v1/collections", json={"name": "notes", "description": "mine"})
    assert created.status_code == 201
    assert created.json()["config"]["name"] == "notes"

    described = await api.get("/v1/collections/notes")
    assert described.json()["config"]["description"] == "mine"
    assert described.json()["count"] == 0
    listed = await api.get("/v1/collections")
    assert [one["config"]["name"] for one in listed.json()["collections"]] == ["notes"]

    dropped = await api.delete("/v1/collections/notes")
    assert (dropped.status_code, dropped.content) == (204, b"")
    assert error_in(await api.get("/v1/collections/notes"), 404)["code"] == "collection_not_found"


async def test_the_definition_that_was_sent_comes_back_and_can_be_sent_again(api: httpx.AsyncClient) -> None:
    definition = {
        "name": "shelf",
        "description": "books",
        "properties": [
            {
                "name": "title",
                "data_type": "text",
                "tokenization": "lowercase",
                "searchable": False,
                "description": "on the spine",
                "properties": [],
            },
            {
                "name": "place",
                "data_type": "object",
                "tokenization": "word",
                "searchable": True,
                "description": "",
                "properties": [
                    {
                        "name": "row",
                        "data_type": "int",
                        "tokenization": "word",
                        "searchable": True,
                        "description": "",
                        "properties": [],
                    }
                ],
            },
        ],
        "vector_spaces": [
            {
                "name": "own",
                "vectorizer": "none",
                "model": "all-MiniLM-L6-v2",
                "source_properties": ["title"],
                "include_collection_name": True,
                "include_property_names": True,
                "truncate": "start",
                "distance": "hamming",
                "index": "binary",
                "hnsw": {"links": 8, "ef_construction": 64, "ef": 32},
                "binary": {"oversampling": 4},
                "dimension": 16,
                "fingerprint": None,
                "base_url": "",
                "stored_as": "",
                "kept_for": "",
            }
        ],
        "keyword": {"k1": 1.5, "b": 0.5, "stopwords": "en"},
        "auto_schema": False,
    }
    created = await api.post("/v1/collections", json=definition)
    assert created.status_code == 201, created.text
    assert created.json()["config"] == definition
    again = await api.post("/v1/collections", json={**created.json()["config"], "name": "shelf2"})
    assert again.status_code == 201


async def test_a_second_collection_of_the_same_name_is_a_conflict(api: httpx.AsyncClient, articles: str) -> None:
    assert error_in(await api.post("/v1/collections", json={"name": "articles"}), 409)["code"] == "collection_exists"


async def test_the_description_changes_and_nothing_else_can(api: httpx.AsyncClient, articles: str) -> None:
    changed = await api.patch(articles, json={"description": "since 2001"})
    assert changed.json()["config"]["description"] == "since 2001"
    refused = error_in(await api.patch(articles, json={"description": "x", "name": "other"}), 422)
    assert refused["field"] == "name"


async def test_a_property_is_added(api: httpx.AsyncClient, articles: str) -> None:
    added = await api.post(f"{articles}/properties", json={"name": "author"})
    assert added.status_code == 200
    assert "author" in [prop["name"] for prop in added.json()["config"]["properties"]]
    other = await api.post(f"{articles}/properties", json={"name": "author", "data_type": "int"})
    assert error_in(other, 409)["code"] == "conflict"


async def test_a_vector_space_is_added_and_filled_from_the_stored_text(api: httpx.AsyncClient, articles: str) -> None:
    added = await api.post(f"{articles}/vector-spaces", json={"name": "second"})
    assert added.status_code == 200, added.text
    first, second = [
        (await api.post(f"{articles}/search/near-text", json={"text": "bees", "space": space})).json()["hits"]
        for space in ("default", "second")
    ]
    assert len(first) == 3
    assert [(hit["uuid"], hit["distance"]) for hit in first] == [(hit["uuid"], hit["distance"]) for hit in second]


async def test_names_that_could_leave_the_folder_are_refused(api: httpx.AsyncClient) -> None:
    for name in ("../up", "a/b", "", "CON.txt", "a" * 65, "1st", "a\\b", "ä", "a\n", "%2e%2e"):
        error_in(await api.post("/v1/collections", json={"name": name}), 422)
    for path in ("/v1/collections/..%2f..", "/v1/collections/%2e%2e%2fetc", "/v1/collections/a%00b"):
        assert (await api.get(path)).status_code in (404, 422)


async def test_choices_that_do_not_go_together_are_refused_with_the_field(api: httpx.AsyncClient) -> None:
    spaces = [{"name": "bits", "vectorizer": "none", "distance": "hamming"}]
    refused = error_in(await api.post("/v1/collections", json={"name": "x", "vector_spaces": spaces}), 422)
    assert refused["field"] == "vector_spaces[0].index"
    twice = [{"name": "a"}, {"name": "a"}]
    error_in(await api.post("/v1/collections", json={"name": "x", "properties": twice}), 422)
