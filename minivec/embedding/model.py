"""A loaded model: its spec, tokenizer and backend; and how a name or a folder becomes one, by the family it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from minivec.embedding import catalog, hub
from minivec.embedding.backend import Backend
from minivec.embedding.checkpoint import Checkpoint, read_checkpoint
from minivec.embedding.cpu import open_quickest
from minivec.embedding.interface import ModelCard
from minivec.embedding.options import EngineOptions
from minivec.embedding.prompts import Prompts
from minivec.embedding.spec import ModelSpec
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
    """Load a catalogued model, or the model folder of this name or path, or of this name in the hub's cache.

    Touches no network. Raises ModelNotFound when there is none, or none that can be run safely; WeightsMismatch when the
    files are damaged; EmbeddingFailed when the device has too little memory.
    """
    checkpoint = open_checkpoint(name, options.models)
    spec = checkpoint.spec
    try:
        tokenizer = FileTokenizer(checkpoint.tokenizer_file, lowercase=spec.lowercase)
        backend = _open(checkpoint, options)
    except ModuleNotFoundError as error:
        raise ModelNotFound(
            f"Running {name} needs the Python package {error.name}, which is not installed.",
            hint="Run: pip install 'minivec[engine]'",
        ) from error
    return LoadedModel(
        card=spec.card, prompts=spec.prompts, pool_prompt=spec.pool_prompt, tokenizer=tokenizer, backend=backend
    )


def open_checkpoint(name: str, models: Path | None = None) -> Checkpoint:
    """The files of a catalogued name, its weights verified where they are known, or of a folder. Raises like load_model."""
    spec = catalog.known(name)
    if spec is None:
        return read_checkpoint(_existing_folder(name, models), name=name)
    folder = catalog.folder_of(spec, models)
    found = read_checkpoint(folder, name=spec.name, catalogued=spec)
    _check_kind(found, spec, folder)
    if not spec.weights_sha256:
        return found.described_by(catalog.with_weights(spec, found.spec.weights_sha256))
    if found.spec.weights_sha256 != spec.weights_sha256:
        raise WeightsMismatch(
            f"The weights of {name} in {folder} have sha256 {found.spec.weights_sha256}, not {spec.weights_sha256}.",
            hint="The files are damaged or were replaced: install the model again.",
        )
    return found.described_by(spec)


def folder_named(name: str, models: Path | None) -> Path:
    """Where a model that is not in the catalog lies: in the folder of models, at its name read as a path, in the cache."""
    inside = None if models is None else models / name
    if inside is not None and inside.is_dir():
        return inside
    place = Path(name).expanduser()
    return place if place.is_dir() else hub.snapshot(name) or place


def model_key(name: str, models: Path | None = None) -> str:
    """One key for every way to write the same model: its catalogued name, or the folder's full path."""
    spec = catalog.known(name)
    return spec.name if spec is not None else str(folder_named(name, models).resolve())


def _existing_folder(name: str, models: Path | None) -> Path:
    place = folder_named(name, models)
    if not place.is_dir():
        names = ", ".join(known.name for known in catalog.CATALOG)
        raise ModelNotFound(
            f"No model is named {name!r} and no folder lies at that path.",
            hint=f"Known models: {names}. Or give the path of a folder in sentence-transformers layout.",
        )
    return place


def _check_kind(found: Checkpoint, spec: ModelSpec, folder: Path) -> None:
    """A folder under a catalogued name that holds another model is refused before its weights are read."""
    differs = [
        f"{field} {getattr(found.spec, field)} instead of {getattr(spec, field)}"
        for field in ("family", "dimension", "dense")
        if getattr(found.spec, field) != getattr(spec, field)
    ]
    if differs:
        raise WeightsMismatch(
            f"The folder {folder} does not hold {spec.name}: it has {differs[0]}.", hint="Fetch the model again."
        )


def _open(checkpoint: Checkpoint, options: EngineOptions) -> Backend:
    if quickest := open_quickest(checkpoint, options):
        return quickest
    from minivec.embedding.torch_backend import TorchBackend  # late: loads torch

    return TorchBackend(checkpoint, options)
