"""Pooling: every mode equal to sentence-transformers' own module on random token vectors."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch

from minivec.embedding.packed import pack
from minivec.embedding.pooling import normalize, pool
from minivec.embedding.tokens import TokenizedText

MODES = ("cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
WIDTH = 8


def judge(states: torch.Tensor, mask: torch.Tensor, modes: tuple[str, ...], prompt: int = 0) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what other libraries say while they are imported is not judged here
        from sentence_transformers.sentence_transformer.modules import Pooling

    module = Pooling(WIDTH, pooling_mode=modes, include_prompt=not prompt)
    features = {"token_embeddings": states, "attention_mask": mask.long(), "prompt_length": prompt}
    return module(features)["sentence_embedding"]


def ours(states: torch.Tensor, mask: torch.Tensor, modes: list[str], prompt: int = 0) -> torch.Tensor:
    """The same batch without its padding, pooled by us."""
    lengths = mask.sum(1).tolist()
    texts = [TokenizedText(ids=np.zeros(n, np.int32), total=n, unpooled=prompt) for n in lengths]
    return pool(states[mask], pack(texts, torch.device("cpu")), modes)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    states = torch.randn(5, 9, WIDTH, generator=generator)
    lengths = torch.tensor([9, 4, 5, 7, 9])
    return states, torch.arange(9) < lengths.unsqueeze(1)


@pytest.mark.parametrize("modes", [(mode,) for mode in MODES] + list(itertools.combinations(MODES, 2)), ids="+".join)
def test_modes_equal_the_judges(modes: tuple[str, ...]) -> None:
    states, mask = batch()
    judged = judge(states, mask, tuple(sorted(modes, key=MODES.index)))
    torch.testing.assert_close(ours(states, mask, sorted(modes, key=MODES.index)), judged)


@pytest.mark.parametrize("mode", MODES)
def test_leaving_out_the_prompt_equals_the_judge(mode: str) -> None:
    states, mask = batch()
    torch.testing.assert_close(ours(states, mask, [mode], prompt=3), judge(states, mask, (mode,), prompt=3))


def test_half_precision_is_pooled_in_float32() -> None:
    states, mask = batch()
    pooled = ours(states.bfloat16(), mask, ["mean"])
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, ours(states, mask, ["mean"]), atol=2e-2, rtol=0)


def test_normalize_gives_unit_length_and_keeps_zeros() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(normalize(vectors), torch.nn.functional.normalize(vectors))
    assert normalize(vectors)[1].tolist() == [0.0, 0.0]
