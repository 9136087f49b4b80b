"""Health and version of a server without a database; with one, the REST API's routes of these names serve NIM's clients too."""

from __future__ import annotations

from importlib.metadata import version as installed

from fastapi import APIRouter, Request
from starlette.responses import Response

from minivec_server.nim.documentation import nim_route
from minivec_server.nim.state import nim_of
from minivec_server.nim.wire import EngineVersion
from minivec_server.rest.answers import Health, json_response, to_json

router = APIRouter(tags=["nim"])

API = "1.0.0"


@router.get("/v1/health/live", **nim_route({200: (Health, "The process answers.")}, without=(401,)))
async def live(request: Request) -> Response:
    """Whether the process answers; needs no thread and no model."""
    return json_response(to_json(Health(message="Service is live.", status="ready")))


@router.get(
    "/v1/health/ready",
    **nim_route({200: (Health, "Send requests."), 503: (Health, "Do not send requests yet.")}, without=(401,)),
)
async def ready(request: Request) -> Response:
    """Whether texts are embedded."""
    health = nim_of(request).models.health()
    if health.ready:
        return json_response(to_json(Health(message="Service is ready.", status="ready")))
    answer = Health(message="Service is not ready.", status="degraded", notes=health.notes)
    return json_response(to_json(answer), 503)


@router.get("/v1/version", **nim_route({200: (EngineVersion, "What runs here.")}))
async def version(request: Request) -> Response:
    """The releases of minivec and of NIM's API."""
    release = installed("minivec")
    return json_response(to_json(EngineVersion(release=release, api=API, minivec=release)))
