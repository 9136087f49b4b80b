"""The handles over HTTP. Every method is a function of `requests.py`; the two forms differ in how they send."""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

import httpx

from minivec.client import requests
from minivec.client.importing import ImportRun, import_in_steps, import_in_steps_async
from minivec.client.reembedding import follow, follow_async
from minivec.client.retry import Retry
from minivec.client.transport import AsyncSender, Sender
from minivec.client.wire import Call
from minivec.progress import Progress, total_of
from minivec.types.collection import CollectionInfo, KeywordOptions, Property, Vectorizer, VectorSpace
from minivec.types.credentials import Credentials
from minivec.types.object import Draft, ImportMode, ImportReport
from minivec.types.reembed import Reembedded

P = ParamSpec("P")
T = TypeVar("T")

_AT_ONCE = Retry(limit=1)


def _method(build: Callable[Concatenate[str, P], Call[T]]) -> Callable[Concatenate[RemoteCollection, P], T]:
    """The function that builds a call, as a method that sends it."""

    def method(self: RemoteCollection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._sender.send(build(self.name, *args, **kwargs))

    _dress(method, build)
    return method


def _async_method(
    build: Callable[Concatenate[str, P], Call[T]],
) -> Callable[Concatenate[AsyncRemoteCollection, P], Awaitable[T]]:
    """The function that builds a call, as a coroutine method that sends it."""

    async def method(self: AsyncRemoteCollection, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._sender.send(build(self.name, *args, **kwargs))

    _dress(method, build)
    return method


def _dress(method: Any, build: Callable[..., Any]) -> None:
    """Give the method the name, documentation and signature a reader of the handle expects."""
    functools.update_wrapper(method, build)
    signature = inspect.signature(build)
    _, *parameters = signature.parameters.values()
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    returned = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    method.__signature__ = signature.replace(parameters=[this, *parameters], return_annotation=returned)


class RemoteCollection:
    """A collection on a server; the same methods as an embedded one."""

    def __init__(self, name: str, sender: Sender) -> None:
        self.name = name
        self._sender = sender

    def __repr__(self) -> str:
        return f"<RemoteCollection {self.name!r} at {self._sender.url}>"

    describe = _method(requests.describe)
    count = _method(requests.count)
    update = _method(requests.update)
    add_property = _method(requests.add_property)
    add_vector_space = _method(requests.add_vector_space)
    drop_vector_space = _method(requests.drop_vector_space)
    reembed_job = _method(requests.reembed_job)
    cancel_reembed = _method(requests.cancel_reembed)
    insert = _method(requests.insert)
    upsert = _method(requests.upsert)
    replace = _method(requests.replace)
    merge = _method(requests.merge)
    get = _method(requests.get)
    list_objects = _method(requests.list_objects)
    delete = _method(requests.delete)
    delete_where = _method(requests.delete_where)
    near_text = _method(requests.near_text)
    near_vector = _method(requests.near_vector)
    near_object = _method(requests.near_object)
    keyword = _method(requests.keyword)
    hybrid = _method(requests.hybrid)

    def reembed(
        self,
        space: str | None = None,
        *,
        vectorizer: Vectorizer | None = None,
        model: str | None = None,
        base_url: str | None = None,
        dimension: int | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Make a space's vectors anew from the stored text with another model, while the old ones go on answering.

        At the end the space's name means the new vectors; the old are kept (`kept_as`), and `switch_back` brings them
        back. It is a job of the server, which this call follows; the same call goes on where an interrupted one stopped.
        Raises InvalidInput, Conflict, EmbeddingFailed when texts were refused (unless `skip_refused`), Unavailable when
        the job was cancelled.
        """
        start = functools.partial(
            requests.reembed,
            self.name,
            vectorizer=vectorizer,
            model=model,
            base_url=base_url,
            dimension=dimension,
            skip_refused=skip_refused,
        )
        return follow(self.name, space, start, progress, self._sender.send)

    def switch_back(
        self,
        space: str | None = None,
        *,
        to: str | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Undo a reembed: the name goes back to the space kept last, or to the one named, the newer one is kept.

        What was imported since is embedded by the old model first. Raises what `reembed` does.
        """
        start = functools.partial(requests.switch_back, self.name, to=to, skip_refused=skip_refused)
        return follow(self.name, space, start, progress, self._sender.send)

    def import_objects(
        self,
        objects: Iterable[Draft | Mapping[str, Any]],
        *,
        mode: ImportMode = "upsert",
        id_from: Sequence[str] | None = None,
        batch_size: int = 256,
        progress: Progress | None = None,
        raise_on_failure: bool = True,
        resume_from: str | Path | None = None,
    ) -> ImportReport:
        """Store every object of an iterable, in batches; one outcome each, in their order.

        `mode`: upsert, insert, replace or merge. `id_from`: properties to make the uuid from, so that the same object
        gets the same uuid. `progress`: True for a line on stderr, a function of (done, total), None for a line on a
        terminal. `resume_from`: a journal, made when missing; after a crash the same call goes on where it stopped.
        Raises ImportFailed at the end when objects were not stored, unless `raise_on_failure` is False, and always when
        the server stays away; its `report` has every outcome so far.
        """
        run = ImportRun(
            self.name,
            mode=mode,
            id_from=id_from,
            batch_size=batch_size,
            progress=progress,
            total=total_of(objects),
            resume_from=resume_from,
        )
        return import_in_steps(run, objects, self._sender.send, raise_on_failure=raise_on_failure)


class AsyncRemoteCollection:
    """A collection on a server, for asyncio: the same methods, awaited."""

    def __init__(self, name: str, sender: AsyncSender) -> None:
        self.name = name
        self._sender = sender

    def __repr__(self) -> str:
        return f"<AsyncRemoteCollection {self.name!r} at {self._sender.url}>"

    describe = _async_method(requests.describe)
    count = _async_method(requests.count)
    update = _async_method(requests.update)
    add_property = _async_method(requests.add_property)
    add_vector_space = _async_method(requests.add_vector_space)
    drop_vector_space = _async_method(requests.drop_vector_space)
    reembed_job = _async_method(requests.reembed_job)
    cancel_reembed = _async_method(requests.cancel_reembed)
    insert = _async_method(requests.insert)
    upsert = _async_method(requests.upsert)
    replace = _async_method(requests.replace)
    merge = _async_method(requests.merge)
    get = _async_method(requests.get)
    list_objects = _async_method(requests.list_objects)
    delete = _async_method(requests.delete)
    delete_where = _async_method(requests.delete_where)
    near_text = _async_method(requests.near_text)
    near_vector = _async_method(requests.near_vector)
    near_object = _async_method(requests.near_object)
    keyword = _async_method(requests.keyword)
    hybrid = _async_method(requests.hybrid)

    async def reembed(
        self,
        space: str | None = None,
        *,
        vectorizer: Vectorizer | None = None,
        model: str | None = None,
        base_url: str | None = None,
        dimension: int | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Make a space's vectors anew with another model; see RemoteCollection's method."""
        start = functools.partial(
            requests.reembed,
            self.name,
            vectorizer=vectorizer,
            model=model,
            base_url=base_url,
            dimension=dimension,
            skip_refused=skip_refused,
        )
        return await follow_async(self.name, space, start, progress, self._sender.send)

    async def switch_back(
        self,
        space: str | None = None,
        *,
        to: str | None = None,
        skip_refused: bool = False,
        progress: Progress | None = None,
    ) -> Reembedded:
        """Undo a reembed; see RemoteCollection's method."""
        start = functools.partial(requests.switch_back, self.name, to=to, skip_refused=skip_refused)
        return await follow_async(self.name, space, start, progress, self._sender.send)

    async def import_objects(
        self,
        objects: Iterable[Draft | Mapping[str, Any]] | AsyncIterable[Draft | Mapping[str, Any]],
        *,
        mode: ImportMode = "upsert",
        id_from: Sequence[str] | None = None,
        batch_size: int = 256,
        progress: Progress | None = None,
        raise_on_failure: bool = True,
        resume_from: str | Path | None = None,
    ) -> ImportReport:
        """Store every object of an iterable or async iterable; the arguments are those of RemoteCollection's method."""
        run = ImportRun(
            self.name,
            mode=mode,
            id_from=id_from,
            batch_size=batch_size,
            progress=progress,
            total=total_of(objects),
            resume_from=resume_from,
        )
        return await import_in_steps_async(run, objects, self._sender.send, raise_on_failure=raise_on_failure)


class Client:
    """A minivec server as a database: the same methods as an embedded one. Close it, or use `with`."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._finalizer = weakref.finalize(self, sender.close)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.BaseTransport | None = None,
        retry: Retry | None = None,
    ) -> Client:
        """A client of the server at `url`, which is asked for its version. Raises ConnectionFailed, UnexpectedAnswer."""
        client = cls(Sender(url, timeout=timeout, api_key=api_key, headers=headers, transport=transport, retry=retry))
        try:
            client._sender.send(requests.server_version(), retry=_AT_ONCE)
        except BaseException:
            client.close()
            raise
        return client

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
    ) -> RemoteCollection:
        """Make a collection; without `vector_spaces` it has one, filled by the bundled model. Raises CollectionExists."""
        call = requests.create_collection(
            name,
            description=description,
            properties=properties,
            vector_spaces=vector_spaces,
            keyword=keyword,
            auto_schema=auto_schema,
        )
        sender = self._sender.bound(credentials)
        return RemoteCollection(sender.send(call).config.name, sender)

    def collection(self, name: str, *, credentials: Credentials | None = None) -> RemoteCollection:
        """The handle of a collection; `credentials` go with its requests, for model services. Raises CollectionNotFound."""
        sender = self._sender.bound(credentials)
        return RemoteCollection(sender.send(requests.describe(name)).config.name, sender)

    def list_collections(self) -> tuple[CollectionInfo, ...]:
        """Every collection, by name."""
        return self._sender.send(requests.list_collections())

    def drop_collection(self, name: str) -> None:
        """Delete a collection and everything in it. Raises CollectionNotFound."""
        self._sender.send(requests.drop_collection(name))

    def version(self) -> dict[str, Any]:
        """What the server is: its release, the version of its API, of SQLite, and of the format on disk."""
        return self._sender.send(requests.server_version())

    def close(self) -> None:
        """Close every connection; calls after this raise Closed."""
        self._finalizer()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._sender.url}>"


class AsyncClient:
    """A minivec server as a database, for asyncio: the methods of Client, awaited. Close it, or use `async with`."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        timeout: float = 60.0,
        api_key: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        retry: Retry | None = None,
    ) -> AsyncClient:
        """A client of the server at `url`, which is asked for its version. Raises ConnectionFailed, UnexpectedAnswer."""
        client = cls(
            AsyncSender(url, timeout=timeout, api_key=api_key, headers=headers, transport=transport, retry=retry)
        )
        try:
            await client._sender.send(requests.server_version(), retry=_AT_ONCE)
        except BaseException:
            await client.close()
            raise
        return client

    async def create_collection(
        self,
        name: str,
        *,
        description: str = "",
        properties: Sequence[Property] = (),
        vector_spaces: Sequence[VectorSpace] | None = None,
        keyword: KeywordOptions | None = None,
        auto_schema: bool = True,
        credentials: Credentials | None = None,
    ) -> AsyncRemoteCollection:
        """Make a collection; without `vector_spaces` it has one, filled by the bundled model. Raises CollectionExists."""
        call = requests.create_collection(
            name,
            description=description,
            properties=properties,
            vector_spaces=vector_spaces,
            keyword=keyword,
            auto_schema=auto_schema,
        )
        sender = self._sender.bound(credentials)
        return AsyncRemoteCollection((await sender.send(call)).config.name, sender)

    async def collection(self, name: str, *, credentials: Credentials | None = None) -> AsyncRemoteCollection:
        """The handle of a collection; `credentials` go with its requests, for model services. Raises CollectionNotFound."""
        sender = self._sender.bound(credentials)
        return AsyncRemoteCollection((await sender.send(requests.describe(name))).config.name, sender)

    async def list_collections(self) -> tuple[CollectionInfo, ...]:
        """Every collection, by name."""
        return await self._sender.send(requests.list_collections())

    async def drop_collection(self, name: str) -> None:
        """Delete a collection and everything in it. Raises CollectionNotFound."""
        await self._sender.send(requests.drop_collection(name))

    async def version(self) -> dict[str, Any]:
        """What the server is: its release, the version of its API, of SQLite, and of the format on disk."""
        return await self._sender.send(requests.server_version())

    async def close(self) -> None:
        """Close every connection; calls after this raise Closed."""
        await self._sender.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._sender.url}>"
