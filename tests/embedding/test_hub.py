"""The hub's cache: found as its own library lays it out, never asked over the network, and what is missing is explained."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from minivec.embedding import hub
from minivec.embedding.model import model_key, open_checkpoint
from minivec.errors import ModelNotFound, WeightsMismatch
from tests.embedding.nvidia_fixtures import fixture
from tests.embedding.tiny_checkpoints import edit_json, write_old_layout


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cached(cache: Path, repository: str, source: Path, revision: str = "abc", *, main: bool = True) -> Path:
    """A snapshot as huggingface_hub leaves it."""
    kept = cache / f"models--{repository.replace('/', '--')}"
    shutil.copytree(source, kept / "snapshots" / revision)
    if main:
        (kept / "refs").mkdir(exist_ok=True)
        (kept / "refs" / "main").write_text(revision)
    return kept / "snapshots" / revision


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HF_HUB_CACHE": "/a"}, "/a"),
        ({"HF_HUB_CACHE": "/a", "HF_HOME": "/b"}, "/a"),
        ({"HF_HOME": "/b"}, "/b/hub"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/huggingface/hub"),
        ({}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_the_cache_lies_where_the_hubs_library_puts_it(environ: dict[str, str], expected: str) -> None:
    assert str(hub.cache_folder(environ)) == expected


def test_main_is_the_snapshot_that_is_used(cache: Path, tmp_path: Path) -> None:
    source = write_old_layout(tmp_path / "model")
    cached(cache, "acme/tiny", source, "old")
    new = cached(cache, "acme/tiny", source, "new")
    cached(cache, "acme/tiny", source, "other", main=False)
    assert hub.snapshot("acme/tiny") == new
    assert hub.repository_of(new) == "acme/tiny"


def test_a_snapshot_without_main_is_found_and_other_names_are_not(cache: Path, tmp_path: Path) -> None:
    only = cached(cache, "acme/tiny", write_old_layout(tmp_path / "model"), main=False)
    assert hub.snapshot("acme/tiny") == only
    for name in ("acme/huge", "tiny", "../acme/tiny", "", "a/b/c"):
        assert hub.snapshot(name) is None


def test_any_repository_in_the_cache_loads_by_its_name(cache: Path, tmp_path: Path) -> None:
    folder = cached(cache, "acme/tiny", write_old_layout(tmp_path / "model"))
    assert open_checkpoint("acme/tiny").root == folder
    assert model_key("acme/tiny") == model_key(str(folder))


def test_a_catalogued_name_in_any_spelling_finds_its_repository(cache: Path) -> None:
    given = fixture("llama_bidirectional")
    folder = cached(cache, "nvidia/llama-nemotron-embed-1b-v2", given.folder)
    edit_json(folder / "1_Pooling" / "config.json", word_embedding_dimension=2048)
    for name in (
        "nvidia/llama-nemotron-embed-1b-v2",
        "nvidia/llama-3.2-nv-embedqa-1b-v2",
        "NVIDIA/Llama-Nemotron-Embed-1B-v2",
    ):
        card = open_checkpoint(name).spec.card
        assert card.name == "nvidia/llama-nemotron-embed-1b-v2" == model_key(name)
        assert card.dimensions == (384, 512, 768, 1024)
        assert card.asymmetric
        assert len(card.fingerprint) == 32


def test_a_folder_that_holds_another_model_is_refused(cache: Path) -> None:
    cached(cache, "nvidia/llama-nemotron-embed-1b-v2", fixture("llama_bidirectional").folder)
    with pytest.raises(WeightsMismatch, match="dimension 64 instead of 2048"):
        open_checkpoint("nvidia/llama-nemotron-embed-1b-v2")


def test_what_was_not_fetched_says_how_to_fetch_it(cache: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        open_checkpoint("nvidia/nv-embed-v1")
    assert str(cache) in caught.value.message
    for part in ("hf download nvidia/NV-Embed-v1", "gated", "https://huggingface.co/nvidia/NV-Embed-v1", "CC-BY-NC"):
        assert part in caught.value.hint


def test_a_half_fetched_repository_says_how_to_fetch_the_rest(cache: Path) -> None:
    folder = cached(cache, "nvidia/NV-Embed-v2", fixture("nv_embed").folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"model\.safetensors") as caught:
        open_checkpoint("nvidia/nv-embed-v2")
    assert "hf download nvidia/NV-Embed-v2" in caught.value.hint


def test_a_model_sold_elsewhere_says_where(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound) as caught:
        open_checkpoint("nvidia/nv-embedqa-e5-v5", tmp_path)
    assert "NGC" in caught.value.hint


def test_the_folder_of_models_comes_before_the_cache(cache: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    cached(cache, "nvidia/NV-Embed-v2", fixture("nv_embed").folder)
    for place in ("nv-embed-v2", "nvidia/nv-embed-v2"):
        shutil.copytree(fixture("nv_embed").folder, models / place)
        edit_json(models / place / "1_Pooling" / "config.json", word_embedding_dimension=4096)
        assert open_checkpoint("nvidia/nv-embed-v2", models).root == models / place
