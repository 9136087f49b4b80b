"""The front door of embedding: gives out embedders, loads each model once at its first use, and owns the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from minivec.embedding.backend import FakeBackend, FakeTokenizer
from minivec.embedding.embedder import ScheduledEmbedder
from minivec.embedding.interface import Embedder, ModelCard
from minivec.embedding.model import LoadedModel, load_model, model_key
from minivec.embedding.options import EngineOptions
from minivec.embedding.prompts import Prompts
from minivec.embedding.scheduler import Scheduler
from minivec.errors import Closed

__all__ = ["Engine", "EngineHealth", "EngineOptions"]

FAKE_MAX_TOKENS = 256

Load = Callable[[str, EngineOptions], LoadedModel]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineHealth:
    """`ready` False means texts will fail; `notes` say why. `models` are those loaded so far."""

    ready: bool
    devices: tuple[str, ...]
    models: tuple[str, ...]
    waiting_tokens: int
    notes: tuple[str, ...]


class Engine:
    """Implements EmbedderSource over models run in this process. Cheap to make; safe from any thread."""

    def __init__(self, options: EngineOptions | None = None, *, load: Load = load_model) -> None:
        self.options = options or EngineOptions()
        self._load = load
        self._embedders: dict[str, ScheduledEmbedder] = {}
        self._schedulers: dict[str, Scheduler] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def fake(cls, dimension: int = 64, *, options: EngineOptions | None = None) -> Engine:
        """An engine for tests: answers to every model name, at once, with vectors made from the words' hashes."""
        return cls(options, load=lambda name, _: _fake_model(name, dimension))

    def embedder(self, model: str) -> Embedder:
        """The embedder of a catalogued name or a local folder; its first call loads the model, others wait for it.

        Raises ModelNotFound, WeightsMismatch, and Closed after close.
        """
        key = model_key(model, self.options.models)
        with self._lock:
            if self._closed:
                raise Closed("The embedding engine is closed.")
            if key not in self._embedders:
                loaded = self._load(model, self.options)
                self._embedders[key] = ScheduledEmbedder(loaded, self._scheduler_of(loaded))
            return self._embedders[key]

    def warm_up(self, *models: str) -> None:
        """Load these models and run one text through each, so that the first request is as fast as the next."""
        for model in models:
            self.embedder(model).embed(["warm up"], input_type="query", truncate="end")

    def health(self) -> EngineHealth:
        """How the engine is, at once; an engine that has loaded nothing yet is ready."""
        schedulers = list(self._schedulers.values())
        notes = [f"{scheduler.device}: {scheduler.trouble}" for scheduler in schedulers if scheduler.trouble]
        if self._closed and not schedulers:
            notes.append("closed")
        return EngineHealth(
            ready=not notes,
            devices=tuple(scheduler.device for scheduler in schedulers),
            models=tuple(embedder.card.name for embedder in list(self._embedders.values())),
            waiting_tokens=sum(scheduler.waiting_tokens for scheduler in schedulers),
            notes=tuple(notes),
        )

    def close(self) -> None:
        """Stop every worker; texts still waiting end in Closed. Closing twice is fine."""
        with self._lock:
            self._closed = True
        for scheduler in self._schedulers.values():
            scheduler.close()

    def _scheduler_of(self, loaded: LoadedModel) -> Scheduler:
        backend = loaded.backend
        if backend.device not in self._schedulers:
            self._schedulers[backend.device] = Scheduler(
                backend.device,
                batch_tokens=self.options.batch_tokens or backend.batch_tokens,
                queue_tokens=self.options.queue_tokens,
            )
        return self._schedulers[backend.device]


def _fake_model(name: str, dimension: int) -> LoadedModel:
    return LoadedModel(
        card=ModelCard(
            name=name, fingerprint=f"fake-{name}-{dimension}", dimension=dimension, max_tokens=FAKE_MAX_TOKENS
        ),
        prompts=Prompts(),
        pool_prompt=True,
        tokenizer=FakeTokenizer(),
        backend=FakeBackend(dimension),
    )
