"""A source of small embedders that keep the whole Embedder contract: asymmetric, Matryoshka, compressed, with limits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.engine import EngineHealth
from minivec.embedding.interface import Embedded, Embedder, EmbeddingType, InputType, ModelCard, TextNote, Truncation
from minivec.errors import EmbeddingFailed, MinivecError, ModelNotFound, TextTooLong

ALL: tuple[EmbeddingType, ...] = ("float", "int8", "uint8", "binary", "ubinary")
PLAIN = ModelCard(name="plain", fingerprint="p", dimension=16, max_tokens=8)
RICH = ModelCard(
    name="nvidia/rich",
    fingerprint="r",
    dimension=16,
    max_tokens=8,
    dimensions=(4, 8),
    embedding_types=ALL,
    asymmetric=True,
)
POISON = "poison"


@dataclass
class Source:
    """Implements EmbedderSource and health over these models; `asked` lists what reached a model."""

    cards: Sequence[ModelCard] = (PLAIN, RICH)
    asked: list[dict[str, Any]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    failure: MinivecError | None = None
    ready: bool = True
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def embedder(self, model: str) -> Embedder:
        for card in self.cards:
            if card.name == model:
                return Words(card, self)
        raise ModelNotFound(f"No model is named {model!r}.")

    def health(self) -> EngineHealth:
        names = tuple(card.name for card in self.cards)
        notes = () if self.ready else ("cpu: its worker is gone",)
        return EngineHealth(ready=self.ready, devices=("cpu",), models=names, waiting_tokens=12, notes=notes)

    def close(self) -> None: ...


@dataclass
class Words:
    """Implements Embedder: a token a word and one at each end; equal words at the same place make equal vectors."""

    card: ModelCard
    source: Source

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        self.source.asked.append(
            {"texts": list(texts), "input_type": input_type, "truncate": truncate, "dimensions": dimensions}
        )
        self.source.before()
        if self.source.failure is not None:
            raise self.source.failure
        notes = tuple(self._note(text, truncate) for text in texts)
        prompt = input_type if self.card.asymmetric else ""
        rows = np.stack([unit(prompt + text, self.card.dimension) for text in texts])
        if dimensions is not None:
            rows = rows[:, :dimensions] / np.linalg.norm(rows[:, :dimensions], axis=1, keepdims=True)
        return Embedded(vectors=compressed(rows, embedding_type), notes=notes)

    def _note(self, text: str, truncate: Truncation) -> TextNote:
        tokens = len(text.split()) + 2
        if text == POISON:
            return TextNote(tokens=tokens, error=EmbeddingFailed("The model failed on this text."))
        if tokens <= self.card.max_tokens:
            return TextNote(tokens=tokens)
        if truncate == "refuse":
            return TextNote(tokens=tokens, error=TextTooLong("The text is too long."))
        return TextNote(tokens=tokens, cut=tokens - self.card.max_tokens)


def unit(text: str, dimension: int) -> NDArray[np.float32]:
    """A unit vector that depends on the text only."""
    drawn = np.random.default_rng(list(text.encode()) or [0]).standard_normal(dimension)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def compressed(rows: NDArray[np.float32], kind: EmbeddingType) -> NDArray[Any]:
    """The rows as the specification recommends each type."""
    if kind == "float":
        return np.ascontiguousarray(rows, np.float32)
    if kind in ("binary", "ubinary"):
        bits = np.packbits(rows > 0, axis=1)
        return bits if kind == "ubinary" else (bits.astype(np.int16) - 128).astype(np.int8)
    scaled = np.rint(127 * rows / np.abs(rows).max(axis=1, keepdims=True))
    return scaled.astype(np.int8) if kind == "int8" else (scaled + 128).astype(np.uint8)
