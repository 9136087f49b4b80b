"""The known rerankers as data, and how a name or a folder becomes one: files read and hashed, no code of theirs run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from minivec.embedding import catalog
from minivec.embedding.checkpoint import Checkpoint, family_of, max_tokens_of, tokenizer_file_of, transformer_settings
from minivec.embedding.families import Family
from minivec.embedding.model import folder_named
from minivec.embedding.modules import modules_of_config, read_object
from minivec.embedding.options import EngineOptions
from minivec.embedding.pairs import FilePairTokenizer, Template
from minivec.embedding.prompts import Prompts
from minivec.embedding.reranker import LoadedReranker
from minivec.embedding.spec import FolderSource, HubSource, ModelSpec
from minivec.embedding.weights import hash_weights, stored_tensors, weight_files
from minivec.errors import ModelNotFound, WeightsMismatch

TEMPLATES = {"llama_bidirec": Template(before="question:", between=" \n \n passage:")}
CLASSIFIER = "ForSequenceClassification"
SCORE_TENSORS = ("score.weight", "classifier.weight", "classifier.out_proj.weight")


def _reranker(name: str, repository: str, family: str, max_tokens: int, licence: str) -> ModelSpec:
    return ModelSpec(
        name=name,
        source=HubSource(repository=repository),
        family=family,
        weights_sha256="",
        prompts=Prompts(),
        pooling=("mean",),
        pool_prompt=True,
        normalize=False,
        lowercase=False,
        dimension=1,
        max_tokens=max_tokens,
        embedding_types=("float",),
        licence=licence,
    )


RERANKERS: tuple[ModelSpec, ...] = (
    _reranker(
        "nvidia/llama-nemotron-rerank-1b-v2",
        "nvidia/llama-nemotron-rerank-1b-v2",
        "llama_bidirec",
        8192,
        catalog.NVIDIA_OPEN,
    ),
    _reranker("baai/bge-reranker-base", "BAAI/bge-reranker-base", "xlm-roberta", 512, "MIT"),
    _reranker("baai/bge-reranker-large", "BAAI/bge-reranker-large", "xlm-roberta", 512, "MIT"),
    _reranker("baai/bge-reranker-v2-m3", "BAAI/bge-reranker-v2-m3", "xlm-roberta", 8192, "Apache-2.0"),
    _reranker("cross-encoder/ms-marco-minilm-l6-v2", "cross-encoder/ms-marco-MiniLM-L6-v2", "bert", 512, "Apache-2.0"),
)
OLD_NAMES = {"nvidia/llama-3.2-nv-rerankqa-1b-v2": "nvidia/llama-nemotron-rerank-1b-v2"}


def known_reranker(name: str) -> ModelSpec | None:
    """The catalogued reranker of this name in any case, or of an old name, or None."""
    wanted = OLD_NAMES.get(name.lower(), name.lower())
    return next((spec for spec in RERANKERS if spec.name.lower() == wanted), None)


def reranker_key(name: str, models: Path | None = None) -> str:
    """One key for every way to write the same reranker: its catalogued name, or the folder's full path."""
    spec = known_reranker(name)
    return spec.name if spec is not None else str(folder_named(name, models).resolve())


def reranks(name: str, models: Path | None = None) -> bool:
    """Whether this name or folder, where its files are at hand, is a reranker's rather than an embedding model's."""
    return known_reranker(name) is not None or is_reranker(folder_named(name, models))


def is_reranker(folder: Path) -> bool:
    """Whether the folder's config.json names a model for classifying texts; False when it cannot be read."""
    try:
        architectures = read_object(folder / "config.json").get("architectures")
    except ModelNotFound:
        return False
    return isinstance(architectures, list) and any(str(one).endswith(CLASSIFIER) for one in architectures)


