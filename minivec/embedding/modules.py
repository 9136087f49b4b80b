"""What a folder says its model is made of: sentence-transformers' module files, old and new, or NVIDIA's `pooling` key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from minivec.embedding import hub
from minivec.embedding.spec import DenseLayer, PoolingMode
from minivec.errors import ModelNotFound

RUN_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
OLD_POOLING_KEYS: tuple[tuple[str, PoolingMode], ...] = (
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
)
NVIDIA_POOLING: dict[str, PoolingMode] = {"avg": "mean", "mean": "mean", "cls": "cls", "last": "lasttoken"}
ACTIVATIONS = ("Identity", "Tanh", "GELU", "ReLU", "SiLU", "Sigmoid")
SENTENCE = "sentence_embedding"
FETCH_AGAIN = "Fetch the model's folder again."


@dataclass(frozen=True, kw_only=True, slots=True)
class Modules:
    """The steps from tokens to a vector. `transformer` is the folder of the weights, inside the model's own."""

    transformer: str
    pooling: tuple[PoolingMode, ...]
    pool_prompt: bool
    dense: tuple[DenseLayer, ...]
    normalize: bool
    dimension: int


def read_modules(folder: Path) -> Modules | None:
    """The modules of a sentence-transformers folder, or None when it has no modules.json.

    Raises ModelNotFound naming the file that is missing, broken or asks for what minivec does not run.
    """
    file = folder / "modules.json"
    if not file.is_file():
        return None
    found = _kinds(file)
    kinds = [kind for kind, _ in found]
    paths = dict(found)
    pooling_file = folder / paths["Pooling"] / "config.json"
    config = read_object(pooling_file)
    pooling = _pooling(config, pooling_file)
    dense = tuple(_dense(folder, path) for kind, path in found if kind == "Dense")
    width = _token_dimension(config, pooling_file) * len(pooling)
    return Modules(
        transformer=paths["Transformer"],
        pooling=pooling,
        pool_prompt=bool(config.get("include_prompt", True)),
        dense=dense,
        normalize="Normalize" in kinds,
        dimension=dense[-1].outputs if dense else width,
    )


def modules_of_config(config: Mapping[str, Any], file: Path) -> Modules | None:
    """The steps NVIDIA's config.json names by its key `pooling`, or None when it has none."""
    named = config.get("pooling")
    if named is None:
        return None
    if named not in NVIDIA_POOLING:
        raise _unknown_pooling(file, named)
    return Modules(
        transformer="",
        pooling=(NVIDIA_POOLING[named],),
        pool_prompt=True,
        dense=(),
        normalize=True,
        dimension=int(config["hidden_size"]),
    )


def read_object(file: Path, *, optional: bool = False) -> Mapping[str, Any]:
    """A JSON object; an empty one when it is optional and not there. Raises ModelNotFound naming the file."""
    if optional and not file.is_file():
        return {}
    found = read_json(file)
    if not isinstance(found, dict):
        raise ModelNotFound(f"{file} is not a JSON object.", hint=FETCH_AGAIN)
    return found


def read_json(file: Path) -> Any:
    """Whatever JSON a file holds. Raises ModelNotFound naming the file that is missing or broken."""
    try:
        return json.loads(file.read_bytes())
    except FileNotFoundError:
        raise missing(file) from None
    except ValueError as error:
        raise ModelNotFound(f"{file} is not valid JSON: {error}.", hint=FETCH_AGAIN) from error


def missing(file: Path, hint: str = "") -> ModelNotFound:
    """The error that names a missing file, and says how to fetch the rest of a half-fetched repository."""
    repository = hub.repository_of(file.parent)
    if repository and not hint:
        hint = hub.how_to_fetch(repository)
    layout = "minivec reads folders in sentence-transformers layout."
    return ModelNotFound(f"The model's file {file} is missing.", hint=hint or layout)


def _kinds(file: Path) -> list[tuple[str, str]]:
    """Each module's kind, the last part of its type, which is all that releases of the format agree on, and its folder."""
    entries = read_json(file)
    if not isinstance(entries, list):
        raise ModelNotFound(f"{file} is not a list of modules.", hint=FETCH_AGAIN)
    found = [(str(entry["type"]).rpartition(".")[2], str(entry.get("path", ""))) for entry in entries]
    kinds = [kind for kind, _ in found]
    unknown = sorted(set(kinds) - set(RUN_MODULES))
    if unknown:
        raise ModelNotFound(
            f"{file} names the module {unknown[0]}, which minivec does not run.",
            hint=f"It runs {', '.join(RUN_MODULES)}.",
        )
    for needed in ("Transformer", "Pooling"):
        if needed not in kinds:
            raise ModelNotFound(f"{file} names no {needed} module.", hint="It may not be an embedding model.")
    if kinds != sorted(kinds, key=RUN_MODULES.index):
        raise ModelNotFound(
            f"{file} runs its modules in the order {', '.join(kinds)}.", hint=f"minivec runs {', '.join(RUN_MODULES)}."
        )
    return found


def _pooling(config: Mapping[str, Any], file: Path) -> tuple[PoolingMode, ...]:
    named = config.get("pooling_mode")
    if named is None:
        named = [mode for key, mode in OLD_POOLING_KEYS if config.get(key)] or ["mean"]
    modes = [named] if isinstance(named, str) else list(named)
    unknown = [mode for mode in modes if mode not in get_args(PoolingMode)]
    if unknown or not modes:
        raise _unknown_pooling(file, unknown[0] if unknown else "nothing")
    return tuple(cast("list[PoolingMode]", modes))


def _unknown_pooling(file: Path, named: object) -> ModelNotFound:
    return ModelNotFound(
        f"{file} asks for the pooling {named!r}, which minivec does not know.",
        hint=f"It knows {', '.join(get_args(PoolingMode))}.",
    )


def _token_dimension(config: Mapping[str, Any], file: Path) -> int:
    dimension = config.get("embedding_dimension", config.get("word_embedding_dimension"))
    if not isinstance(dimension, int) or dimension < 1:
        raise ModelNotFound(f"{file} does not say how long a vector is.", hint="It needs embedding_dimension.")
    return dimension


def _dense(folder: Path, path: str) -> DenseLayer:
    file = folder / path / "config.json"
    config = read_object(file)
    activation = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if activation not in ACTIVATIONS:
        raise ModelNotFound(
            f"{file} names the activation {activation!r}, which minivec does not run.",
            hint=f"It runs {', '.join(ACTIVATIONS)}.",
        )
    if config.get("use_residual") or config.get("module_input_name", SENTENCE) != SENTENCE:
        raise ModelNotFound(
            f"{file} asks for a residual or for single tokens, which minivec does not run.",
            hint="It runs plain linear layers over the pooled vector.",
        )
    return DenseLayer(
        folder=path,
        inputs=int(config["in_features"]),
        outputs=int(config["out_features"]),
        bias=bool(config.get("bias", True)),
        activation=activation,
    )
