"""An embedder source that counts what it is asked, and can be told to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minivec.embedding.engine import Engine
from minivec.embedding.interface import Embedded, Embedder, InputType, ModelCard, TextNote, Truncation
from minivec.errors import EmbeddingFailed, ModelNotFound


class Few:
    """An engine that has a few models and no others. Models given as `name@2` are another version of `name`."""

    def __init__(self, *models: str, dimension: int = 16) -> None:
        self.models = dict(model.split("@") if "@" in model else (model, "1") for model in models)
        self._engine = Engine.fake(dimension)

    def embedder(self, model: str) -> Embedder:
        if model not in self.models:
            raise ModelNotFound(f"No model is named {model!r}.")
        return self._engine.embedder(f"{model}@{self.models[model]}")

    def close(self) -> None:
        self._engine.close()


class Counting:
    """Wraps an engine: `asked` lists (input type, text) in order; texts for which `poison` is true fail alone."""

    def __init__(self, source: Engine, poison: Callable[[str], bool] = lambda text: False) -> None:
        self.source = source
        self.poison = poison
        self.asked: list[tuple[InputType, str]] = []
        self.fingerprint: str | None = None

    def embedder(self, model: str) -> Embedder:
        return _Counted(self, self.source.embedder(model))

    def close(self) -> None:
        self.source.close()


class _Counted:
    def __init__(self, counting: Counting, inner: Embedder) -> None:
        self._counting = counting
        self._inner = inner

    @property
    def card(self) -> ModelCard:
        card = self._inner.card
        if self._counting.fingerprint is None:
            return card
        return ModelCard(
            name=card.name, fingerprint=self._counting.fingerprint, dimension=card.dimension, max_tokens=card.max_tokens
        )

    def embed(self, texts: Sequence[str], *, input_type: InputType, truncate: Truncation = "refuse") -> Embedded:
        self._counting.asked += [(input_type, text) for text in texts]
        result = self._inner.embed(texts, input_type=input_type, truncate=truncate)
        notes = tuple(
            TextNote(tokens=note.tokens, error=EmbeddingFailed("The model choked."))
            if self._counting.poison(text)
            else note
            for text, note in zip(texts, result.notes, strict=True)
        )
        return Embedded(vectors=np.asarray(result.vectors), notes=notes)
