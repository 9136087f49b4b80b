from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from minivec.settings import Settings
from minivec_server.app import create_engine_app
from tests.server.conftest import client_of
from tests.server.nim.embedders import Source


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def make_engine_app(source: Source) -> Iterator[Callable[..., FastAPI]]:
    """Makes an application over the source with the given settings."""
    made: list[FastAPI] = []

    def make(models: tuple[str, ...] = ("nvidia/rich", "plain"), **settings: Any) -> FastAPI:
        made.append(create_engine_app(source, Settings(**settings), models=models))
        return made[-1]

    yield make
    for app in made:
        assert app.state.minivec.pools.close(10.0)


@pytest.fixture
async def nim(make_engine_app: Callable[..., FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an engine served alone, with the default settings."""
    async with client_of(make_engine_app()) as client:
        yield client
