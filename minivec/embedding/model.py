"""A loaded model: its spec, tokenizer and backend; and how a name or a folder becomes one, by the family it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from minivec.embedding import catalog
from minivec.embedding.backend import Backend
from minivec.embedding.checkpoint import Checkpoint, read_checkpoint
from minivec.embedding.interface import ModelCard
from minivec.embedding.options import EngineOptions
from minivec.embedding.prompts import Prompts
from minivec.embedding.tokens import FileTokenizer, Tokenizer
from minivec.errors import ModelNotFound, WeightsMismatch


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedModel:
    """Everything one model needs to turn texts into vectors."""

    card: ModelCard
    prompts: Prompts
    pool_prompt: bool
    tokenizer: Tokenizer
    backend: Backend


def load_model(name: str, options: EngineOptions) -> LoadedModel:
    """Load a catalogued model, or the sentence-transformers folder of this name or path. Touches no network.

    Raises ModelNotFound when there is none, or none that can be run safely; WeightsMismatch when the files are damaged.
    """
    checkpoint = open_checkpoint(name, options.models)
    spec = checkpoint.spec
    try:
        tokenizer = FileTokenizer(checkpoint.tokenizer_file, lowercase=spec.lowercase)
        backend = _OPENERS[spec.family](checkpoint, options)
    except ModuleNotFoundError as error:
        raise ModelNotFound(
            f"Running {name} needs the Python package {error.name}, which is not installed.",
            hint="Run: pip install 'minivec[engine]'",
        ) from error
    return LoadedModel(
        card=spec.card, prompts=spec.prompts, pool_prompt=spec.pool_prompt, tokenizer=tokenizer, backend=backend
    )


def open_checkpoint(name: str, models: Path | None = None) -> Checkpoint:
    """The files of a catalogued name, their weights verified, or of a local folder. Raises like load_model."""
    spec = catalog.known(name)
    if spec is None:
        place = folder_named(name, models)
        if not place.is_dir():
            names = ", ".join(known.name for known in catalog.CATALOG)
            raise ModelNotFound(
                f"No model is named {name!r} and no folder lies at that path.",
                hint=f"Known models: {names}. Or give the path of a folder in sentence-transformers layout.",
            )
        return read_checkpoint(place, name=name)
    folder = catalog.folder_of(spec.source)
    found = read_checkpoint(folder, name=name)
    if found.spec.weights_sha256 != spec.weights_sha256:
        raise WeightsMismatch(
            f"The weights of {name} in {folder} have sha256 {found.spec.weights_sha256}, not {spec.weights_sha256}.",
            hint="The files are damaged or were replaced: install the model again.",
        )
    return found.described_by(spec)


def folder_named(name: str, models: Path | None) -> Path:
    """Where a model that is not in the catalog lies: in the folder of models, otherwise at its name read as a path."""
    inside = None if models is None else models / name
    return inside if inside is not None and inside.is_dir() else Path(name).expanduser()


def model_key(name: str, models: Path | None = None) -> str:
    """One key for every way to write the same model: a catalogued name, or the folder's full path."""
    return name if catalog.known(name) else str(folder_named(name, models).resolve())


def _open_bert(checkpoint: Checkpoint, options: EngineOptions) -> Backend:
    from minivec.embedding.torch_backend import BertBackend  # late: loads torch

    return BertBackend(checkpoint, options)


_OPENERS: dict[catalog.Family, Callable[[Checkpoint, EngineOptions], Backend]] = {"bert": _open_bert}
