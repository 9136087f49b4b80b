"""What every route needs, in one value that the application carries: the database, the settings and the thread pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from minivec.database import Database
from minivec.settings import Settings
from minivec_server.pools import Pools


@dataclass(frozen=True, slots=True)
class State:
    """Set once by `create_app`."""

    database: Database
    settings: Settings
    pools: Pools


def state_of(request: Request) -> State:
    """The state of the application that got this request."""
    return cast(State, request.app.state.minivec)
