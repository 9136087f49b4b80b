"""NVIDIA's architectures: vectors, token ids and inner states are those of NVIDIA's own code, alone and in any batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import InputType
from minivec.embedding.model import LoadedModel
from minivec.embedding.networks import NVEmbedNetwork
from minivec.embedding.packed import pack
from minivec.embedding.torch_backend import TorchBackend
from minivec.errors import TextTooLong
from tests.embedding.judges import cosines, in_random_batches
from tests.embedding.nvidia_fixtures import (
    NAMES,
    TOLERANCE,
    Fixture,
    assert_parity,
    fixture,
    limited_copy,
    loaded,
    read,
    vectors,
)
from tests.embedding.tiny_checkpoints import edit_json

CASES: list[InputType] = ["query", "passage"]


@pytest.fixture(scope="module", params=NAMES)
def given(request: pytest.FixtureRequest) -> Fixture:
    return fixture(request.param)


@pytest.fixture(scope="module")
def model(given: Fixture) -> LoadedModel:
    return loaded(given.folder)


@pytest.mark.parametrize("case", CASES)
def test_token_ids_equal_the_references(given: Fixture, model: LoadedModel, case: InputType) -> None:
    assert [text.ids.tolist() for text in read(model, given.texts, case)] == given.inputs[f"{case}_input_ids"]


@pytest.mark.parametrize("case", CASES)
def test_each_text_alone_equals_the_reference(given: Fixture, model: LoadedModel, case: InputType) -> None:
    for text, expected in zip(given.texts, given.expected[case], strict=True):
        np.testing.assert_allclose(vectors(model, [text], case)[0], expected, atol=TOLERANCE, rtol=0, err_msg=text)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_random_batches_equal_the_reference(given: Fixture, model: LoadedModel, case: InputType, seed: int) -> None:
    texts = given.texts * 4
    for batch in in_random_batches(texts, seed=seed):
        found = vectors(model, [texts[i] for i in batch], case)
        expected = given.expected[case][[i % len(given.texts) for i in batch]]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_truncated_texts_equal_the_reference(given: Fixture, tmp_path: Path, case: InputType) -> None:
    limited = loaded(limited_copy(given, tmp_path / "limited"))
    assert limited.card.max_tokens == given.inputs["truncated_max_length"]
    texts = read(limited, given.texts, case)
    assert [text.ids.tolist() for text in texts] == given.inputs[f"{case}_truncated_input_ids"]
    assert any(text.cut for text in texts)
    found = limited.backend.forward(texts)
    np.testing.assert_allclose(found, given.expected[f"{case}_truncated"], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_stays_near(given: Fixture, case: InputType) -> None:
    half = loaded(given.folder, dtype="bfloat16")
    assert 1 - cosines(vectors(half, given.texts, case), given.expected[case]).min() < 2e-2


def test_the_engine_gives_the_same_vectors(given: Fixture) -> None:
    engine = Engine(EngineOptions(device="cpu", batch_tokens=64))
    embedded = engine.embedder(str(given.folder)).embed(given.texts, input_type="query")
    np.testing.assert_allclose(embedded.vectors, given.expected["query"], atol=TOLERANCE, rtol=0)
    assert [note.tokens for note in embedded.notes] == [len(ids) for ids in given.inputs["query_input_ids"]]
    engine.close()


@pytest.mark.parametrize("name", ["llama_bidirectional", "ministral_bidirectional"])
def test_a_prefix_is_not_put_twice(name: str) -> None:
    model = loaded(fixture(name).folder)
    texts = ["hello world", "query: hello world", "QUERY: hello world"]
    ids = [text.ids.tolist() for text in read(model, texts, "query")]
    assert ids[0] == ids[1] != ids[2]
    assert ids[2] == model.tokenizer.ids([texts[2]])[0]


def test_nv_embeds_inner_states_equal_the_references() -> None:
    given = fixture("nv_embed")
    model = loaded(given.folder)
    assert isinstance(model.backend, TorchBackend)
    network = model.backend.network
    assert isinstance(network, NVEmbedNetwork)
    texts = read(model, [given.texts[int(given.inputs["debug_text_index"])]], "query")
    with torch.inference_mode():
        states = network.decoder.states(pack(texts, torch.device("cpu")), network.attend)
    np.testing.assert_allclose(states, given.expected["debug_last_hidden_state"], atol=TOLERANCE, rtol=0)


def test_nv_embeds_instruction_is_masked_by_its_token_count() -> None:
    given = fixture("nv_embed")
    model = loaded(given.folder)
    count = given.inputs["instruction_token_count"]
    assert {text.unpooled for text in read(model, given.texts, "query")} == {count}
    assert {text.unpooled for text in read(model, given.texts, "passage")} == {0}


def test_a_limit_the_instruction_fills_is_an_error_and_no_number(tmp_path: Path) -> None:
    given = fixture("nv_embed")
    folder = limited_copy(given, tmp_path / "limited")
    edit_json(folder / "sentence_bert_config.json", max_seq_length=given.inputs["instruction_token_count"])
    engine = Engine(EngineOptions(device="cpu"))
    embedded = engine.embedder(str(folder)).embed(["hello world"], input_type="query", truncate="end")
    assert isinstance(embedded.notes[0].error, TextTooLong)
    assert not embedded.vectors.any()
    engine.close()


def test_a_limit_of_one_token_more_is_a_vector(tmp_path: Path) -> None:
    given = fixture("nv_embed")
    folder = limited_copy(given, tmp_path / "limited")
    edit_json(folder / "sentence_bert_config.json", max_seq_length=given.inputs["instruction_token_count"] + 1)
    assert np.isfinite(vectors(loaded(folder), ["hello world"], "query")).all()


def test_the_sharded_checkpoint_of_each_architecture_is_the_same_model(given: Fixture, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = limited_copy(given, tmp_path / "sharded")
    edit_json(folder / "tokenizer_config.json", model_max_length=8192)
    if (folder / "sentence_bert_config.json").is_file():
        edit_json(folder / "sentence_bert_config.json", max_seq_length=8192)
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
    weight_map = {name: shards[number % 3] for number, name in enumerate(sorted(tensors))}
    for shard in shards:
        save_file({name: tensors[name] for name in tensors if weight_map[name] == shard}, folder / shard)
    (folder / "model.safetensors.index.json").write_text("{}")
    edit_json(folder / "model.safetensors.index.json", metadata={"total_size": 1}, weight_map=weight_map)
    assert_parity(loaded(folder), given)
