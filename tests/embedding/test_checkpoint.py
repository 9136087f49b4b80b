"""Checkpoints: every missing, broken or unsafe file is named, and nothing from a folder is ever run."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from minivec.embedding.catalog import CATALOG
from minivec.embedding.checkpoint import read_checkpoint
from minivec.embedding.prompts import Prompts
from minivec.embedding.weights import hash_weights
from minivec.errors import ModelNotFound
from tests.embedding.nvidia_fixtures import fixture
from tests.embedding.tiny_checkpoints import WIDTH, edit_json, write_json, write_old_layout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_old_layout(tmp_path / "model")


def refusal(folder: Path) -> ModelNotFound:
    with pytest.raises(ModelNotFound) as caught:
        read_checkpoint(folder, name="tiny")
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "missing", ["modules.json", "config.json", "1_Pooling/config.json", "model.safetensors", "tokenizer.json"]
)
def test_a_missing_file_is_named(folder: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert str(folder / missing) in refusal(folder).message


@pytest.mark.parametrize("broken", ["modules.json", "config.json", "1_Pooling/config.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["{", "\x00", "3"])
def test_a_broken_file_is_named(folder: Path, broken: str, content: str) -> None:
    (folder / broken).write_text(content)
    assert str(folder / broken) in refusal(folder).message


@pytest.mark.parametrize("unsafe", ["pytorch_model.bin", "model.pt", "model.ckpt", "model.pkl"])
def test_a_format_that_can_hide_code_is_refused_unopened(folder: Path, unsafe: str) -> None:
    (folder / "model.safetensors").rename(folder / unsafe)
    assert f"{unsafe} can hide code" in refusal(folder).message


def test_a_model_that_wants_its_own_code_is_refused(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModel": "modeling.Evil"})
    (folder / "modeling.py").write_text("raise SystemExit('this code ran')")
    assert "never runs" in refusal(folder).message


def test_an_unknown_architecture_is_named(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="t5")
    error = refusal(folder)
    assert "'t5'" in error.message
    assert "roberta" in error.hint


def test_an_unknown_module_is_named(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write_json(folder / "modules.json", [*modules, {"idx": 3, "path": "3_Router", "type": "x.y.Router"}])
    assert "Router" in refusal(folder).message


def test_a_list_without_pooling_is_refused(folder: Path) -> None:
    write_json(folder / "modules.json", [{"idx": 0, "path": "", "type": "x.Transformer"}])
    assert "Pooling" in refusal(folder).message


@pytest.mark.parametrize("mode", ["median", ["mean", "median"], []])
def test_an_unknown_pooling_is_named(folder: Path, mode: object) -> None:
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": WIDTH, "pooling_mode": mode})
    assert "pooling" in refusal(folder).message


@pytest.mark.parametrize("dimension", [None, 0, "many"])
def test_pooling_must_say_the_dimension(folder: Path, dimension: object) -> None:
    write_json(folder / "1_Pooling" / "config.json", {"embedding_dimension": dimension, "pooling_mode": "mean"})
    assert "how long" in refusal(folder).message


def test_an_old_folder_may_keep_its_transformer_apart(folder: Path) -> None:
    apart = folder / "0_Transformer"
    apart.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(apart / name)
    (folder / "sentence_bert_config.json").rename(apart / "sentence_roberta_config.json")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write_json(folder / "modules.json", modules)
    read = read_checkpoint(folder, name="tiny")
    assert read.folder == apart
    assert read.spec.max_tokens == 24


def test_the_limit_never_passes_the_positions(folder: Path) -> None:
    edit_json(folder / "sentence_bert_config.json", max_seq_length=4096)
    assert read_checkpoint(folder, name="tiny").spec.max_tokens == 40


def test_robertas_first_positions_do_not_count(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model", model_type="roberta", settings={"do_lower_case": False})
    edit_json(folder / "config.json", pad_token_id=1)
    assert read_checkpoint(folder, name="tiny").spec.max_tokens == 38


def test_shards_are_hashed_together_and_each_must_be_there(folder: Path) -> None:
    for shard, content in (("a.safetensors", b"1"), ("b.safetensors", b"2")):
        (folder / shard).write_bytes(content)
    (folder / "model.safetensors").unlink()
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}})
    whole = hash_weights(folder)
    (folder / "b.safetensors").write_bytes(b"3")
    assert hash_weights(folder) != whole
    (folder / "b.safetensors").unlink()
    assert "b.safetensors" in refusal(folder).message


def test_shards_outside_the_folder_are_not_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    write_json(folder / "model.safetensors.index.json", {"weight_map": {"x": "../outside.safetensors"}})
    assert "outside.safetensors" in refusal(folder).message


def test_nvidias_pooling_key_stands_in_for_module_files(folder: Path) -> None:
    (folder / "modules.json").unlink()
    edit_json(folder / "config.json", pooling="avg")
    spec = read_checkpoint(folder, name="tiny").spec
    assert (spec.pooling, spec.normalize, spec.dimension) == (("mean",), True, WIDTH)
    edit_json(folder / "config.json", pooling="colbert")
    assert "'colbert'" in refusal(folder).message


def test_a_catalogued_model_needs_no_module_files(folder: Path) -> None:
    (folder / "modules.json").unlink()
    catalogued = replace(CATALOG[0], pooling=("cls",), dimension=WIDTH)
    spec = read_checkpoint(folder, name="tiny", catalogued=catalogued).spec
    assert (spec.pooling, spec.normalize, spec.dimension) == (("cls",), True, WIDTH)


def test_our_own_architectures_need_no_code_of_the_repository(tmp_path: Path) -> None:
    given = fixture("nv_embed")
    assert "auto_map" in json.loads((given.folder / "config.json").read_text())
    spec = read_checkpoint(given.folder, name="tiny").spec
    assert spec.prompts.query == given.inputs["instruction"]
    assert (spec.pooling, spec.pool_prompt, spec.max_tokens) == (("mean",), False, 32768)


def test_prompts_of_the_files_come_before_the_familys(tmp_path: Path) -> None:
    shutil.copytree(fixture("llama_bidirectional").folder, tmp_path / "model")
    write_json(tmp_path / "model" / "config_sentence_transformers.json", {"prompts": {"query": "ask: "}})
    spec = read_checkpoint(tmp_path / "model", name="tiny").spec
    assert spec.prompts == Prompts(query="ask: ", once=True)
    (tmp_path / "model" / "config_sentence_transformers.json").unlink()
    spec = read_checkpoint(tmp_path / "model", name="tiny").spec
    assert spec.prompts == Prompts(query="query: ", passage="passage: ", once=True)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"activation_function": "os.system"}, "'system'"),
        ({"activation_function": "torch.nn.modules.activation.Tanh", "use_residual": True}, "residual"),
        ({"module_input_name": "token_embeddings"}, "single tokens"),
    ],
)
def test_a_dense_layer_minivec_does_not_run_is_refused(folder: Path, changes: dict[str, object], named: str) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write_json(folder / "modules.json", [*modules[:2], {"idx": 2, "path": "2_Dense", "type": "x.Dense"}])
    write_json(folder / "2_Dense" / "config.json", {"in_features": WIDTH, "out_features": 8} | changes)
    assert named in refusal(folder).message


def test_modules_in_another_order_are_refused(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    write_json(folder / "modules.json", [modules[0], modules[2], modules[1]])
    assert "in the order Transformer, Normalize, Pooling" in refusal(folder).message
