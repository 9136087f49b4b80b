"""NVIDIA's embedding API (NIM 1.x) over the engine: beside the REST API on the database's port, or alone.

`facade` makes what the routes need; an application includes ROUTERS, and where there is no REST API also ALONE, and
tells the errors of PATHS in NIM's dialect. `minivec_server.app` does both.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi.routing import APIRoute

from minivec.database import Database
from minivec.embedding.interface import EmbedderSource
from minivec.settings import Settings
from minivec_server.nim import about, alone, embeddings, ranking
from minivec_server.nim.documentation import SCHEMAS
from minivec_server.nim.metrics import Metrics
from minivec_server.nim.models import Models
from minivec_server.nim.state import NimState
from minivec_server.pools import Pools

__all__ = ["ALONE", "PATHS", "ROUTERS", "SCHEMAS", "facade"]

ROUTERS = (embeddings.router, ranking.router, about.router)
ALONE = (alone.router,)
PATHS = frozenset(route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute))


def facade(
    source: EmbedderSource,
    settings: Settings,
    pools: Pools,
    *,
    models: Sequence[str] = (),
    database: Database | None = None,
) -> NimState:
    """What NIM's routes need, to be put at `app.state.nim`; without `models`, all that the source knows are served."""
    return NimState(
        source=source,
        models=Models(source, settings, models),
        settings=settings,
        pools=pools,
        metrics=Metrics(),
        database=database,
    )
