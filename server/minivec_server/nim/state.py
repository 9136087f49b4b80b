"""What NIM's routes need, in one value that the application carries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from minivec.database import Database
from minivec.embedding.interface import EmbedderSource
from minivec.settings import Settings
from minivec_server.nim.metrics import Metrics
from minivec_server.nim.models import Models
from minivec_server.pools import Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class NimState:
    """The engine and its models; `database` is there when it lives behind the same port."""

    source: EmbedderSource
    models: Models
    settings: Settings
    pools: Pools
    metrics: Metrics
    database: Database | None = None


def nim_of(request: Request) -> NimState:
    """The state of the application that got this request."""
    return cast(NimState, request.app.state.nim)
