"""The front door of embedding: gives out embedders, loads each model once at its first use, and owns the workers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from minivec.embedding.backend import DeviceLost, FakeBackend, FakeTokenizer
from minivec.embedding.budget import measured_tokens
from minivec.embedding.cache import CachedEmbedder, CacheUse, VectorCache
from minivec.embedding.devices import named_devices
from minivec.embedding.embedder import ScheduledEmbedder
from minivec.embedding.interface import Embedder, ModelCard, Reranker
from minivec.embedding.model import LoadedModel, load_model, model_key
from minivec.embedding.options import EngineOptions
from minivec.embedding.prompts import Prompts
from minivec.embedding.reranker import LoadedReranker, ScheduledReranker
from minivec.embedding.reranker_fake import fake_reranker
from minivec.embedding.reranker_model import load_reranker, reranker_key, reranks
from minivec.embedding.scheduler import Scheduler
from minivec.errors import Closed, EmbeddingFailed

__all__ = ["Engine", "EngineHealth", "EngineOptions"]

FAKE_MAX_TOKENS = 256
FALLBACK_BATCH_TOKENS = 1024  # for what is run by these workers without having been loaded by this engine

Load = Callable[[str, EngineOptions], LoadedModel]
LoadReranker = Callable[[str, EngineOptions], LoadedReranker]
Loaded = TypeVar("Loaded", LoadedModel, LoadedReranker)


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineHealth:
    """`ready` False means texts will fail. `notes` say why, or which of several devices is gone while others go on.

    `models` and `rerankers` are those loaded so far; `cache` is how the cache does, None when it is off.
    """

    ready: bool
    devices: tuple[str, ...]
    models: tuple[str, ...]
    waiting_tokens: int
    notes: tuple[str, ...]
    rerankers: tuple[str, ...] = ()
    cache: CacheUse | None = None


class Engine:
    """Implements EmbedderSource and RerankerSource over models run in this process. Cheap to make; safe from any thread."""

    def __init__(
        self,
        options: EngineOptions | None = None,
        *,
        load: Load = load_model,
        load_reranker: LoadReranker = load_reranker,
    ) -> None:
        self.options = options or EngineOptions()
        self._load = load
        self._load_reranker = load_reranker
        self._rerankers: dict[str, ScheduledReranker] = {}
        self._cache = VectorCache(self.options.cache_bytes) if self.options.cache_bytes else None
        self._embedders: dict[str, Embedder] = {}
        self._schedulers: dict[tuple[str, ...], Scheduler] = {}
        self._lock = threading.Lock()
        self._closed = False

    @classmethod
    def fake(cls, dimension: int = 64, *, options: EngineOptions | None = None) -> Engine:
        """An engine for tests: answers to every model name, at once, with vectors made from the words' hashes.

        Its rerankers count the words that query and passage share.
        """
        return cls(
            options,
            load=lambda name, _: _fake_model(name, dimension),
            load_reranker=lambda name, _: fake_reranker(name, FAKE_MAX_TOKENS),
        )

    def embedder(self, model: str) -> Embedder:
        """The embedder of a catalogued name or a local folder; its first call loads the model, others wait for it.

        Raises ModelNotFound, WeightsMismatch, and Closed after close.
        """
        key = model_key(model, self.options.models)
        if not self._closed and (known := self._embedders.get(key)):  # while another model loads, this one answers
            return known
        with self._lock:
            if self._closed:
                raise Closed("The embedding engine is closed.")
            if key not in self._embedders:
                self._embedders[key] = self._loaded(model)
            return self._embedders[key]

    def reranker(self, model: str) -> Reranker:
        """The reranker of a catalogued name or a local folder; it shares the devices with the embedders.

        Raises ModelNotFound, WeightsMismatch, and Closed after close.
        """
        key = reranker_key(model, self.options.models)
        if not self._closed and (known := self._rerankers.get(key)):
            return known
        with self._lock:
            if self._closed:
                raise Closed("The embedding engine is closed.")
            if key not in self._rerankers:
                self._rerankers[key] = ScheduledReranker(*self._served(self._load_reranker, model))
            return self._rerankers[key]

    def warm_up(self, *models: str) -> None:
        """Load these models and run one text through each, so that the first request is as fast as the next."""
        for model in models:
            if reranks(model, self.options.models):
                self.reranker(model).rank("warm up", ["warm up"])
            else:
                self.embedder(model).embed(["warm up"], input_type="query", truncate="end")

    def health(self) -> EngineHealth:
        """How the engine is, at once; an engine that has loaded nothing yet is ready."""
        schedulers = list(self._schedulers.values())
        notes = [note for scheduler in schedulers for note in scheduler.notes]
        if self._closed and not schedulers:
            notes.append("closed")
        return EngineHealth(
            ready=not self._closed and not any(scheduler.trouble for scheduler in schedulers),
            devices=tuple(device for scheduler in schedulers for device in scheduler.devices),
            models=tuple(embedder.card.name for embedder in list(self._embedders.values())),
            waiting_tokens=sum(scheduler.waiting_tokens for scheduler in schedulers),
            notes=tuple(notes),
            rerankers=tuple(reranker.card.name for reranker in list(self._rerankers.values())),
            cache=None if self._cache is None else self._cache.use,
        )

    def close(self) -> None:
        """Stop every worker; texts still waiting end in Closed. Closing twice is fine."""
        with self._lock:
            self._closed = True
        for scheduler in self._schedulers.values():
            scheduler.close()

    def _loaded(self, model: str) -> Embedder:
        embedder = ScheduledEmbedder(*self._served(self._load, model))
        return embedder if self._cache is None else CachedEmbedder(embedder, self._cache)

    def _served(self, load: Callable[[str, EngineOptions], Loaded], model: str) -> tuple[Loaded, Scheduler]:
        """Load the model on every device, measure what a pass may hold, and make it known to the devices' workers."""
        devices = named_devices(self.options.device)
        loaded = [load(model, replace(self.options, device=device)) for device in devices]
        backends = [one.backend for one in loaded]
        try:
            budgets = [self.options.batch_tokens or self._measured(one) for one in loaded]
        except DeviceLost as error:
            raise EmbeddingFailed(f"The device failed while {model} was tried out: {error}.") from error
        scheduler = self._scheduler_of(tuple(backend.device for backend in backends))
        scheduler.serve(backends, batch_tokens=min(budgets))
        return loaded[0], scheduler

    def _measured(self, loaded: LoadedModel | LoadedReranker) -> int:
        return measured_tokens(loaded.backend, longest=loaded.card.max_tokens)

    def _scheduler_of(self, devices: tuple[str, ...]) -> Scheduler:
        if devices not in self._schedulers:
            self._schedulers[devices] = Scheduler(
                *devices,
                batch_tokens=self.options.batch_tokens or FALLBACK_BATCH_TOKENS,
                queue_tokens=self.options.queue_tokens,
                queue_delay=self.options.queue_delay_us / 1e6,
            )
        return self._schedulers[devices]


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
