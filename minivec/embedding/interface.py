"""The Embedder contract: texts and an input type in, one vector and one note per text out. The engine, a remote service
and the tests' fake all keep it; the database knows nothing else of embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from minivec.errors import MinivecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

InputType = Literal["query", "passage"]
Truncation = Literal["refuse", "end", "start"]
EmbeddingType = Literal["float", "int8", "uint8", "binary", "ubinary"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a space must know of the model that fills it. Equal fingerprints make comparable vectors.

    `dimensions` are the shorter lengths its vectors may be cut to; `asymmetric`: queries and passages are embedded apart.
    """

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int
    dimensions: tuple[int, ...] = ()
    embedding_types: tuple[EmbeddingType, ...] = ("float",)
    asymmetric: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class TextNote:
    """What happened to one text: tokens it has, tokens cut off before the model saw it, or why it has no vector."""

    tokens: int
    cut: int = 0
    error: MinivecError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """`vectors` in the order of the texts; the row of a failed text is zeros.

    float32 of shape (texts, dimensions) for `float`, int8 or uint8 of that shape for `int8` and `uint8`, and of shape
    (texts, dimensions / 8) for `binary` (int8) and `ubinary` (uint8).
    """

    vectors: NDArray[Any]
    notes: tuple[TextNote, ...]


class Embedder(Protocol):
    """One model, ready to embed from any thread."""

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint, dimension and token limit."""
        ...

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        """Embed the texts. A text that fails or is too long under `refuse` fails alone, in its note.

        Raises InvalidInput for dimensions or a type the card does not allow, Busy when the queue is full, Closed after
        close, EmbeddingFailed when the model itself is gone.
        """
        ...


class SourceHealth(Protocol):
    """`ready` False: texts will fail; `notes` say why."""

    @property
    def ready(self) -> bool:
        """Whether texts can be embedded."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each thing that is wrong."""
        ...


@runtime_checkable
class TellsHealth(Protocol):
    """A source that can say how it is."""

    def health(self) -> SourceHealth:
        """How it is, at once."""
        ...


class EmbedderSource(Protocol):
    """Gives the embedder of a model, loading it at the first call."""

    def embedder(self, model: str) -> Embedder:
        """The embedder of this model name or folder. Raises ModelNotFound, WeightsMismatch."""
        ...

    def close(self) -> None:
        """Stop every worker; texts still waiting end in Closed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Scores:
    """One raw logit per passage, float32 of shape (passages,): more is more relevant. A failed passage has -inf."""

    logits: NDArray[np.float32]
    notes: tuple[TextNote, ...]


def relevance(logit: float) -> float:
    """A logit between 0 and 1: 1 / (1 + exp(-logit))."""
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))


class Reranker(Protocol):
    """A cross-encoder: reads query and passage together, ready from any thread."""

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint and token limit; its dimension is 1."""
        ...

    def rank(self, query: str, passages: Sequence[str], *, truncate: Truncation = "end") -> Scores:
        """Score every passage against the query, in their order. Raises Busy, Closed, EmbeddingFailed."""
        ...


@runtime_checkable
class RerankerSource(Protocol):
    """Gives the reranker of a model, loading it at the first call."""

    def reranker(self, model: str) -> Reranker:
        """The reranker of this model name or folder. Raises ModelNotFound, WeightsMismatch."""
        ...
