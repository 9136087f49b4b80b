"""What the routes need, in values that the application carries: settings and thread pools, and for REST the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.requests import Request

from minivec.database import Database
from minivec.settings import Settings
from minivec_server.pools import Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """What every facade needs; all there is where only the engine is served."""

    settings: Settings
    pools: Pools


@dataclass(frozen=True, slots=True, kw_only=True)
class State(Common):
    """What a server with a database has; set once by `create_app`."""

    database: Database


def common_of(request: Request) -> Common:
    """The settings and pools of the application that got this request."""
    return cast(Common, request.app.state.minivec)


def state_of(request: Request) -> State:
    """The state of the application with a database that got this request."""
    return cast(State, request.app.state.minivec)
