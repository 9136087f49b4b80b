"""The architectures minivec runs, as data: config.json's model_type, whose code runs it, and what its files leave unsaid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from minivec.embedding.prompts import Prompts

Runner = Literal["encoder", "decoder", "nv-embed"]

INSTRUCTION = "Instruct: Given a question, retrieve passages that answer the question\nQuery: "


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """`encoder` runs in transformers' own classes; `decoder` and `nv-embed` in ours, which read no code of a repository.

    `causal` is the attention when config.json does not say `is_causal`. `prompts` hold when the files name none;
    their ending, `once` and shared tokens always hold. `offset_positions`: the position table starts after the
    padding id, as RoBERTa's does. `eager`: attention that cannot be replaced by a padding-free one.
    """

    runner: Runner
    causal: bool = False
    prompts: Prompts = Prompts()
    offset_positions: bool = False
    eager: bool = False


NVIDIA_PROMPTS = Prompts(query="query: ", passage="passage: ", once=True)

FAMILIES: dict[str, Family] = {
    "bert": Family(runner="encoder"),
    "distilbert": Family(runner="encoder"),
    "mpnet": Family(runner="encoder", offset_positions=True, eager=True),
    "roberta": Family(runner="encoder", offset_positions=True),
    "xlm-roberta": Family(runner="encoder", offset_positions=True),
    "modernbert": Family(runner="encoder"),
    "llama": Family(runner="decoder", causal=True),
    "mistral": Family(runner="decoder", causal=True),
    "qwen3": Family(runner="decoder", causal=True),
    "llama_bidirec": Family(runner="decoder", prompts=NVIDIA_PROMPTS),
    "ministral3": Family(runner="decoder", causal=True, prompts=NVIDIA_PROMPTS),
    # The instruction ends in a space, whose token is the first word's too: one shared token. "</s>" is added as text.
    "nvembed": Family(runner="nv-embed", prompts=Prompts(query=INSTRUCTION, ending="</s>", shared_tokens=1)),
}
