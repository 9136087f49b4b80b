"""What a model is, as data: where its files come from, and everything that shapes the vector of a text."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from minivec.embedding.interface import EmbeddingType, ModelCard
from minivec.embedding.prompts import Prompts

PoolingMode = Literal["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
ALL_TYPES: tuple[EmbeddingType, ...] = ("float", "int8", "uint8", "binary", "ubinary")


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
class HubSource:
    """Weights of a repository on the Hugging Face hub, found in this machine's cache."""

    repository: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderedSource:
    """Weights a vendor hands out only under its own terms; the user puts their folder in the folder of models."""

    how: str


Source = PackageSource | FolderSource | HubSource | OrderedSource


@dataclass(frozen=True, kw_only=True, slots=True)
class DenseLayer:
    """One linear layer after pooling, from `folder`: `inputs` to `outputs` numbers, then `activation`."""

    folder: str
    inputs: int
    outputs: int
    bias: bool
    activation: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """How a model turns a text into a vector, weights included by their hash.

    `family` is config.json's model_type. `pooling` lists the ways tokens become one vector, concatenated; `pool_prompt`
    False leaves the prompt's tokens out. `dimension` counts the final vector's floats; `max_tokens` includes special
    tokens and the prompt.
    """

    name: str
    source: Source
    family: str
    weights_sha256: str
    prompts: Prompts
    pooling: tuple[PoolingMode, ...]
    pool_prompt: bool
    normalize: bool
    lowercase: bool
    dimension: int
    max_tokens: int
    dense: tuple[DenseLayer, ...] = ()
    dimensions: tuple[int, ...] = ()
    embedding_types: tuple[EmbeddingType, ...] = ALL_TYPES
    licence: str = ""

    @property
    def fingerprint(self) -> str:
        """32 hex digits over everything that shapes a vector; neither the name nor the place of the files is.

        What a model does not have is left out, so that a new field changes no fingerprint that spaces already carry.
        """
        parts: dict[str, Any] = {
            "weights": self.weights_sha256,
            "prompts": [self.prompts.query, self.prompts.passage],
            "pooling": [*self.pooling, self.pool_prompt],
            "normalize": self.normalize,
            "lowercase": self.lowercase,
            "dimension": self.dimension,
            "max_tokens": self.max_tokens,
        }
        if self.prompts.reading:
            parts["reading"] = self.prompts.reading
        if self.dense:
            parts["dense"] = [[layer.inputs, layer.outputs, layer.bias, layer.activation] for layer in self.dense]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]

    @property
    def card(self) -> ModelCard:
        """What a vector space records of this model."""
        return ModelCard(
            name=self.name,
            fingerprint=self.fingerprint,
            dimension=self.dimension,
            max_tokens=self.max_tokens,
            dimensions=self.dimensions,
            embedding_types=self.embedding_types,
            asymmetric=self.prompts.query != self.prompts.passage,
        )
