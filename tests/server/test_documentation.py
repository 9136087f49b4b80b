"""The OpenAPI description: complete, true to the models, and accepted by a reader that others wrote."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import schemathesis

from minivec_server import nim
from minivec_server.rest.documentation import BODIES
from tests.server.test_error_shape import OPERATIONS, PATHS, WITH_BODY, address


def errors_of(path: str, method: str) -> set[int]:
    return {int(status) for status in PATHS[path][method.lower()]["responses"] if int(status) >= 400}


async def test_a_generator_reads_the_description(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    schema = schemathesis.openapi.from_dict(described)
    schema.validate()
    assert {(one.ok().method.upper(), one.ok().path) for one in schema.get_all_operations()} == set(OPERATIONS)


async def test_every_operation_is_described_in_words_and_by_its_errors(api: httpx.AsyncClient) -> None:
    names = set()
    for method, path in OPERATIONS:
        operation = PATHS[path][method.lower()]
        assert operation["description"]
        assert operation["tags"]
        names.add(operation["operationId"])
        errors = errors_of(path, method)
        assert {400, 431, 500, 503, 504} <= errors
        assert ("{name}" in path) <= (404 in errors)
        is_nim = path in nim.PATHS
        assert ("requestBody" in operation) <= ({413, 415, 429 if is_nim else 422} <= errors)
        for status in errors - {503}:
            schema = operation["responses"][str(status)]["content"]["application/json"]["schema"]
            assert schema == {"$ref": f"#/components/schemas/{'NimError' if is_nim else 'Error'}"}
    assert len(names) == len(OPERATIONS)


async def test_every_reference_leads_somewhere(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    components = described["components"]["schemas"]
    references: set[str] = set()

    def collect(node: Any) -> None:
        if isinstance(node, dict):
            references.update([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
            for value in node.values():
                collect(value)
        elif isinstance(node, list):
            for value in node:
                collect(value)

    collect(described)
    assert {reference.removeprefix("#/components/schemas/") for reference in references} <= set(components)


async def test_the_examples_are_accepted(api: httpx.AsyncClient, articles: str) -> None:
    spaces = [{"name": "default"}, {"name": "own", "vectorizer": "none", "dimension": 3}]
    properties = [{"name": "title"}, {"name": "year", "data_type": "int"}]
    definition = {"name": "examples", "vector_spaces": spaces, "properties": properties}
    assert (await api.post("/v1/collections", json=definition)).status_code == 201
    uuid = "0e1c7a52-7f3c-4d0c-9d62-3a8f4a4ff001"
    await api.put(f"/v1/collections/examples/objects/{uuid}", json={"properties": {"title": "bees"}})
    for method, path in WITH_BODY:
        body = PATHS[path][method.lower()]["requestBody"]["content"]["application/json"]["example"]
        if path.endswith("near-vector"):
            body = {**body, "space": "own"}
        elif "/search/near" in path or path.endswith("hybrid"):
            body = {**body, "space": "default"}
        if path == "/v1/collections":
            await api.delete(articles)
        content = orjson.dumps(body)
        headers = {"content-type": "application/json"}
        answer = await api.request(method, address(path, "examples", uuid), content=content, headers=headers)
        assert answer.is_success, (method, path, answer.text)
        while path.endswith(("reembed", "switch-back")) and answer.json()["state"] == "running":
            answer = await api.get(address(path, "examples", uuid).replace("switch-back", "reembed"))


def test_every_body_refuses_unknown_members() -> None:
    for body in (*BODIES, *nim.SCHEMAS.bodies):
        assert body.model_config["extra"] == "forbid"
        assert body.model_config["strict"] is True
