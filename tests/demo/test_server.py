"""The temporary server: it answers while the block runs, and nothing of it is left afterwards."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest

import minivec
from minivec.demo import server
from minivec.demo.server import temporary_server
from minivec.errors import ConnectionFailed, Unavailable
from minivec.types.collection import VectorSpace


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Temporary folders are made in here, so that a test sees what is left of them."""
    monkeypatch.setattr(server.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_it_answers_and_then_is_gone(folder: Path):
    with temporary_server() as url:
        assert httpx.get(f"{url}/v1/health/live").status_code == 200
        with minivec.connect(url) as client:
            notes = client.create_collection("notes", vector_spaces=[VectorSpace(vectorizer="none")])
            notes.insert({"text": "bees"})
            assert notes.count() == 1
        assert left_over(folder) != []
    assert left_over(folder) == []
    with pytest.raises(ConnectionFailed):
        minivec.connect(url)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_it_is_gone_however_the_block_ends(folder: Path, error: type[BaseException]):
    with pytest.raises(error), temporary_server() as url:
        raise error
    assert left_over(folder) == []
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def test_settings_of_the_callers_own_server_do_not_reach_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MINIVEC_API_KEY", "secret")
    monkeypatch.setenv("MINIVEC_PORT", "1")
    with temporary_server() as url:
        assert not url.endswith(":1")
        assert httpx.get(f"{url}/v1/collections").status_code == 200


def test_a_server_that_does_not_start_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    broken = tmp_path / "broken"
    broken.write_text(f"#!{sys.executable}\nimport sys\nsys.exit('no such thing')\n")
    broken.chmod(0o755)
    monkeypatch.setattr(server.sys, "executable", str(broken))
    with pytest.raises(Unavailable, match="did not start: no such thing"), temporary_server():
        pass
    assert left_over(folder) == ["broken"]
