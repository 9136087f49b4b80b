"""Vector spaces made anew over REST, as jobs: start, look how far, cancel, switch back; and dropping a space."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from minivec.collection import Collection
from minivec.errors import NotFound, VectorSpaceNotFound
from minivec.progress import Report
from minivec.types.collection import CollectionInfo
from minivec.types.credentials import Credentials
from minivec.types.reembed import Reembedded, ReembedJob
from minivec_server.errors import HttpRefusal
from minivec_server.rest.answers import json_response, to_json
from minivec_server.rest.body import read_model
from minivec_server.rest.collections import CollectionName
from minivec_server.rest.credentials import Brought
from minivec_server.rest.documentation import route
from minivec_server.rest.wire import PROPERTY, ReembedBody, SwitchBackBody
from minivec_server.state import State, state_of

SpaceName = Annotated[str, Path(pattern=PROPERTY, description="The vector space's name.", examples=["default"])]
router = APIRouter(prefix="/v1/collections/{name}/vector-spaces/{space}", tags=["collections"])
_STARTED = {202: (ReembedJob, "It runs; GET .../reembed tells how far it is.")}


@router.delete("", **route("write", {200: (CollectionInfo, "The collection without it.")}, without=(413, 415)))
async def drop_vector_space(request: Request, name: CollectionName, space: SpaceName) -> Response:
    """Drop a vector space with its vectors and its index."""
    state = state_of(request)

    def work() -> bytes:
        collection = _collection(state, name, space)
        collection.drop_vector_space(space)
        return to_json(collection.describe())

    return json_response(await state.pools.writes.run(work))


@router.post(
    "/reembed",
    status_code=202,
    **route("write", _STARTED, body=ReembedBody, example={"model": "all-MiniLM-L12-v2"}),
)
async def reembed(request: Request, name: CollectionName, space: SpaceName, brought: Brought) -> Response:
    """Make the vectors of a space anew with another model, from the stored text, while the old ones go on answering.

    At the end the space means the new vectors and the old ones are kept under another name. The same request goes on where
    a job stopped that failed, was cancelled, or met the end of the server.
    """
    state = state_of(request)
    body = await read_model(request, ReembedBody)

    def start() -> bytes:
        collection = _collection(state, name, space, brought)

        def work(tell: Report) -> Reembedded:
            return collection.reembed(space, **body.model_dump(), progress=tell)

        return to_json(state.pools.jobs.start(name, space, work))

    return json_response(await state.pools.writes.run(start), 202)


@router.post("/switch-back", status_code=202, **route("write", _STARTED, body=SwitchBackBody, example={"to": None}))
async def switch_back(request: Request, name: CollectionName, space: SpaceName, brought: Brought) -> Response:
    """Undo a reembed: the name goes back to the vectors kept last, or to those of the space named."""
    state = state_of(request)
    body = await read_model(request, SwitchBackBody)

    def start() -> bytes:
        collection = _collection(state, name, space, brought)

        def work(tell: Report) -> Reembedded:
            return collection.switch_back(space, **body.model_dump(), progress=tell)

        return to_json(state.pools.jobs.start(name, space, work))

    return json_response(await state.pools.writes.run(start), 202)


@router.get("/reembed", **route("named", {200: (ReembedJob, "How far it is, or how it ended.")}))
async def reembed_state(request: Request, name: CollectionName, space: SpaceName) -> Response:
    """How far the reembed or switch back of a space is, or how the last one ended."""
    state = state_of(request)

    def work() -> bytes:
        _collection(state, name, space)
        return to_json(_known(state.pools.jobs.of(name, space), space))

    return json_response(await state.pools.reads.run(work))


@router.delete(
    "/reembed", **route("write", {200: (ReembedJob, "It ends after its batch, or has.")}, without=(413, 415))
)
async def cancel_reembed(request: Request, name: CollectionName, space: SpaceName) -> Response:
    """Cancel the reembed of a space; what is done stays done."""
    state = state_of(request)

    def work() -> bytes:
        _collection(state, name, space)
        return to_json(_known(state.pools.jobs.cancel(name, space), space))

    return json_response(await state.pools.writes.run(work))


def _collection(state: State, name: str, space: str, brought: Credentials | None = None) -> Collection:
    """The collection, which has the space the address names. Raises CollectionNotFound, HttpRefusal 404."""
    collection = state.database.collection(name, credentials=brought)
    if collection.describe().config.space_named(space) is None:
        raise HttpRefusal(404, VectorSpaceNotFound.code, f"There is no vector space {space!r}.", field="space")
    return collection


def _known(job: ReembedJob | None, space: str) -> ReembedJob:
    if job is None:
        raise NotFound(f"No reembed of vector space {space!r} was started on this server.", field="space")
    return job
