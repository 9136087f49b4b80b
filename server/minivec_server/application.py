"""An application of this server, whatever it serves: routers, limits, error answers and the OpenAPI description."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi

from minivec_server import errors
from minivec_server.auth import OPEN_PATHS, Authentication
from minivec_server.dialect import Dialects
from minivec_server.guard import Guard
from minivec_server.observe import Observation, Watch
from minivec_server.rest.documentation import Schemas, components
from minivec_server.state import Common


class Application(FastAPI):
    """FastAPI with our own schemas in its OpenAPI description, since the routes read their bodies themselves."""

    needs_key = False
    schemas: Sequence[Schemas] = ()

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 description; made once."""
        if not self.openapi_schema:
            described = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            described.setdefault("components", {})["schemas"] = components(self.schemas)
            if self.needs_key:
                _ask_for_key(described)
            self.openapi_schema = described
        return self.openapi_schema


def assemble(
    common: Common,
    routers: Sequence[APIRouter],
    *,
    description: str,
    schemas: Sequence[Schemas],
    dialects: Dialects,
    watch: Watch,
) -> Application:
    """The application of these routers, which are asked in this order."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        common.pools.close(0.0)

    app = Application(
        title="minivec",
        version=version("minivec"),
        description=description,
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.needs_key = bool(common.settings.api_key)
    app.schemas = schemas
    app.state.minivec = common
    app.state.dialects = dialects
    for router in routers:
        app.include_router(router)
    errors.install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    app.add_middleware(Authentication, api_key=common.settings.api_key)
    app.add_middleware(Guard, settings=common.settings)
    app.add_middleware(Observation, watch=watch)
    return app


def _ask_for_key(described: dict[str, Any]) -> None:
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}]
