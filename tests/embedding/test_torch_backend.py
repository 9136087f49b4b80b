"""Tiny random models in every layout and family: vectors equal those of sentence-transformers loading the same folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minivec.embedding.backend import DeviceLost, OutOfMemory
from minivec.embedding.encoder import load_encoder
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import Embedded, InputType
from minivec.embedding.model import LoadedModel, load_model, open_checkpoint
from minivec.embedding.networks import Target
from minivec.embedding.packed import pack
from minivec.embedding.tokens import TokenizedText
from minivec.errors import EmbeddingFailed, InvalidInput, WeightsMismatch
from tests.embedding.judges import cosines, load_judge
from tests.embedding.tiny_checkpoints import WIDTH, edit_json, write_new_layout, write_old_layout

TEXTS = ["", "one", "the query", "A Mixed, Case!", "x" * 30, "a b c d e f g h i j k l m n o p q r s t u v w x y z " * 2]


def embed(folder: Path, texts: Sequence[str] = TEXTS, input_type: InputType = "passage", **options: Any) -> Embedded:
    engine = Engine(EngineOptions(**options))
    try:
        return engine.embedder(str(folder)).embed(texts, input_type=input_type, truncate="end")
    finally:
        engine.close()


def assert_equal_to_judge(folder: Path) -> None:
    ours, judged = embed(folder).vectors, load_judge(folder).encode(TEXTS)
    assert ours.shape == judged.shape
    np.testing.assert_allclose(ours, judged, atol=2e-6)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "mpnet", "roberta", "xlm-roberta", "modernbert"])
def test_each_model_type_equals_the_judge(tmp_path: Path, model_type: str) -> None:
    assert_equal_to_judge(write_old_layout(tmp_path / "model", model_type=model_type))


@pytest.mark.parametrize(
    "mode", ["cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
)
def test_each_old_pooling_switch_equals_the_judge(tmp_path: Path, mode: str) -> None:
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": False, f"pooling_mode_{mode}": True}
    assert_equal_to_judge(write_old_layout(tmp_path / "model", pooling=pooling, normalize=False))


@pytest.mark.parametrize("pooling", ["cls", "mean", "lasttoken", ("cls", "mean")], ids=str)
def test_the_layout_the_judge_writes_itself_is_read(tmp_path: Path, pooling: Any) -> None:
    folder = write_new_layout(tmp_path / "model", pooling=pooling)
    assert_equal_to_judge(folder)
    assert open_checkpoint(str(folder)).spec.max_tokens == load_judge(folder).max_seq_length == 24


@pytest.mark.parametrize("activation", ["Identity", "Tanh"])
def test_dense_layers_equal_the_judges(tmp_path: Path, activation: str) -> None:
    folder = write_new_layout(tmp_path / "model", dense=((WIDTH, 48, activation), (48, 16, "Identity")))
    assert_equal_to_judge(folder)
    spec = open_checkpoint(str(folder)).spec
    assert spec.dimension == 16
    (folder / "3_Dense" / "model.safetensors").write_bytes((folder / "2_Dense" / "model.safetensors").read_bytes())
    assert open_checkpoint(str(folder)).spec.fingerprint != spec.fingerprint


@pytest.mark.parametrize("window", [2, 8])
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "xlm-roberta", "modernbert"])
def test_batches_without_padding_give_the_same_vectors(tmp_path: Path, model_type: str, window: int) -> None:
    config = {"local_attention": window, "global_attn_every_n_layers": 2} if model_type == "modernbert" else None
    folder = write_old_layout(tmp_path / "model", model_type=model_type, config=config)
    checkpoint = open_checkpoint(str(folder))
    target = Target(device=torch.device("cpu"), dtype=torch.float32, progress=lambda done, total: None)
    packed, padded = load_encoder(checkpoint, target, packed=True), load_encoder(checkpoint, target)
    assert packed.attend is not None
    assert padded.attend is None
    generator = np.random.default_rng(1)
    texts = [TokenizedText(ids=generator.integers(5, 60, n).astype(np.int32), total=n) for n in (1, 30, 7, 12, 7)]
    with torch.inference_mode():
        batch = pack(texts, torch.device("cpu"))
        torch.testing.assert_close(packed.vectors(batch), padded.vectors(batch), atol=2e-6, rtol=0)


def test_attention_that_cannot_be_replaced_stays_padded(tmp_path: Path) -> None:
    checkpoint = open_checkpoint(str(write_old_layout(tmp_path / "model", model_type="mpnet")))
    target = Target(device=torch.device("cpu"), dtype=torch.float32, progress=lambda done, total: None)
    assert load_encoder(checkpoint, target, packed=True).attend is None


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_old_layout(tmp_path / "model")
    monkeypatch.setattr("minivec.embedding.memory.free_bytes", lambda device: 1000)
    with pytest.raises(EmbeddingFailed, match="GB free"):
        embed(folder)


def test_two_old_switches_are_concatenated(tmp_path: Path) -> None:
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    folder = write_old_layout(tmp_path / "model", pooling=pooling)
    assert_equal_to_judge(folder)
    assert embed(folder).vectors.shape == (len(TEXTS), 2 * WIDTH)


def test_do_lower_case_lowers_before_a_cased_tokenizer(tmp_path: Path) -> None:
    settings = {"max_seq_length": 24, "do_lower_case": True}
    folder = write_old_layout(tmp_path / "model", cased=True, settings=settings)
    assert_equal_to_judge(folder)
    upper, lower = embed(folder, ["ABC Def", "abc def"]).vectors
    assert (upper == lower).all()


def test_without_do_lower_case_a_cased_tokenizer_tells_case_apart(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model", cased=True)
    assert_equal_to_judge(folder)
    upper, lower = embed(folder, ["ABC", "abc"]).vectors
    assert np.abs(upper - lower).max() > 0.01


@pytest.mark.parametrize("include_prompt", [True, False])
def test_prompts_equal_the_judges_encode_query_and_encode_document(tmp_path: Path, include_prompt: bool) -> None:
    pooling = {"embedding_dimension": WIDTH, "pooling_mode": "mean", "include_prompt": include_prompt}
    prompts = {"query": "query: ", "document": "the passage: "}
    folder = write_old_layout(tmp_path / "model", pooling=pooling, prompts=prompts)
    judge = load_judge(folder)
    np.testing.assert_allclose(embed(folder, input_type="query").vectors, judge.encode_query(TEXTS), atol=2e-6)
    np.testing.assert_allclose(embed(folder, input_type="passage").vectors, judge.encode_document(TEXTS), atol=2e-6)


def test_an_unset_limit_is_the_number_of_positions(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model", settings={"do_lower_case": False})
    note = embed(folder, ["a " * 60]).notes[0]
    assert (note.tokens, note.cut) == (62, 22)
    assert_equal_to_judge(folder)


def test_bfloat16_is_near_float32(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    half = embed(folder, dtype="bfloat16").vectors
    assert half.dtype == np.float32
    assert cosines(half, embed(folder).vectors).min() > 0.99


def test_a_device_that_is_not_here_is_refused(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    for device in ("cuda:99", "no such device"):
        with pytest.raises(InvalidInput, match="device"):
            embed(folder, device=device)


def test_threads_are_torchs_threads(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        embed(write_old_layout(tmp_path / "model"), threads=1)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(WeightsMismatch, match="cannot be loaded"):
        embed(folder)


def test_weights_that_do_not_fit_the_config_are_refused(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model")
    edit_json(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(WeightsMismatch, match=r"do not fit config\.json"):
        embed(folder)


class Refusing:
    """Stands in for the network and fails as torch does."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def vectors(self, batch: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemory),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), OutOfMemory),
        (RuntimeError("MPS backend out of memory"), OutOfMemory),
        (RuntimeError("CUDA error: device-side assert triggered"), DeviceLost),
        (RuntimeError("some other trouble"), RuntimeError),
        (IndexError("index out of range"), IndexError),
    ],
)
def test_torchs_errors_become_the_contracts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    model: LoadedModel = load_model(str(write_old_layout(tmp_path / "model")), EngineOptions())
    monkeypatch.setattr(model.backend, "network", Refusing(raised))
    with pytest.raises(expected) as caught:
        model.backend.forward([TokenizedText(ids=np.array([2, 3], np.int32), total=2)])
    assert type(caught.value) is expected
