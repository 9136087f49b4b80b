"""One loaded cross-encoder as a Reranker: query and passages → pairs → the device's scheduler, and their logits in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from minivec.embedding.backend import Backend
from minivec.embedding.interface import ModelCard, Scores, TextNote, Truncation
from minivec.embedding.pairs import PairText, PairTokenizer, prepare
from minivec.embedding.queue import Ticket
from minivec.embedding.scheduler import Scheduler
from minivec.embedding.tokens import Untokenizable
from minivec.errors import InvalidInput

WINDOW = 128  # passages tokenized and queued at a time, so that tokenizing overlaps with the model


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedReranker:
    """Everything one cross-encoder needs to score pairs; the backend's rows are one logit long."""

    card: ModelCard
    tokenizer: PairTokenizer
    backend: Backend


class ScheduledReranker:
    """Implements Reranker. Its pairs wait where queries do: before the passages that are being embedded."""

    def __init__(self, model: LoadedReranker, scheduler: Scheduler) -> None:
        self._model = model
        self._scheduler = scheduler

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint and token limit; its dimension is 1."""
        return self._model.card

    def rank(self, query: str, passages: Sequence[str], *, truncate: Truncation = "end") -> Scores:
        """Score every passage against the query; see Reranker.rank. A passage that fails does so alone, in its note.

        Raises InvalidInput for what is no text, Busy when the queue is full, Closed, EmbeddingFailed.
        """
        check_ranking(query, passages, truncate)
        windows: list[tuple[list[PairText | Untokenizable], Ticket]] = []
        for start in range(0, len(passages), WINDOW):
            pairs = prepare(
                self._model.tokenizer,
                query,
                passages[start : start + WINDOW],
                max_tokens=self.card.max_tokens,
                truncate=truncate,
            )
            readable = [pair for pair in pairs if isinstance(pair, PairText)]
            ticket = self._scheduler.submit(self._model.backend, readable, "query", patient=start > 0)
            windows.append((pairs, ticket))
        logits: list[float] = []
        notes: list[TextNote] = []
        for pairs, ticket in windows:
            self._collect(pairs, ticket, logits, notes)
        return Scores(logits=np.array(logits, np.float32), notes=tuple(notes))

    def _collect(
        self, pairs: list[PairText | Untokenizable], ticket: Ticket, logits: list[float], notes: list[TextNote]
    ) -> None:
        self._scheduler.wait(ticket)
        outcomes = iter(zip(ticket.vectors, ticket.errors, strict=True))
        for pair in pairs:
            if isinstance(pair, Untokenizable):
                logits.append(-np.inf)
                notes.append(TextNote(tokens=pair.total, error=pair.error))
                continue
            row, error = next(outcomes)
            logits.append(float(row[0]) if error is None else -np.inf)
            notes.append(TextNote(tokens=pair.total, cut=pair.cut, error=error))


def check_ranking(query: str, passages: Sequence[str], truncate: Truncation) -> None:
    """Raises InvalidInput unless the query is text, the passages are a list of texts and the policy is one."""
    if not isinstance(query, str):
        raise InvalidInput("The query is not text.", field="query")
    if isinstance(passages, str) or not all(isinstance(passage, str) for passage in passages):
        raise InvalidInput("Passages come as a list of strings.", field="passages")
    if truncate not in get_args(Truncation):
        raise InvalidInput(f"{truncate!r} is none of refuse, end, start.", field="truncate")
