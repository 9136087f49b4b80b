"""Reads a local folder in sentence-transformers layout, old or new, or NVIDIA's own, into a ModelSpec. Safetensors only;
runs no code from the folder and unpickles nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from minivec.embedding import prompts
from minivec.embedding.families import FAMILIES, Family
from minivec.embedding.modules import Modules, missing, modules_of_config, read_modules, read_object
from minivec.embedding.prompts import Prompts
from minivec.embedding.spec import FolderSource, ModelSpec
from minivec.embedding.weights import hash_weights
from minivec.errors import ModelNotFound


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Where a model's files lie and what they say: `config` is config.json, `spec` how texts become vectors.

    `root` is the model's folder, `folder` the one of its transformer: the same, or inside it.
    """

    root: Path
    folder: Path
    tokenizer_file: Path
    config: Mapping[str, Any]
    spec: ModelSpec

    def described_by(self, spec: ModelSpec) -> Checkpoint:
        """The same files under a catalogued spec."""
        return replace(self, spec=spec)


def read_checkpoint(folder: Path, *, name: str, catalogued: ModelSpec | None = None) -> Checkpoint:
    """Read and hash the model in `folder`; what its files leave unsaid is taken from its catalogued spec.

    Raises ModelNotFound naming the file that is missing, broken or unsafe.
    """
    modules = read_modules(folder)
    transformer = folder / (modules.transformer if modules else "")
    config_file = transformer / "config.json"
    config = read_object(config_file)
    family = family_of(config, config_file)
    modules = modules or modules_of_config(config, config_file) or _catalogued(catalogued)
    if modules is None:
        raise missing(folder / "modules.json")
    settings = transformer_settings(transformer)
    spec = ModelSpec(
        name=name,
        source=FolderSource(path=folder),
        family=str(config["model_type"]),
        weights_sha256=_hash_all(folder, modules),
        prompts=_prompts(folder, family),
        pooling=modules.pooling,
        pool_prompt=modules.pool_prompt,
        normalize=modules.normalize,
        lowercase=bool(settings.get("do_lower_case", False)),
        dimension=modules.dimension,
        max_tokens=max_tokens_of(settings, transformer, config, family),
        dense=modules.dense,
    )
    tokenizer_file = tokenizer_file_of(transformer)
    return Checkpoint(root=folder, folder=transformer, tokenizer_file=tokenizer_file, config=config, spec=spec)


def family_of(config: Mapping[str, Any], file: Path) -> Family:
    """The family of this config. Ours ignore `auto_map`: they are the code it asks for, written again."""
    family = FAMILIES.get(str(config.get("model_type")))
    if family is not None and (family.runner != "encoder" or "auto_map" not in config):
        return family
    if "auto_map" in config:
        raise ModelNotFound(
            f"{file} asks for code from the model's own repository (auto_map); minivec never runs such code.",
            hint="Choose a model whose architecture is part of transformers.",
        )
    raise ModelNotFound(
        f"{file} describes the architecture {config.get('model_type')!r}, which minivec does not run.",
        hint=f"It runs {', '.join(sorted(FAMILIES))}.",
    )


def _catalogued(spec: ModelSpec | None) -> Modules | None:
    if spec is None:
        return None
    return Modules(
        transformer="",
        pooling=spec.pooling,
        pool_prompt=spec.pool_prompt,
        dense=spec.dense,
        normalize=spec.normalize,
        dimension=spec.dimension,
    )


def _prompts(folder: Path, family: Family) -> Prompts:
    saved = read_object(folder / "config_sentence_transformers.json", optional=True)
    named = prompts.from_named(saved.get("prompts") or {})
    if not (named.query or named.passage):
        return family.prompts
    return replace(family.prompts, query=named.query, passage=named.passage)


def _hash_all(folder: Path, modules: Modules) -> str:
    """The weights' hash; where dense layers follow, the hash over the transformer's and theirs."""
    whole = hash_weights(folder / modules.transformer)
    if not modules.dense:
        return whole
    parts = [whole, *(hash_weights(folder / layer.folder) for layer in modules.dense)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def transformer_settings(folder: Path) -> Mapping[str, Any]:
    """sentence_bert_config.json, which early releases named after the architecture."""
    named = sorted(folder.glob("sentence_*_config.json"), key=lambda file: file.name != "sentence_bert_config.json")
    return read_object(named[0]) if named else {}


def max_tokens_of(settings: Mapping[str, Any], folder: Path, config: Mapping[str, Any], family: Family) -> int:
    """The model's limit with special tokens: what was set, but never more than it has positions for."""
    text_config = config.get("text_config", config)
    positions = int(text_config.get("max_position_embeddings", 512))
    if family.offset_positions:
        positions -= int(config.get("pad_token_id") or 0) + 1
    if window := _causal_window(config, family):
        positions = min(positions, window)
    tokenizer = read_object(folder / "tokenizer_config.json", optional=True)
    chosen = settings.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    return min(int(chosen), positions)


def _causal_window(config: Mapping[str, Any], family: Family) -> int | None:
    """How far back a causal decoder with a sliding window sees: up to there the window changes nothing."""
    if family.runner != "decoder" or not config.get("use_sliding_window", True):
        return None
    window = config.get("sliding_window")
    return None if window is None else int(window)


def tokenizer_file_of(folder: Path) -> Path:
    """The folder's tokenizer.json. Raises ModelNotFound when it is missing."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise missing(file, "Write it with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)")
    return file
