"""Opens a folder, or memory, and is the only place that wires storage, followers and embedder together."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from minivec.collection import Collection
from minivec.definition import check_collection_name, check_definition
from minivec.embedding.engine import Engine, EngineOptions
from minivec.embedding.interface import EmbedderSource, TellsHealth
from minivec.embedding.remote import RemoteSource
from minivec.errors import Closed, CollectionExists, CollectionNotFound, InvalidInput, ReadOnly, StorageError
from minivec.settings import Settings, keys_of
from minivec.shard import Shard
from minivec.storage.catalog import Catalog, CatalogEntry, new_id
from minivec.storage.connections import sqlite_version
from minivec.storage.engine import Truth
from minivec.storage.lock import DirectoryLock
from minivec.storage.tables import FORMAT
from minivec.types.collection import CollectionConfig, CollectionInfo, KeywordOptions, Property, VectorSpace
from minivec.types.credentials import Credentials
from minivec.vectorizer import Services, Vectorizers

log = logging.getLogger("minivec")

MEMORY = ":memory:"
_API = "1.0.0"


@dataclass(frozen=True, slots=True)
class Health:
    """Whether every index has caught up, and a sentence for each that has not or was found damaged."""

    ready: bool
    notes: tuple[str, ...]


class Database:
    """The collections of one data directory. Every method may be called from any thread."""

    def __init__(
        self,
        root: Path,
        *,
        embedders: EmbedderSource,
        durability: Literal["full", "relaxed", "memory"] = "full",
        read_only: bool = False,
        temporary: bool = False,
        remotes: RemoteSource | None = None,
        services: Services | None = None,
    ) -> None:
        self.root = root
        self.read_only = read_only
        self._durability = durability
        self._temporary = temporary
        self._embedders = embedders
        self._remotes = remotes or RemoteSource()
        self._vectorizers = Vectorizers(embedders, self._remotes, services)
        self._shards: dict[str, Shard] = {}
        self._damaged: dict[str, StorageError] = {}
        self._lock = threading.RLock()
        self._closed = False
        self._directory_lock = None if read_only else DirectoryLock(root)
        if self._directory_lock is not None:
            self._directory_lock.acquire()
        self._background = ThreadPoolExecutor(max_workers=2, thread_name_prefix="minivec-background")
        with ExitStack() as undo:
            undo.callback(self._release)
            self._catalog = Catalog(root, read_only=read_only, durability=durability)
            undo.callback(self._catalog.close)
            undo.callback(self._close_shards)
            self._open_all()
            undo.pop_all()

    @property
    def embedders(self) -> EmbedderSource:
        """What fills and questions the vector spaces; other facades may embed with it too. Closed with the database."""
        return self._embedders

    # ------------------------------------------------------------------ collections

    def create_collection(
        self,
        name: str,
        *,
        description: str = "",
        properties: Sequence[Property] = (),
        vector_spaces: Sequence[VectorSpace] | None = None,
        keyword: KeywordOptions | None = None,
        auto_schema: bool = True,
        credentials: Credentials | None = None,
    ) -> Collection:
        """Make a collection. Without `vector_spaces` it gets one named `default`, filled by the bundled model.

        `credentials` are for calling model services with this handle.
        Raises InvalidInput, CollectionExists, ReadOnly, ModelNotFound, WeightsMismatch.
        """
        config = CollectionConfig(
            name=name,
            description=description,
            properties=tuple(properties),
            vector_spaces=(VectorSpace(),) if vector_spaces is None else tuple(vector_spaces),
            keyword=keyword or KeywordOptions(),
            auto_schema=auto_schema,
        )
        return self.create(config, credentials)

    def create(self, config: CollectionConfig, credentials: Credentials | None = None) -> Collection:
        """Make a collection from its definition. Raises what `create_collection` does."""
        if self.read_only:
            raise ReadOnly("The database was opened read-only.", hint="Open it without read_only to change it.")
        check_definition(config)
        vectorizers = self._vectorizers.bound(credentials)
        for space in config.vector_spaces:
            config = config.with_space(vectorizers.settle(space))
        with self._lock:
            self._check_open()
            if config.name in self._shards or config.name in self._damaged:
                raise CollectionExists(
                    f"There is already a collection {config.name!r}.", field="name", hint="Choose another name."
                )
            id = new_id()
            truth = Truth.create(self._catalog.path(id), config, durability=self._durability)
            with ExitStack() as undo:
                undo.callback(truth.close)
                self._catalog.add(id, config.name)
                undo.pop_all()
            shard = self._shards[config.name] = self._shard(id, truth)
        shard.catch_up()
        return self.collection(config.name, credentials=credentials)

    def collection(self, name: str, *, credentials: Credentials | None = None) -> Collection:
        """The handle of a collection; `credentials` are for calling model services with it.

        Raises CollectionNotFound, InvalidInput.
        """
        check_collection_name(name)
        with self._lock:
            self._check_open()
            if name not in self._shards and self.read_only:
                self._open_all()
            shard, damaged = self._shards.get(name), self._damaged.get(name)
        if damaged is not None:
            raise damaged
        if shard is None:
            raise CollectionNotFound(f"There is no collection {name!r}.", field="collection", hint="Create it first.")
        return Collection(shard, self._vectorizers.bound(credentials))

    def list_collections(self) -> tuple[CollectionInfo, ...]:
        """Every collection by name: definition, number of objects, state of its indexes."""
        with self._lock:
            self._check_open()
            if self.read_only:
                self._open_all()
            names = sorted(self._shards)
        return tuple(info for name in names if (info := self._describe(name)) is not None)

    def drop_collection(self, name: str) -> None:
        """Delete a collection with everything in it. Raises CollectionNotFound, ReadOnly."""
        if self.read_only:
            raise ReadOnly("The database was opened read-only.", hint="Open it without read_only to change it.")
        check_collection_name(name)
        with self._lock:
            self._check_open()
            entry = next((entry for entry in self._catalog.entries() if entry.name == name), None)
            if entry is None:
                raise CollectionNotFound(f"There is no collection {name!r}.", field="collection")
            self._catalog.remove(entry.id)
            self._damaged.pop(name, None)
            shard = self._shards.pop(name, None)
        if shard is not None:
            shard.close(dropped=True)
        shutil.rmtree(
            self._catalog.path(entry.id), ignore_errors=True
        )  # what is left is cleared away at the next start

    # ------------------------------------------------------------------ the whole

    def guard(self, *, allow_private: bool = False) -> None:
        """From now on definitions and credentials come from strangers: their base URLs must be https and public.

        What a network facade calls before it serves. `allow_private` lifts that; an operator's key never goes there.
        """
        self._vectorizers = self._vectorizers.guarded(allow_private=allow_private)

    def health(self) -> Health:
        """Whether every index has caught up and the engine works. Raises Closed."""
        with self._lock:
            self._check_open()
            shards = list(self._shards.values())
        states = [(shard.name, state) for shard in shards for state in shard.followers.states()]
        notes = [f"{name} cannot be opened: {error}" for name, error in self._damaged.items()]
        notes += [
            f"{name}, index {state.name}: {state.note or 'starting'}"
            for name, state in states
            if state.note or not state.ready
        ]
        engine = self._embedders.health() if isinstance(self._embedders, TellsHealth) else None
        notes += [f"embedding engine: {note}" for note in (engine.notes if engine else ())]
        ready = all(state.ready for _, state in states) and (engine is None or engine.ready)
        return Health(ready=ready, notes=tuple(notes))

    def version(self) -> dict[str, str | int]:
        """The versions of minivec, its REST API, its disk format and of SQLite."""
        from minivec import __version__ as release  # read from the package's metadata, and kept there

        return {
            "release": release,
            "api": _API,
            "minivec": release,
            "sqlite": sqlite_version(),
            "format": FORMAT,
        }

    def close(self) -> None:
        """Finish what runs, save the indexes, free the folder. Closing twice is no error."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._remotes.close()
        self._close_shards()
        self._catalog.close()
        self._release()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return (
            f"<minivec.Database {MEMORY if self._temporary else self.root}{' (read-only)' if self.read_only else ''}>"
        )

    # ------------------------------------------------------------------ inside

    def _open_all(self) -> None:
        """Open what the catalog lists and is not open yet; clear away what a crash left half-made or half-dropped."""
        for entry in self._catalog.entries():
            if entry.name in self._shards:
                continue
            try:
                self._shards[entry.name] = self._open_shard(entry)
                self._damaged.pop(entry.name, None)
            except StorageError as error:  # the other collections are not to suffer
                log.error("collection %s cannot be opened: %s", entry.name, error)
                self._damaged[entry.name] = error
        if not self.read_only:
            for folder in self._catalog.orphans():
                log.info("removing %s, left over from a collection that was being made or dropped", folder.name)
                shutil.rmtree(folder, ignore_errors=True)

    def _open_shard(self, entry: CatalogEntry) -> Shard:
        truth = Truth.open(self._catalog.path(entry.id), read_only=self.read_only, durability=self._durability)
        return self._shard(entry.id, truth)

    def _shard(self, id: str, truth: Truth) -> Shard:
        return Shard(self._catalog.path(id), truth, read_only=self.read_only, background=self._background)

    def _close_shards(self) -> None:
        for shard in list(self._shards.values()):
            shard.close()

    def _describe(self, name: str) -> CollectionInfo | None:
        try:
            return self.collection(name).describe()
        except CollectionNotFound:  # dropped since the names were listed
            return None

    def _check_open(self) -> None:
        if self._closed:
            raise Closed("The database is closed.", hint="Open it again.")

    def _release(self) -> None:
        self._background.shutdown(wait=True)
        self._remotes.close()
        self._embedders.close()
        if self._directory_lock is not None:
            self._directory_lock.release()
        if self._temporary:
            shutil.rmtree(self.root, ignore_errors=True)