def load_reranker(name: str, options: EngineOptions) -> LoadedReranker:
    """Load a catalogued reranker, or the model folder of this name or path, or of this name in the hub's cache.

    Touches no network. Raises ModelNotFound when there is none, or none that scores pairs; WeightsMismatch when the
    files are damaged; EmbeddingFailed when the device has too little memory.
    """
    checkpoint = open_reranker(name, options.models)
    spec = checkpoint.spec
    try:
        tokenizer = FilePairTokenizer(
            checkpoint.tokenizer_file, template=TEMPLATES.get(spec.family), lowercase=spec.lowercase
        )
        from minivec.embedding.reranker_torch import TorchScorer  # late: loads torch

        backend = TorchScorer(checkpoint, options)
    except ModuleNotFoundError as error:
        raise ModelNotFound(
            f"Running {name} needs the Python package {error.name}, which is not installed.",
            hint="Run: pip install 'minivec[engine]'",
        ) from error
    return LoadedReranker(card=spec.card, tokenizer=tokenizer, backend=backend)


def open_reranker(name: str, models: Path | None = None) -> Checkpoint:
    """The files of a catalogued name, or of a folder. Raises like load_reranker."""
    spec = known_reranker(name)
    if spec is None:
        return read_reranker(_existing_folder(name, models), name=name)
    folder = catalog.folder_of(spec, models)
    found = read_reranker(folder, name=spec.name)
    if found.spec.family != spec.family:
        raise WeightsMismatch(
            f"The folder {folder} does not hold {spec.name}: it has family {found.spec.family} instead of "
            f"{spec.family}.",
            hint="Fetch the model again.",
        )
    limit = min(found.spec.max_tokens, spec.max_tokens)
    return found.described_by(replace(found.spec, max_tokens=limit, licence=spec.licence))


def read_reranker(folder: Path, *, name: str) -> Checkpoint:
    """Read and hash the sequence-classification model in `folder`.

    Raises ModelNotFound naming the file that is missing or unsafe, or saying why it scores no pairs.
    """
    config_file = folder / "config.json"
    config = read_object(config_file)
    family = family_of(config, config_file)
    kind = str(config["model_type"])
    _check_scores(folder, kind, family)
    modules = modules_of_config(config, config_file) if family.runner == "decoder" else None
    settings = transformer_settings(folder)
    spec = replace(
        _reranker(name, "", kind, max_tokens_of(settings, folder, config, family), ""),
        source=FolderSource(path=folder),
        weights_sha256=hash_weights(folder),
        pooling=modules.pooling if modules else ("mean",),
        prompts=_template_as_prompts(kind),
        lowercase=bool(settings.get("do_lower_case", False)),
    )
    return Checkpoint(root=folder, folder=folder, tokenizer_file=tokenizer_file_of(folder), config=config, spec=spec)


def _template_as_prompts(kind: str) -> Prompts:
    """The template as the fingerprint hashes it; nothing else reads it here."""
    template = TEMPLATES.get(kind)
    return Prompts() if template is None else Prompts(query=template.before, passage=template.between)


def _check_scores(folder: Path, kind: str, family: Family) -> None:
    """Refuse a folder that gives no single score, from the headers of its weights alone."""
    stored = stored_tensors(weight_files(folder))
    heads = [stored[name].shape for name in SCORE_TENSORS if name in stored]
    if not heads:
        raise ModelNotFound(
            f"{folder} holds no reranker: its weights have none of {', '.join(SCORE_TENSORS)}.",
            hint="Embedding models cannot rerank; choose a cross-encoder.",
        )
    if heads[0][0] != 1:
        raise ModelNotFound(f"{folder} gives {heads[0][0]} scores a pair; a reranker gives one.")
    if family.runner != "encoder" and kind not in TEMPLATES:
        raise ModelNotFound(
            f"{folder} scores pairs with the architecture {kind!r}, which minivec does not rerank with.",
            hint=f"It reranks with {', '.join(TEMPLATES)} and with encoders.",
        )


def _existing_folder(name: str, models: Path | None) -> Path:
    place = folder_named(name, models)
    if not place.is_dir():
        names = ", ".join(spec.name for spec in RERANKERS)
        raise ModelNotFound(
            f"No reranker is named {name!r} and no folder lies at that path.",
            hint=f"Known rerankers: {names}. Or give the path of a sequence-classification model's folder.",
        )
    return place


def temperature_of(config: Mapping[str, Any]) -> float:
    """What logits are divided by, as config.json says: NVIDIA's `temperature`, else 1."""
    return float(config.get("temperature") or 1.0)
