"""One loaded model as an Embedder: texts → prompt → tokens → the device's scheduler, and their outcomes back in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import Embedded, EmbeddingType, InputType, ModelCard, TextNote, Truncation
from minivec.embedding.model import LoadedModel
from minivec.embedding.quantize import VectorForm, form_for
from minivec.embedding.queue import Ticket
from minivec.embedding.scheduler import Scheduler
from minivec.embedding.tokens import TokenizedText, Untokenizable, tokenize
from minivec.errors import InvalidInput

WINDOW = 256  # texts tokenized and queued at a time, so that tokenizing overlaps with the model
WINDOWS_IN_FLIGHT = 2


@dataclass(frozen=True, slots=True)
class _Window:
    start: int
    prepared: list[TokenizedText | Untokenizable]
    ticket: Ticket


class ScheduledEmbedder:
    """Implements Embedder. Its texts share batches with those of other callers."""

    def __init__(self, model: LoadedModel, scheduler: Scheduler) -> None:
        self._model = model
        self._scheduler = scheduler

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint, dimension and token limit."""
        return self._model.card

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        """Embed the texts in order; see Embedder.embed.

        Once its first texts are accepted, a long call waits for room in the queue instead of raising Busy.
        """
        check_request(texts, input_type, truncate)
        form = form_for(self.card, dimensions, embedding_type)
        vectors = np.zeros((len(texts), form.columns(self.card.dimension)), form.dtype)
        notes: list[TextNote] = []
        in_flight: deque[_Window] = deque()
        try:
            for start in range(0, len(texts), WINDOW):
                in_flight.append(self._submit(texts, start, input_type, truncate, form))
                if len(in_flight) > WINDOWS_IN_FLIGHT:
                    notes.extend(self._collect(in_flight.popleft(), vectors))
            while in_flight:
                notes.extend(self._collect(in_flight.popleft(), vectors))
        finally:
            for window in in_flight:  # after a failure nobody would collect them
                self._scheduler.drop(window.ticket)
        return Embedded(vectors=vectors, notes=tuple(notes))

    def _submit(
        self, texts: Sequence[str], start: int, input_type: InputType, truncate: Truncation, form: VectorForm
    ) -> _Window:
        prepared = tokenize(
            self._model.tokenizer,
            texts[start : start + WINDOW],
            prompts=self._model.prompts,
            input_type=input_type,
            pool_prompt=self._model.pool_prompt,
            max_tokens=self.card.max_tokens,
            truncate=truncate,
        )
        readable = [text for text in prepared if isinstance(text, TokenizedText)]
        ticket = self._scheduler.submit(self._model.backend, readable, input_type, form=form, patient=start > 0)
        return _Window(start, prepared, ticket)

    def _collect(self, window: _Window, vectors: NDArray[Any]) -> list[TextNote]:
        self._scheduler.wait(window.ticket)
        outcomes = iter(zip(window.ticket.vectors, window.ticket.errors, strict=True))
        notes: list[TextNote] = []
        for row, text in enumerate(window.prepared, start=window.start):
            if isinstance(text, Untokenizable):
                notes.append(TextNote(tokens=text.total, error=text.error))
                continue
            vectors[row], error = next(outcomes)
            notes.append(TextNote(tokens=text.total, cut=text.cut, error=error))
        return notes


def check_request(texts: Sequence[str], input_type: InputType, truncate: Truncation) -> None:
    """Raise InvalidInput that names the argument which is none of what `embed` takes."""
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise InvalidInput("Texts come as a list of strings.", field="texts")
    if input_type not in get_args(InputType):
        raise InvalidInput(f"{input_type!r} is neither query nor passage.", field="input_type")
    if truncate not in get_args(Truncation):
        raise InvalidInput(f"{truncate!r} is none of refuse, end, start.", field="truncate")
