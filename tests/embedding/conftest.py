"""The bundled model and its judge, loaded once for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from minivec.embedding import catalog
from minivec.embedding.engine import Engine
from minivec.embedding.interface import Embedder
from tests.embedding.judges import load_judge

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

BUNDLED = "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def bundled_folder() -> Path:
    return catalog.folder_of(catalog.CATALOG[0])


@pytest.fixture(scope="session")
def bundled() -> Iterator[Embedder]:
    engine = Engine()
    yield engine.embedder(BUNDLED)
    engine.close()


@pytest.fixture(scope="session")
def bundled_judge(bundled_folder: Path) -> SentenceTransformer:
    return load_judge(bundled_folder)
