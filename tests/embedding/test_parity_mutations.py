"""Single mistakes made on purpose: parity with the fixtures catches each of them, so that parity means something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from minivec.embedding.decoder import Decoder
from minivec.embedding.model import LoadedModel
from minivec.embedding.nv_embed import LatentHead
from minivec.embedding.rope import Rope
from tests.embedding.nvidia_fixtures import assert_parity, fixture, loaded

Mutation = Callable[[LoadedModel], LoadedModel]


def network_of(model: LoadedModel) -> Any:
    return model.backend.network


def causal_mask(model: LoadedModel) -> LoadedModel:
    decoder: Decoder = network_of(model).decoder
    decoder.shape = replace(decoder.shape, causal=True)
    return model


def sliding_window(model: LoadedModel) -> LoadedModel:
    network = network_of(model)
    whole = network.attend
    network.attend = lambda *states, causal: whole(*states, causal=causal, window=16)
    return model


def rope_unscaled(model: LoadedModel) -> LoadedModel:
    decoder: Decoder = network_of(model).decoder
    pairs = torch.arange(len(decoder.rope.frequencies)) / len(decoder.rope.frequencies)
    decoder.rope = Rope(500_000.0**-pairs)
    return model


def prompts(**changes: Any) -> Mutation:
    return lambda model: replace(model, prompts=replace(model.prompts, **changes))


def without_final_norm(model: LoadedModel) -> LoadedModel:
    network_of(model).decoder.norm.fill_(1.0)
    return model


def last_token(model: LoadedModel) -> LoadedModel:
    network = network_of(model)
    network._spec = replace(network._spec, pooling=("lasttoken",))
    return model


def instruction_pooled(model: LoadedModel) -> LoadedModel:
    return replace(model, pool_prompt=True)


def head(change: Callable[[LatentHead], LatentHead]) -> Mutation:
    def mutate(model: LoadedModel) -> LoadedModel:
        network_of(model).head = change(network_of(model).head)
        return model

    return mutate


def swapped(value_gate: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    weight, bias = (torch.cat(part.chunk(2)[::-1]) for part in value_gate)
    return weight, bias


MISTAKES: dict[str, dict[str, Mutation]] = {
    "nv_embed": {
        "causal mask": causal_mask,
        "sliding window of config.json obeyed": sliding_window,
        "missing EOS": prompts(ending=""),
        "EOS with a space": prompts(ending=" </s>"),
        "mask one token too long": prompts(shared_tokens=0),
        "mask one token too short": prompts(shared_tokens=2),
        "instruction pooled": instruction_pooled,
        "instruction without its space": prompts(query=fixture("nv_embed").inputs["instruction"].rstrip()),
        "swapped GEGLU halves": head(lambda found: replace(found, value_gate=swapped(found.value_gate))),
        "attention to the latents left out": head(lambda found: replace(found, mixed=found.mixed * 0)),
        "latents without their scale": head(lambda found: replace(found, scores=found.scores * 8)),
        "final norm left out": without_final_norm,
    },
    "llama_bidirectional": {
        "causal mask": causal_mask,
        "rope scaling ignored": rope_unscaled,
        "prefix without its space": prompts(query="query:", passage="passage:"),
        "EOS added": prompts(ending="<|end_of_text|>"),
        "last token pooled": last_token,
    },
    "ministral_bidirectional": {
        "causal mask": causal_mask,
        "yarn ignored": rope_unscaled,
        "no prefix": prompts(query="", passage=""),
        "last token pooled": last_token,
    },
}


@pytest.mark.parametrize(
    ("name", "mistake"), [(name, mistake) for name, mistakes in MISTAKES.items() for mistake in mistakes]
)
def test_parity_catches_the_mistake(name: str, mistake: str) -> None:
    given = fixture(name)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_parity(MISTAKES[name][mistake](loaded(given.folder)), given)


@pytest.mark.parametrize("name", MISTAKES)
def test_without_a_mistake_parity_holds(name: str) -> None:
    given = fixture(name)
    assert_parity(loaded(given.folder), given)
