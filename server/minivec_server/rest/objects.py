"""Objects over REST: import (JSON or an NDJSON stream), list, get, put, merge, delete."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from minivec.errors import ObjectNotFound
from minivec.types.credentials import Credentials
from minivec.types.object import DeleteReport, ImportMode, ObjectPage, Outcome, StoredObject
from minivec_server.guard import NDJSON
from minivec_server.rest.answers import ImportAnswer, json_response, to_json
from minivec_server.rest.body import JSON, as_model, media_type, parse, read_model, read_with, unsupported
from minivec_server.rest.collections import CollectionName
from minivec_server.rest.credentials import Brought
from minivec_server.rest.documentation import route
from minivec_server.rest.importing import ImportStream, ingest_all
from minivec_server.rest.wire import CURSOR, PROPERTY_LIST, UUID, DeleteBody, ImportBody, ObjectBody, filter_of
from minivec_server.state import state_of

ObjectUuid = Annotated[str, Path(pattern=UUID, examples=["0e1c7a52-7f3c-4d0c-9d62-3a8f4a4ff001"])]
VectorNames = Annotated[
    str | None, Query(pattern=PROPERTY_LIST, description="Vector spaces to return, with commas between.")
]
router = APIRouter(prefix="/v1/collections/{name}/objects", tags=["objects"])
_EXAMPLE = {"properties": {"title": "Bees dance", "year": 2021}}
_IMPORT = route(
    "write",
    {200: (ImportAnswer, "One outcome per object, in order; as NDJSON one outcome a line.")},
    body=ImportBody,
    example={"objects": [_EXAMPLE]},
)
_IMPORT["openapi_extra"]["requestBody"]["content"][NDJSON] = {
    "schema": {"type": "string", "description": "One object a line; no limit on their number."}
}
_IMPORT["responses"][200]["content"][NDJSON] = {"schema": {"type": "string"}}


class _AnyButDelete(Convertor[str]):
    """What may stand for a uuid in an address: not `delete`, which is an address of its own with other methods."""

    regex = "(?!delete$)[^/]+"

    def convert(self, value: str) -> str:
        """The value, unchanged."""
        return value

    def to_string(self, value: str) -> str:
        """The value, unchanged."""
        return value


register_url_convertor("any_but_delete", _AnyButDelete())


class PageQuery(BaseModel):
    """Which page of objects, and what of each."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Annotated[str | None, Field(description="From the page before.", json_schema_extra={"pattern": CURSOR})] = (
        None
    )
    properties: Annotated[str | None, Field(pattern=PROPERTY_LIST, description="With commas between.")] = None
    vectors: Annotated[str | None, Field(pattern=PROPERTY_LIST, description="Spaces, with commas between.")] = None


@router.post("", **_IMPORT)
async def import_objects(
    request: Request,
    name: CollectionName,
    brought: Brought,
    mode: Annotated[ImportMode, Query(description="What to do when the uuid is there already.")] = "upsert",
    id_from: Annotated[
        str | None, Query(pattern=PROPERTY_LIST, description="Make the uuid from these properties.")
    ] = None,
) -> Response:
    """Import objects; one that cannot be stored costs only itself. `mode` and `id_from` of a JSON body come first.

    As NDJSON, outcomes come back while objects go in; `index` counts the objects, blank lines are passed over. A stream
    that ends early ends with a line `{"error": ...}`.
    """
    state = state_of(request)
    kind = media_type(request)
    if kind == NDJSON:
        collection = await state.pools.reads.run(state.database.collection, name, credentials=brought)
        return ImportStream(collection, state, mode, names_of(id_from))
    if kind != JSON:
        raise unsupported(request, JSON, NDJSON)

    def read(raw: bytes, max_depth: int) -> ImportBody:
        return as_model(parse(raw, max_depth), ImportBody)

    body = await read_with(request, read, "ImportBody")

    def work() -> bytes:
        collection = state.database.collection(name, credentials=brought)
        outcomes = ingest_all(
            collection, body.objects, body.mode or mode, body.id_from or names_of(id_from), state.settings
        )
        return to_json(ImportAnswer.of(outcomes))

    return json_response(await state.pools.writes.run(work))


