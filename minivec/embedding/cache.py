"""Vectors kept for texts that come again: the text, the model and everything asked of it are the key, bytes are the limit.

Only vectors are kept, never failures. What was used longest ago goes first.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from minivec.embedding.embedder import check_request
from minivec.embedding.interface import Embedded, Embedder, EmbeddingType, InputType, ModelCard, TextNote, Truncation
from minivec.embedding.quantize import form_for

KEY_BYTES = 20
ENTRY_BYTES = 300  # what an entry takes beside its vector: key, note, places in the dictionary


@dataclass(frozen=True, slots=True)
class Kept:
    """One vector's bytes, and how many tokens its text had and lost."""

    vector: bytes
    tokens: int
    cut: int

    @property
    def size(self) -> int:
        """The bytes it takes in the cache."""
        return len(self.vector) + ENTRY_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheUse:
    """Texts found and not found since the start; entries and bytes now."""

    hits: int
    misses: int
    entries: int
    bytes: int


class VectorCache:
    """At most `limit` bytes of vectors, of any models. Safe from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._bytes = self._hits = self._misses = 0

    def find(self, keys: Sequence[bytes]) -> list[Kept | None]:
        """What is kept under each key; None where nothing is."""
        with self._lock:
            found = [self._kept.get(key) for key in keys]
            for key, kept in zip(keys, found, strict=True):
                if kept is not None:
                    self._kept.move_to_end(key)
            misses = found.count(None)
            self._misses += misses
            self._hits += len(found) - misses
        return found

    def keep(self, entries: Iterable[tuple[bytes, Kept]]) -> None:
        """Keep these, and forget what was used longest ago until all fit; what is larger than the cache is not kept."""
        with self._lock:
            for key, kept in entries:
                if kept.size > self._limit:
                    continue
                old = self._kept.pop(key, None)
                self._bytes += kept.size - (old.size if old else 0)
                self._kept[key] = kept
                while self._bytes > self._limit:
                    self._bytes -= self._kept.popitem(last=False)[1].size

    @property
    def use(self) -> CacheUse:
        """How much it helps, and what it costs."""
        with self._lock:
            return CacheUse(hits=self._hits, misses=self._misses, entries=len(self._kept), bytes=self._bytes)


class CachedEmbedder:
    """Implements Embedder: asks another one only for the texts that the cache lacks, each of them once a call."""

    def __init__(self, inner: Embedder, cache: VectorCache) -> None:
        self._inner = inner
        self._cache = cache

    @property
    def card(self) -> ModelCard:
        """The model's name, fingerprint, dimension and token limit."""
        return self._inner.card

    def embed(
        self,
        texts: Sequence[str],
        *,
        input_type: InputType,
        truncate: Truncation = "refuse",
        dimensions: int | None = None,
        embedding_type: EmbeddingType = "float",
    ) -> Embedded:
        """Embed the texts in order; see Embedder.embed."""
        check_request(texts, input_type, truncate)
        form = form_for(self.card, dimensions, embedding_type)
        asked = (self.card.fingerprint, input_type, truncate, str(form.dimensions), embedding_type)
        keys = _keys(texts, asked)
        found = self._cache.find(keys)
        lacking = {key: text for key, text, kept in zip(keys, texts, found, strict=True) if kept is None}
        fresh = Embedded(vectors=np.zeros((0, form.columns(self.card.dimension)), form.dtype), notes=())
        if lacking:
            fresh = self._inner.embed(
                list(lacking.values()),
                input_type=input_type,
                truncate=truncate,
                dimensions=dimensions,
                embedding_type=embedding_type,
            )
            self._keep(list(lacking), fresh)
        if len(lacking) == len(texts):
            return fresh
        return _together(keys, found, dict(zip(lacking, range(len(lacking)), strict=True)), fresh)

    def _keep(self, keys: Sequence[bytes], fresh: Embedded) -> None:
        self._cache.keep(
            (key, Kept(vector.tobytes(), note.tokens, note.cut))
            for key, vector, note in zip(keys, fresh.vectors, fresh.notes, strict=True)
            if note.error is None
        )


def _together(
    keys: Sequence[bytes], found: Sequence[Kept | None], rows: Mapping[bytes, int], fresh: Embedded
) -> Embedded:
    """What was kept and what is fresh, whose row each key has in `rows`, in the order of the keys."""
    vectors = np.zeros((len(keys), fresh.vectors.shape[1]), fresh.vectors.dtype)
    notes: list[TextNote] = []
    for place, (key, kept) in enumerate(zip(keys, found, strict=True)):
        if kept is None:
            vectors[place] = fresh.vectors[rows[key]]
            notes.append(fresh.notes[rows[key]])
        else:
            vectors[place] = np.frombuffer(kept.vector, vectors.dtype)
            notes.append(TextNote(tokens=kept.tokens, cut=kept.cut))
    return Embedded(vectors=vectors, notes=tuple(notes))


def _keys(texts: Sequence[str], asked: Sequence[str]) -> list[bytes]:
    begun = hashlib.blake2b("\0".join(asked).encode() + b"\0", digest_size=KEY_BYTES)
    keys = []
    for text in texts:
        whole = begun.copy()
        whole.update(text.encode("utf-8", "surrogatepass"))
        keys.append(whole.digest())
    return keys
