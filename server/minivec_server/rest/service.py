"""The server about itself: alive, ready, which version, and what is where."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from minivec.errors import MinivecError
from minivec_server.rest.answers import Health, Service, Version, json_response, to_json
from minivec_server.rest.documentation import route
from minivec_server.state import state_of

router = APIRouter(tags=["service"])


@router.get("/v1/health/live", **route("open", {200: (Health, "The process answers.")}, without=(401,)))
async def live(request: Request) -> Response:
    """Whether the process answers; needs no thread and no database."""
    return json_response(to_json(Health(message="Service is live.", status="ready")))


@router.get(
    "/v1/health/ready",
    **route("open", {200: (Health, "Send requests."), 503: (Health, "Do not send requests yet.")}, without=(401,)),
)
async def ready(request: Request) -> Response:
    """Whether requests are answered. While an index is rebuilt they are (exactly): then `status` is degraded, with a note."""
    state = state_of(request)
    try:
        health = await state.pools.reads.run(state.database.health)
    except MinivecError as error:
        answer = Health(message="Service is not ready.", status="degraded", notes=[str(error)])
        return json_response(to_json(answer), 503)
    status: Literal["ready", "degraded"] = "ready" if health.ready else "degraded"
    return json_response(to_json(Health(message="Service is ready.", status=status, notes=health.notes)))


@router.get("/v1/version", **route("open", {200: (Version, "What runs here.")}))
async def version(request: Request) -> Response:
    """Releases of minivec, of this API and of SQLite, and the number of the disk format."""
    state = state_of(request)

    def work() -> bytes:
        return to_json(state.database.version())

    return json_response(await state.pools.reads.run(work))


@router.get("/", **route("open", {200: (Service, "Where to go from here.")}))
async def root(request: Request) -> Response:
    """What this is, and where its documentation is."""
    links = {"documentation": "/docs", "openapi": "/openapi.json", "collections": "/v1/collections"}
    return json_response(to_json(Service(name="minivec", version=request.app.version, links=links)))
