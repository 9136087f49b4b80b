"""NV-Embed: the loader expects exactly the real checkpoint's tensors, and the folded head equals the unfolded one."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import gelu, layer_norm, softmax

from minivec.embedding.decoder import empty_decoder
from minivec.embedding.networks import nv_embed_tensors
from minivec.embedding.nv_embed import READ, UNIT, HeadShape, fold, head_shape
from minivec.embedding.packed import pack
from minivec.embedding.tokens import TokenizedText

# The real models' config.json in what shapes tensors; of the head it says no more than this.
REAL_CONFIG: dict[str, Any] = {
    "model_type": "nvembed",
    "hidden_size": 4096,
    "latent_attention_config": {"model_type": "latent_attention"},
    "text_config": {
        "model_type": "bidir_mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32000,
        "rope_theta": 10000.0,
        "rms_norm_eps": 1e-5,
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
    },
}
REAL_TENSORS = Path(__file__).parent.parent / "fixtures" / "nv_embed_tensors.json"


def test_the_real_checkpoints_tensors_are_the_expected_ones() -> None:
    decoder = empty_decoder(REAL_CONFIG["text_config"], causal=False, dtype=torch.float16)
    expected = nv_embed_tensors(decoder, head_shape(REAL_CONFIG))
    real = {name: tuple(shape) for name, shape in json.loads(REAL_TENSORS.read_text()).items()}
    assert expected == real
    assert len(expected) == 304
    assert sum(map(math.prod, expected.values())) == 7_851_016_192


def test_overridden_sizes_of_the_head_are_taken() -> None:
    told = {"num_latents_value": 8, "num_cross_heads": 4, "cross_dim_head": 16, "hidden_dim": 64}
    shape = head_shape({"latent_attention_config": told | {"output_normalize": False}})
    assert shape == HeadShape(width=64, latents=8, heads=4, head_width=16, inner=256, normalize=False)


def unfolded(stored: dict[str, torch.Tensor], shape: HeadShape, states: torch.Tensor) -> torch.Tensor:
    """The head of one text as the paper has it: every matrix applied to every token, then the mean."""

    def normed(rows: torch.Tensor, name: str) -> torch.Tensor:
        return layer_norm(rows, rows.shape[-1:], stored[f"{name}.weight"], stored[f"{name}.bias"])

    queries = normed(states, f"{READ}norm") @ stored[f"{READ}fn.to_q.weight"].T
    both = normed(stored["latents"], f"{READ}norm_context") @ stored[f"{READ}fn.to_kv.weight"].T
    keys, values = both.chunk(2, dim=-1)
    heads = []
    for head in range(shape.heads):
        part = slice(head * shape.head_width, (head + 1) * shape.head_width)
        scores = queries[:, part] @ keys[:, part].T / math.sqrt(shape.head_width)
        heads.append(softmax(scores, dim=-1) @ values[:, part])
    states = torch.cat(heads, dim=1) @ stored[f"{READ}fn.to_out.weight"].T + states
    value, gate = (
        normed(states, f"{UNIT}norm") @ stored[f"{UNIT}fn.net.0.weight"].T + stored[f"{UNIT}fn.net.0.bias"]
    ).chunk(2, dim=-1)
    unit = (value * gelu(gate)) @ stored[f"{UNIT}fn.net.2.weight"].T + stored[f"{UNIT}fn.net.2.bias"]
    return (unit + states).mean(dim=0)


def test_the_folded_head_equals_the_unfolded_one() -> None:
    shape = HeadShape(width=24, latents=6, heads=3, head_width=10, inner=96)  # a head's width is not the model's
    generator = torch.Generator().manual_seed(4)
    stored = {name: torch.randn(sizes, generator=generator) / 4 for name, sizes in shape.tensors().items()}
    lengths = (3, 7, 1)
    texts = [TokenizedText(ids=np.zeros(n, np.int32), total=n) for n in lengths]
    states = torch.randn(sum(lengths), shape.width, generator=generator)
    found = fold(stored, shape, dtype=torch.float32).vectors(states, pack(texts, torch.device("cpu")))
    expected = torch.stack([unfolded(stored, shape, rows) for rows in states.split(lengths)])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_folding_takes_the_large_matrices_away() -> None:
    shape = HeadShape(width=24, latents=6, heads=3, head_width=100, inner=96)
    stored = {name: torch.zeros(sizes) for name, sizes in shape.tensors().items()}
    head = fold(stored, shape, dtype=torch.bfloat16)
    assert head.scores.shape == head.mixed.shape == (3 * 6, 24)
    assert head.scores.dtype == head.down[0].dtype == torch.bfloat16
