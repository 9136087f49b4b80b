from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from minivec.storage.engine import Truth
from tests.storage.samples import new_truth


@pytest.fixture
def truth(tmp_path: Path) -> Iterator[Truth]:
    made = new_truth(tmp_path / "truth")
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared_truth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Truth]:
    """One for all tests of a module, for those that repeat very often."""
    made = new_truth(tmp_path_factory.mktemp("shared") / "truth")
    yield made
    made.close()
