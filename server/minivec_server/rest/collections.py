"""Collections over REST: list, create, describe, change, drop, and add properties and vector spaces."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from minivec.types.collection import CollectionInfo
from minivec_server.rest.answers import CollectionList, json_response, to_json
from minivec_server.rest.body import read_model
from minivec_server.rest.credentials import Brought
from minivec_server.rest.documentation import route
from minivec_server.rest.wire import NAME, CollectionBody, CollectionChange, PropertyBody, VectorSpaceBody
from minivec_server.state import state_of

CollectionName = Annotated[str, Path(pattern=NAME, description="The collection's name.", examples=["articles"])]
router = APIRouter(prefix="/v1/collections", tags=["collections"])
_INFO = {200: (CollectionInfo, "The collection as it is now.")}


@router.get("", **route("open", {200: (CollectionList, "Every collection.")}))
async def list_collections(request: Request) -> Response:
    """List every collection with its definition, number of objects and indexes."""
    state = state_of(request)

    def work() -> bytes:
        return to_json(CollectionList(collections=state.database.list_collections()))

    return json_response(await state.pools.reads.run(work))


@router.post(
    "",
    status_code=201,
    **route(
        "write",
        {201: (CollectionInfo, "The new collection.")},
        body=CollectionBody,
        example={"name": "articles", "properties": [{"name": "title"}, {"name": "year", "data_type": "int"}]},
    ),
)
async def create_collection(request: Request, brought: Brought) -> Response:
    """Create a collection. Left out: properties are learned from the objects, one vector space with the bundled model."""
    state = state_of(request)
    config = (await read_model(request, CollectionBody)).value()

    def work() -> bytes:
        created = state.database.create_collection(
            config.name,
            description=config.description,
            properties=config.properties,
            vector_spaces=config.vector_spaces,
            keyword=config.keyword,
            auto_schema=config.auto_schema,
            credentials=brought,
        )
        return to_json(created.describe())

    return json_response(await state.pools.writes.run(work), 201)


@router.get("/{name}", **route("named", _INFO))
async def describe_collection(request: Request, name: CollectionName) -> Response:
    """Describe a collection: its definition, number of objects, and how far each index follows."""
    state = state_of(request)

    def work() -> bytes:
        return to_json(state.database.collection(name).describe())

    return json_response(await state.pools.reads.run(work))


@router.patch("/{name}", **route("write", _INFO, body=CollectionChange, example={"description": "Articles since 2020"}))
async def update_collection(request: Request, name: CollectionName) -> Response:
    """Change the description."""
    state = state_of(request)
    change = await read_model(request, CollectionChange)

    def work() -> bytes:
        collection = state.database.collection(name)
        collection.update(description=change.description)
        return to_json(collection.describe())

    return json_response(await state.pools.writes.run(work))


@router.delete("/{name}", status_code=204, **route("write", {204: (None, "It is gone.")}, without=(413, 415)))
async def drop_collection(request: Request, name: CollectionName) -> Response:
    """Drop a collection with everything in it."""
    state = state_of(request)
    await state.pools.writes.run(state.database.drop_collection, name)
    return Response(status_code=204)


@router.post("/{name}/properties", **route("write", _INFO, body=PropertyBody, example={"name": "author"}))
async def add_property(request: Request, name: CollectionName) -> Response:
    """Add a property."""
    state = state_of(request)
    added = (await read_model(request, PropertyBody)).value()

    def work() -> bytes:
        collection = state.database.collection(name)
        collection.add_property(added)
        return to_json(collection.describe())

    return json_response(await state.pools.writes.run(work))


@router.post(
    "/{name}/vector-spaces",
    **route("write", _INFO, body=VectorSpaceBody, example={"name": "own", "vectorizer": "none", "dimension": 3}),
)
async def add_vector_space(request: Request, name: CollectionName, brought: Brought) -> Response:
    """Add a vector space; with a local model it is filled from the stored text before this answers."""
    state = state_of(request)
    added = (await read_model(request, VectorSpaceBody)).value()

    def work() -> bytes:
        collection = state.database.collection(name, credentials=brought)
        collection.add_vector_space(added)
        return to_json(collection.describe())

    return json_response(await state.pools.writes.run(work))