def open_database(
    path: str | Path = MEMORY,
    *,
    read_only: bool = False,
    settings: Settings | None = None,
    embedders: EmbedderSource | None = None,
) -> Database:
    """Open the database in a folder, made when missing, or a temporary one with `:memory:` that vanishes at close.

    Raises DatabaseLocked while another process writes to it, NewerFormat, CorruptData, InvalidInput.
    """
    settings = settings or Settings.read(keys_of(os.environ))
    if embedders is None:
        embedders = Engine(engine_options(settings))
    if str(path) == MEMORY:
        if read_only:
            raise InvalidInput("A database in memory cannot be read-only.", field="read_only", hint="Leave it out.")
        return Database(
            Path(tempfile.mkdtemp(prefix="minivec-")),
            embedders=embedders,
            durability="memory",
            temporary=True,
            remotes=RemoteSource(seconds=settings.remote_seconds),
            services=_services(settings),
        )
    return Database(
        Path(path).expanduser(),
        embedders=embedders,
        durability=settings.durability,
        read_only=read_only,
        remotes=RemoteSource(seconds=settings.remote_seconds),
        services=_services(settings),
    )


def _services(settings: Settings) -> Services:
    return Services(
        base_urls={"nvidia": settings.nvidia_base_url, "openai": settings.openai_base_url},
        keys={"nvidia": settings.nvidia_api_key, "openai": settings.openai_api_key},
    )


def engine_options(settings: Settings) -> EngineOptions:
    """What the settings say of the engine."""
    return EngineOptions(
        device=settings.device,
        dtype=settings.dtype,
        batch_tokens=settings.batch_tokens or None,
        queue_tokens=settings.queue_tokens,
        queue_delay_us=settings.queue_delay_us,
        cache_bytes=settings.cache_bytes,
        models=Path(settings.models).expanduser() if settings.models else None,
    )
