"""What every test may ask for: an embedder without a model, and databases over it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minivec.database import Database, open_database
from minivec.embedding.engine import Engine


@pytest.fixture
def embedders() -> Iterator[Engine]:
    engine = Engine.fake(dimension=32)
    yield engine
    engine.close()


@pytest.fixture
def database(embedders: Engine) -> Iterator[Database]:
    with open_database(":memory:", embedders=embedders) as opened:
        yield opened
