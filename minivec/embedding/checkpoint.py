"""Reads a local folder in sentence-transformers layout, old or new, into a ModelSpec. Safetensors only; runs no code
from the folder and unpickles nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from minivec.embedding import prompts
from minivec.embedding.catalog import FAMILIES, FolderSource, ModelSpec, PoolingMode
from minivec.errors import ModelNotFound

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
UNSAFE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.h5", "*.msgpack")
OLD_POOLING_KEYS: tuple[tuple[str, PoolingMode], ...] = (
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
)
# Model types whose position table starts after the padding id, as RoBERTa's does.
OFFSET_POSITIONS = frozenset({"mpnet", "roberta", "xlm-roberta"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """Where a model's files lie and what they say: `config` is config.json, `spec` how texts become vectors."""

    folder: Path
    tokenizer_file: Path
    config: Mapping[str, Any]
    spec: ModelSpec

    def described_by(self, spec: ModelSpec) -> Checkpoint:
        """The same files under a catalogued spec."""
        return replace(self, spec=spec)


def read_checkpoint(folder: Path, *, name: str) -> Checkpoint:
    """Read and hash the model in `folder`. Raises ModelNotFound naming the file that is missing, broken or unsafe."""
    modules = _modules(folder)
    transformer = folder / modules["Transformer"]
    config = _read_object(transformer / "config.json")
    family = FAMILIES.get(str(config.get("model_type")))
    if "auto_map" in config or family is None:
        raise _unsupported(transformer / "config.json", config)
    pooling_file = folder / modules["Pooling"] / "config.json"
    pooling_config = _read_object(pooling_file)
    pooling = _pooling(pooling_config, pooling_file)
    settings = _transformer_settings(transformer)
    saved = _read_object(folder / "config_sentence_transformers.json", optional=True)
    spec = ModelSpec(
        name=name,
        source=FolderSource(path=folder),
        family=family,
        weights_sha256=hash_weights(transformer),
        prompts=prompts.from_named(saved.get("prompts") or {}),
        pooling=pooling,
        pool_prompt=bool(pooling_config.get("include_prompt", True)),
        normalize="Normalize" in modules,
        lowercase=bool(settings.get("do_lower_case", False)),
        dimension=_token_dimension(pooling_config, pooling_file) * len(pooling),
        max_tokens=_max_tokens(settings, transformer, config),
    )
    return Checkpoint(folder=transformer, tokenizer_file=_tokenizer_file(transformer), config=config, spec=spec)


def hash_weights(folder: Path) -> str:
    """The sha256 of the weights as 64 hex digits; of several shards, the sha256 over each one's name and sha256."""
    single = folder / WEIGHTS
    if single.is_file():
        return _hash_file(single)
    if not (folder / WEIGHTS_INDEX).is_file():
        raise _without_safetensors(folder)
    shards = sorted(set(_read_object(folder / WEIGHTS_INDEX).get("weight_map", {}).values()))
    missing = [shard for shard in shards if not (folder / Path(shard).name).is_file()]
    if missing or not shards:
        raise _missing(folder / (missing[0] if missing else WEIGHTS))
    lines = [f"{shard} {_hash_file(folder / Path(shard).name)}\n" for shard in shards]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _modules(folder: Path) -> dict[str, str]:
    """The folder of each module by the last part of its type, which is all that releases of the format agree on."""
    file = folder / "modules.json"
    entries = _read(file)
    if not isinstance(entries, list):
        raise ModelNotFound(f"{file} is not a list of modules.", hint="Fetch the model's folder again.")
    found = {str(entry["type"]).rpartition(".")[2]: str(entry.get("path", "")) for entry in entries}
    unknown = sorted(set(found) - {"Transformer", "Pooling", "Normalize"})
    if unknown:
        raise ModelNotFound(
            f"{file} names the module {unknown[0]}, which minivec does not run.",
            hint="It runs Transformer, Pooling and Normalize.",
        )
    for needed in ("Transformer", "Pooling"):
        if needed not in found:
            raise ModelNotFound(f"{file} names no {needed} module.", hint="It may not be an embedding model.")
    return found


def _pooling(config: Mapping[str, Any], file: Path) -> tuple[PoolingMode, ...]:
    named = config.get("pooling_mode")
    if named is None:
        named = [mode for key, mode in OLD_POOLING_KEYS if config.get(key)] or ["mean"]
    modes = [named] if isinstance(named, str) else list(named)
    unknown = [mode for mode in modes if mode not in get_args(PoolingMode)]
    if unknown or not modes:
        raise ModelNotFound(
            f"{file} asks for the pooling {unknown[0] if unknown else 'nothing'!r}, which minivec does not know.",
            hint=f"It knows {', '.join(get_args(PoolingMode))}.",
        )
    return tuple(cast("list[PoolingMode]", modes))


def _token_dimension(config: Mapping[str, Any], file: Path) -> int:
    dimension = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    if not isinstance(dimension, int) or dimension < 1:
        raise ModelNotFound(f"{file} does not say how long a vector is.", hint="It needs embedding_dimension.")
    return dimension


def _transformer_settings(folder: Path) -> Mapping[str, Any]:
    """sentence_bert_config.json, which early releases named after the architecture."""
    named = sorted(folder.glob("sentence_*_config.json"), key=lambda file: file.name != "sentence_bert_config.json")
    return _read_object(named[0]) if named else {}


def _max_tokens(settings: Mapping[str, Any], folder: Path, config: Mapping[str, Any]) -> int:
    """The model's limit with special tokens: what was set, but never more than it has positions for."""
    positions = int(config.get("max_position_embeddings", 512))
    if config.get("model_type") in OFFSET_POSITIONS:
        positions -= int(config.get("pad_token_id") or 0) + 1
    tokenizer = _read_object(folder / "tokenizer_config.json", optional=True)
    chosen = settings.get("max_seq_length") or tokenizer.get("model_max_length") or positions
    return min(int(chosen), positions)


def _tokenizer_file(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise _missing(
            file, "Write it with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    return file


def _read_object(file: Path, *, optional: bool = False) -> Mapping[str, Any]:
    if optional and not file.is_file():
        return {}
    found = _read(file)
    if not isinstance(found, dict):
        raise ModelNotFound(f"{file} is not a JSON object.", hint="Fetch the model's folder again.")
    return found


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise _missing(file) from None
    except ValueError as error:
        raise ModelNotFound(f"{file} is not valid JSON: {error}.", hint="Fetch the model's folder again.") from error


def _hash_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _missing(file: Path, hint: str = "minivec reads folders in sentence-transformers layout.") -> ModelNotFound:
    return ModelNotFound(f"The model's file {file} is missing.", hint=hint)


def _without_safetensors(folder: Path) -> ModelNotFound:
    unsafe = sorted(file.name for pattern in UNSAFE_PATTERNS for file in folder.glob(pattern))
    if not unsafe:
        return _missing(folder / WEIGHTS)
    return ModelNotFound(
        f"The model's file {folder / WEIGHTS} is missing, and {unsafe[0]} can hide code, so minivec does not open it.",
        hint="Fetch the safetensors form of this model, or convert it.",
    )


def _unsupported(file: Path, config: Mapping[str, Any]) -> ModelNotFound:
    if "auto_map" in config:
        return ModelNotFound(
            f"{file} asks for code from the model's own repository (auto_map); minivec never runs such code.",
            hint="Choose a model whose architecture is part of transformers.",
        )
    return ModelNotFound(
        f"{file} describes the architecture {config.get('model_type')!r}, which minivec does not run.",
        hint=f"It runs {', '.join(sorted(FAMILIES))}.",
    )