@router.get("", **route("named", {200: (ObjectPage, "A page of objects.")}))
async def list_objects(
    request: Request,
    name: CollectionName,
    page: Annotated[PageQuery, Query()],
) -> Response:
    """List objects page by page, in the order they were last written."""
    state = state_of(request)

    def work() -> bytes:
        objects = state.database.collection(name).list_objects(
            limit=page.limit,
            cursor=page.cursor,
            properties=names_of(page.properties),
            vectors=names_of(page.vectors) or (),
        )
        return to_json(objects)

    return json_response(await state.pools.reads.run(work))


@router.post(
    "/delete",
    **route(
        "write",
        {200: (DeleteReport, "How many matched and how many were deleted.")},
        body=DeleteBody,
        example={"where": {"operator": "equal", "property": "year", "value": 2021}, "dry_run": True},
    ),
)
async def delete_where(request: Request, name: CollectionName) -> Response:
    """Delete the objects a filter matches, or count them."""
    state = state_of(request)
    body = await read_model(request, DeleteBody)
    where = filter_of(body.where)

    def work() -> bytes:
        return to_json(state.database.collection(name).delete_where(where, dry_run=body.dry_run))

    return json_response(await state.pools.writes.run(work))


@router.get("/{uuid:any_but_delete}", **route("named", {200: (StoredObject, "The object.")}))
async def get_object(request: Request, name: CollectionName, uuid: ObjectUuid, vectors: VectorNames = None) -> Response:
    """Get one object."""
    state = state_of(request)

    def work() -> bytes:
        return to_json(state.database.collection(name).get(uuid.lower(), vectors=names_of(vectors) or ()))

    return json_response(await state.pools.reads.run(work))


@router.put(
    "/{uuid:any_but_delete}",
    **route(
        "write",
        {200: (Outcome, "It was there and is replaced, or unchanged."), 201: (Outcome, "It is new.")},
        body=ObjectBody,
        example=_EXAMPLE,
    ),
)
async def put_object(request: Request, name: CollectionName, uuid: ObjectUuid, brought: Brought) -> Response:
    """Store an object under this uuid, in the place of the one that may be there."""
    return await _store(request, name, uuid, brought, "upsert")


@router.patch(
    "/{uuid:any_but_delete}",
    **route("write", {200: (Outcome, "It is merged.")}, body=ObjectBody, example={"properties": {"year": 2022}}),
)
async def merge_object(request: Request, name: CollectionName, uuid: ObjectUuid, brought: Brought) -> Response:
    """Change the given properties of an object; null removes one, the others stay."""
    return await _store(request, name, uuid, brought, "merge")


@router.delete(
    "/{uuid:any_but_delete}", status_code=204, **route("write", {204: (None, "It is gone.")}, without=(413, 415))
)
async def delete_object(request: Request, name: CollectionName, uuid: ObjectUuid) -> Response:
    """Delete one object."""
    state = state_of(request)

    def work() -> bool:
        return state.database.collection(name).delete(uuid.lower())

    if not await state.pools.writes.run(work):
        raise ObjectNotFound(f"There is no object {uuid.lower()}.", field="uuid")
    return Response(status_code=204)


def names_of(list_of_names: str | None) -> list[str] | None:
    """The names of a query parameter that holds several, with commas between."""
    return None if list_of_names is None else list_of_names.split(",")


async def _store(
    request: Request, name: str, uuid: str, brought: Credentials, how: Literal["upsert", "merge"]
) -> Response:
    state = state_of(request)
    body = await read_model(request, ObjectBody)

    def work() -> tuple[bytes, int]:
        store = getattr(state.database.collection(name, credentials=brought), how)
        outcome: Outcome = store(uuid.lower(), body.properties, vectors=body.vectors)
        return to_json(outcome), 201 if outcome.status == "inserted" else 200

    return json_response(*await state.pools.writes.run(work))
