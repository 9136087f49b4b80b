"""The application: `create_app` puts routes, limits and error answers around a database that is already open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from minivec.database import Database
from minivec.settings import Settings
from minivec_server import errors
from minivec_server.auth import OPEN_PATHS, Authentication
from minivec_server.guard import Guard
from minivec_server.observe import Observation
from minivec_server.pools import Pools
from minivec_server.rest import collections, objects, search, service
from minivec_server.rest.documentation import components
from minivec_server.state import State


class Application(FastAPI):
    """FastAPI with our own schemas in its OpenAPI description, since the routes read their bodies themselves."""

    needs_key = False

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI 3.1 description; made once."""
        if not self.openapi_schema:
            described = get_openapi(
                title=self.title, version=self.version, description=self.description, routes=self.routes
            )
            described.setdefault("components", {})["schemas"] = components()
            if self.needs_key:
                _ask_for_key(described)
            self.openapi_schema = described
        return self.openapi_schema


def create_app(database: Database, settings: Settings) -> FastAPI:
    """The ASGI application over this database. The caller closes the database, after the application has ended."""
    pools = Pools(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        pools.close(0.0)

    app = Application(
        title="minivec",
        version=version("minivec"),
        description="A miniature vector database with the vectorizer built in.",
        lifespan=lifespan,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.needs_key = bool(settings.api_key)
    app.state.minivec = State(database, settings, pools)
    routers = [part.router for part in (search, objects, collections, service)]  # asked in this order
    for router in routers:
        app.include_router(router)
    errors.install(app, [*app.routes, *(route for router in routers for route in router.routes)])
    app.add_middleware(Authentication, api_key=settings.api_key)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Observation)
    return app


def _ask_for_key(described: dict[str, Any]) -> None:
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in described["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in OPEN_PATHS else [{"key": []}]
