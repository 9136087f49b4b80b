"""What a NIM tells of itself: its models, metadata, licence, manifest and metrics."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version as installed
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from minivec_server.nim.documentation import nim_route
from minivec_server.nim.metrics import CONTENT_TYPE, gauge
from minivec_server.nim.state import NimState, nim_of
from minivec_server.nim.wire import License, Manifest, Metadata, Model, ModelInfo, ModelList
from minivec_server.rest.answers import json_response, to_json

router = APIRouter(tags=["nim"])

_LICENSE_TEXT = (
    "minivec is licensed under the Apache License, Version 2.0. Models are licensed by those who published them; "
    "read a model's own licence before you use it."
)
LICENSE = License(
    name="Apache-2.0",
    path="LICENSE",
    size=len(_LICENSE_TEXT),
    url="https://www.apache.org/licenses/LICENSE-2.0",
    type="text",
    content=_LICENSE_TEXT,
)
_TEXT = {"content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/v1/models", **nim_route({200: (ModelList, "The models, the default first.")}))
async def models(request: Request) -> Response:
    """Every model that is loaded or whose files are at hand."""
    return await _told(request, _models)


@router.get("/v1/metadata", **nim_route({200: (Metadata, "Release, models and licence.")}))
async def metadata(request: Request) -> Response:
    """What runs here."""
    return await _told(request, _metadata)


@router.get("/v1/license", **nim_route({200: (License, "The licence of the software.")}))
async def license_of_software(request: Request) -> Response:
    """The licence of the software; models have their own."""
    return await _told(request, lambda nim: LICENSE)


@router.get("/v1/manifest", **nim_route({200: (Manifest, "The models as text.")}))
async def manifest(request: Request) -> Response:
    """The models of this server, a line each."""
    return await _told(request, _manifest)


def _metrics_route() -> dict[str, Any]:
    described = nim_route({200: (None, "Counts since the start, in Prometheus' text format.")})
    described["responses"][200].update(_TEXT)
    return described


@router.get("/v1/metrics", **_metrics_route())
async def metrics(request: Request) -> Response:
    """Requests, latencies, texts, tokens, what waits, and the sizes of collections, for Prometheus."""
    nim = nim_of(request)
    text = await nim.pools.reads.run(_metrics, nim)
    return Response(text, headers={"content-type": CONTENT_TYPE})


async def _told(request: Request, work: Callable[[NimState], Any]) -> Response:
    nim = nim_of(request)
    return json_response(await nim.pools.reads.run(lambda: to_json(work(nim))))


def _models(nim: NimState) -> ModelList:
    return ModelList(data=[Model(id=served.id, root=served.root) for served in nim.models.all()])


def _metadata(nim: NimState) -> Metadata:
    names = [ModelInfo(shortName=served.id, modelUrl="") for served in nim.models.all()]
    return Metadata(id="minivec", version=installed("minivec"), modelInfo=names, licenseInfo=LICENSE)


def _manifest(nim: NimState) -> Manifest:
    lines = [f"{served.id}\n" for served in nim.models.all()]
    return Manifest(manifest_file="".join(lines), repository="local")


def _metrics(nim: NimState) -> str:
    health = nim.models.health()
    lines = nim.metrics.lines()
    lines += gauge("minivec_queue_tokens", "Tokens that wait for the model.", (), [((), health.waiting_tokens)])
    lines += gauge("minivec_engine_ready", "Whether texts are embedded (1) or fail (0).", (), [((), int(health.ready))])
    lines += gauge("minivec_loaded_models", "Models that are loaded.", (), [((), len(health.models))])
    if nim.database is not None:
        infos = nim.database.list_collections()
        objects = [((info.config.name,), float(info.count)) for info in infos]
        indexed = [((info.config.name, index.name), float(index.count)) for info in infos for index in info.indexes]
        lines += gauge("minivec_objects", "Stored objects.", ("collection",), objects)
        lines += gauge("minivec_index_entries", "Entries of an index.", ("collection", "index"), indexed)
    return "\n".join(lines) + "\n"
