"""The applications: `create_app` around a database that is already open, `create_engine_app` around an engine alone."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI

from minivec.database import Database
from minivec.embedding.interface import EmbedderSource
from minivec.settings import Settings
from minivec_server import nim
from minivec_server.application import assemble
from minivec_server.dialect import Dialects
from minivec_server.errors import REST
from minivec_server.nim.errors import NIM
from minivec_server.pools import Pools
from minivec_server.rest import collections, objects, reembed, search, service
from minivec_server.rest.documentation import SCHEMAS
from minivec_server.state import Common, State


def create_app(database: Database, settings: Settings) -> FastAPI:
    """The ASGI application over this database: the REST API, and NIM's for every model its engine knows.

    The caller closes the database, after the application has ended.
    """
    database.guard(allow_private=settings.allow_private_base_urls)
    state = State(database=database, settings=settings, pools=Pools(settings))
    served = nim.facade(database.embedders, settings, state.pools, database=database)
    app = assemble(
        state,
        [part.router for part in (search, objects, reembed, collections, service)] + list(nim.ROUTERS),
        description="A miniature vector database with the vectorizer built in.",
        schemas=[SCHEMAS, nim.SCHEMAS],
        dialects=Dialects(REST, dict.fromkeys(nim.PATHS, NIM)),
        watch=served.metrics.request,
    )
    app.state.nim = served
    return app


def create_engine_app(engine: EmbedderSource, settings: Settings, *, models: Sequence[str] = ()) -> FastAPI:
    """The ASGI application that answers as a NIM and knows no database; every error has NIM's shape.

    It serves `models` (names or folders the engine is asked for, the first one being the default), or every model the
    engine knows when none is named. As in `create_app`, `app.state.minivec.pools` are the threads to close at the end;
    the caller closes the engine.
    """
    common = Common(settings=settings, pools=Pools(settings))
    served = nim.facade(engine, settings, common.pools, models=models)
    app = assemble(
        common,
        [*nim.ROUTERS, *nim.ALONE],
        description="NVIDIA's embedding API over minivec's engine.",
        schemas=[nim.SCHEMAS],
        dialects=Dialects(NIM, {}),
        watch=served.metrics.request,
    )
    app.state.nim = served
    return app
