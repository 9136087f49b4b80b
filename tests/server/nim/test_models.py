"""Which models may be named: loaded ones, catalogued ones at hand, and folders of the folder of models; never a path."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from minivec.embedding.interface import ModelCard
from minivec.errors import ModelNotFound
from minivec.settings import Settings
from minivec.types.collection import BUNDLED_MODEL
from minivec_server.nim.errors import NimRefusal
from minivec_server.nim.models import Models
from tests.server.nim.embedders import Source


def source_of(*names: str) -> Source:
    return Source([ModelCard(name=name, fingerprint=name, dimension=4, max_tokens=8) for name in names])


def ids(models: Models) -> list[str]:
    return [served.id for served in models.all()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mine", "owner/theirs", "mine/1_Pooling", ".hidden"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "config.json").write_text(json.dumps({}))
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_loaded_models_come_first_then_what_is_at_hand(folder: Path) -> None:
    models = Models(source_of("loaded"), Settings(models=str(folder)))
    assert ids(models)[0] == "loaded"
    assert BUNDLED_MODEL in ids(models)
    assert ids(models)[-2:] == ["mine", "owner/theirs"]


def test_a_model_in_the_folder_of_models_is_found_and_nothing_beside_it_is(folder: Path) -> None:
    models = Models(source_of(), Settings(models=str(folder / "owner")))
    assert models.find("theirs")[0].name == "theirs"
    for name in ("../mine", str(folder / "mine"), "empty", ".", "", "theirs/..", ".hidden"):
        with pytest.raises(NimRefusal) as refused:
            models.find(name)
        assert refused.value.status == 404


def test_a_catalogued_model_whose_files_are_not_here_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object) -> Path:
        raise ModelNotFound("not here")

    monkeypatch.setattr("minivec.embedding.catalog.folder_of", nowhere)
    models = Models(source_of(), Settings())
    assert ids(models) == []
    with pytest.raises(NimRefusal, match="Models of this server: none"):
        models.find(BUNDLED_MODEL)


def test_a_name_in_any_case_is_the_same_model() -> None:
    models = Models(source_of("Owner/Name"), Settings())
    assert models.find("owner/name-QUERY".replace("QUERY", "query")) == (models.all()[0], "query")


def test_a_name_that_ends_like_a_suffix_is_a_name_first() -> None:
    models = Models(source_of("about-query", "about"), Settings())
    assert models.find("about-query")[0].id == "about-query"
    assert models.find("about-query-query")[0].id == "about-query"
    assert models.find("about-passage") == (models.find("about")[0], "passage")


def test_chosen_models_are_the_only_ones(folder: Path) -> None:
    models = Models(source_of("loaded"), Settings(models=str(folder)), only=["mine"])
    assert ids(models) == ["mine"]
    with pytest.raises(NimRefusal):
        models.find("loaded")


def test_a_folder_is_known_by_its_name_alone(folder: Path) -> None:
    models = Models(source_of(), Settings(), only=[str(folder / "mine") + "/"])
    served, _ = models.find("mine-passage")
    assert served.id == "mine"
    assert served.name == str(folder / "mine") + "/"


def test_a_source_that_cannot_say_how_it_is_counts_as_ready() -> None:
    class Silent:
        embedder = close = None

    assert Models(Silent(), Settings()).health().ready  # type: ignore[arg-type]
