"""Our decoders: tiny random models of each kind equal transformers' own classes, token by token and pooled."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minivec.embedding.checkpoint import read_checkpoint
from minivec.embedding.decoder import decoder_shape
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.networks import Target, load_decoder
from minivec.embedding.packed import pack
from minivec.embedding.rope import rope_of
from minivec.embedding.tokens import TokenizedText
from minivec.errors import ModelNotFound, WeightsMismatch
from tests.embedding.judges import load_judge
from tests.embedding.tiny_checkpoints import WIDTH, edit_json, write_old_layout

CPU = torch.device("cpu")
LENGTHS = (1, 9, 4, 33, 4)
DECODERS: dict[str, dict[str, Any]] = {
    "qwen3": {"head_dim": 16, "num_key_value_heads": 2},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 1, "sliding_window": None},
    "ministral3": {
        "head_dim": 8,
        "num_key_value_heads": 2,
        "is_causal": False,
        "rope_parameters": {
            "rope_type": "yarn",
            "rope_theta": 10000.0,
            "factor": 4.0,
            "original_max_position_embeddings": 8,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "mscale": 1.0,
            "mscale_all_dim": 0.5,
            "llama_4_scaling_beta": 0.3,
        },
    },
}


def texts() -> list[TokenizedText]:
    generator = np.random.default_rng(5)
    return [TokenizedText(ids=generator.integers(5, 60, n).astype(np.int32), total=n) for n in LENGTHS]


def tiny_folder(place: Path, model_type: str, **changes: Any) -> Path:
    """A random decoder whose norms differ from one another, so that mixing them up would show."""
    from safetensors.torch import load_file, save_file

    folder = write_old_layout(place / "model", model_type=model_type, config=DECODERS[model_type] | changes)
    tensors = load_file(folder / "model.safetensors")
    generator = torch.Generator().manual_seed(2)
    for name, tensor in tensors.items():
        if tensor.dim() == 1:
            tensors[name] = tensor + torch.rand(tensor.shape, generator=generator)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def judged_states(folder: Path, text: TokenizedText) -> torch.Tensor:
    from transformers import AutoModel

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while loading is not judged here
        model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.inference_mode():
        return model(input_ids=torch.from_numpy(text.ids.astype(np.int64))[None]).last_hidden_state[0]


@pytest.mark.parametrize("model_type", DECODERS)
def test_every_tokens_state_equals_transformers(tmp_path: Path, model_type: str) -> None:
    folder = tiny_folder(tmp_path, model_type)
    target = Target(device=CPU, dtype=torch.float32, progress=lambda done, total: None)
    network = load_decoder(read_checkpoint(folder, name="tiny"), target)
    batch = texts()
    with torch.inference_mode():
        states = network.decoder.states(pack(batch, CPU), network.attend)
    for text, ours in zip(batch, states.split(LENGTHS), strict=True):
        torch.testing.assert_close(ours, judged_states(folder, text), atol=5e-5, rtol=5e-5)


@pytest.mark.parametrize("model_type", ["qwen3", "llama"])
def test_last_token_pooling_equals_sentence_transformers(tmp_path: Path, model_type: str) -> None:
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    prompts = {"query": "Instruct: find\nQuery:", "document": ""}
    folder = write_old_layout(
        tmp_path / "model", model_type=model_type, config=DECODERS[model_type], pooling=pooling, prompts=prompts
    )
    words = ["", "one", "the query", "x" * 30, "a b c d e f g h i j k l m n o p q r s t u v w x y z"]
    engine, judge = Engine(EngineOptions(device="cpu")), load_judge(folder)
    embedder = engine.embedder(str(folder))
    queries = embedder.embed(words, input_type="query", truncate="end").vectors
    passages = embedder.embed(words, input_type="passage", truncate="end").vectors
    engine.close()
    np.testing.assert_allclose(queries, judge.encode_query(words), atol=5e-6)
    np.testing.assert_allclose(passages, judge.encode_document(words), atol=5e-6)


def test_a_prefix_on_tensor_names_is_read_past(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = write_old_layout(tmp_path / "model", model_type="llama", config=DECODERS["llama"])
    target = Target(device=CPU, dtype=torch.float32, progress=lambda done, total: None)
    before = load_decoder(read_checkpoint(folder, name="tiny"), target)
    tensors = load_file(folder / "model.safetensors")
    renamed = {f"model.{name}": tensor for name, tensor in tensors.items()} | {"lm_head.weight": torch.zeros(3)}
    save_file(renamed, folder / "model.safetensors")
    after = load_decoder(read_checkpoint(folder, name="tiny"), target)
    for name, slot in before.decoder.slots().items():
        assert torch.equal(slot, after.decoder.slots()[name]), name


def test_a_tensor_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    folder = write_old_layout(
        tmp_path / "model", model_type="llama", config=DECODERS["llama"] | {"attention_bias": True}
    )
    with pytest.raises(WeightsMismatch, match=r"self_attn\.\w_proj\.bias"):
        Engine(EngineOptions(device="cpu")).embedder(str(folder))


def test_a_window_limits_the_tokens_of_a_causal_model(tmp_path: Path) -> None:
    folder = write_old_layout(tmp_path / "model", model_type="mistral", config=DECODERS["mistral"])
    edit_json(folder / "config.json", sliding_window=16)
    assert read_checkpoint(folder, name="tiny").spec.max_tokens == 16


@pytest.mark.parametrize(
    "settings",
    [
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": 4.0},
        {
            "rope_type": "llama3",
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 128},
        {"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 128, "truncate": False},
        {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64, "attention_factor": 0.7},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_ropes_equal_transformers(settings: dict[str, Any]) -> None:
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    config = LlamaConfig(
        hidden_size=64,
        num_attention_heads=2,
        max_position_embeddings=512,
        rope_parameters={"rope_theta": 5000.0, **settings},
    )
    judge = LlamaRotaryEmbedding(config)
    ours = rope_of({"rope_parameters": {"rope_theta": 5000.0, **settings}, "max_position_embeddings": 512}, 32)
    torch.testing.assert_close(ours.frequencies, judge.inv_freq)
    assert ours.scale == pytest.approx(judge.attention_scaling)
    old_style = rope_of({"rope_theta": 5000.0, "rope_scaling": settings, "max_position_embeddings": 512}, 32)
    torch.testing.assert_close(old_style.frequencies, judge.inv_freq)


def test_an_unknown_rope_or_activation_is_named() -> None:
    with pytest.raises(ModelNotFound, match="longrope"):
        rope_of({"rope_scaling": {"rope_type": "longrope"}}, 16)
    with pytest.raises(ModelNotFound, match="gelu"):
        decoder_shape({"hidden_act": "gelu"}, causal=True)
