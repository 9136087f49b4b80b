"""The Embedder contract: texts and an input type in, one vector and one note per text out. The engine, a remote service
and the tests' fake all keep it; the database knows nothing else of embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from minivec.errors import MinivecError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

InputType = Literal["query", "passage"]
Truncation = Literal["refuse", "end", "start"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What a space must know of the model that fills it. Equal fingerprints make comparable vectors."""

    name: str
    fingerprint: str
    dimension: int
    max_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TextNote:
    """What happened to one text: tokens it has, tokens cut off before the model saw it, or why it has no vector."""

    tokens: int
    cut: int = 0
    error: MinivecError | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """`vectors` is float32 of shape (texts, dimension), in the order of the texts; the row of a failed text is zeros."""

    vectors: NDArray[np.float32]
    notes: tuple[TextNote, ...]


class Embedder(Protocol):
    """One model, ready to embed from any thread."""

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint, dimension and token limit."""
        ...

    def embed(self, texts: Sequence[str], *, input_type: InputType, truncate: Truncation = "refuse") -> Embedded:
        """Embed the texts. A text that fails or is too long under `refuse` fails alone, in its note.

        Raises Busy when the queue is full, Closed after close, EmbeddingFailed when the model itself is gone.
        """
        ...


class EmbedderSource(Protocol):
    """Gives the embedder of a model, loading it at the first call."""

    def embedder(self, model: str) -> Embedder:
        """The embedder of this model name or folder. Raises ModelNotFound, WeightsMismatch."""
        ...

    def close(self) -> None:
        """Stop every worker; texts still waiting end in Closed."""
        ...
