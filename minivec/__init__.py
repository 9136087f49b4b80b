"""minivec: a miniature vector database with the vectorizer built in. The public names, and nothing heavy.

db = minivec.open("my-data")                      # embedded, in this process
db = minivec.connect("http://127.0.0.1:8080")     # the same handle, over HTTP
db = await minivec.connect_async(...)             # the same methods, awaited
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from minivec import errors
from minivec.errors import MinivecError, Unavailable
from minivec.settings import Settings
from minivec.types.answer import Answer, FirstStage, Hit, Plan, PlanLeg, PlanRerank, ScorePart, TermScore
from minivec.types.collection import (
    BinaryOptions,
    CollectionConfig,
    CollectionInfo,
    HnswOptions,
    IndexState,
    KeywordOptions,
    Property,
    VectorSpace,
)
from minivec.types.credentials import Credentials
from minivec.types.filter import And, Equal, Filter
from minivec.types.object import DeleteReport, Draft, ImportReport, ObjectPage, Outcome, StoredObject, TokenNote
from minivec.types.query import Rerank
from minivec.types.reembed import Reembedded, ReembedJob

if TYPE_CHECKING:
    import httpx

    from minivec.client.client import AsyncClient, Client
    from minivec.database import Database
    from minivec.embedding.interface import EmbedderSource

__all__ = [
    "And",
    "Answer",
    "BinaryOptions",
    "CollectionConfig",
    "CollectionInfo",
    "Credentials",
    "DeleteReport",
    "Draft",
    "Equal",
    "Filter",
    "FirstStage",
    "Hit",
    "HnswOptions",
    "ImportReport",
    "IndexState",
    "KeywordOptions",
    "MinivecError",
    "ObjectPage",
    "Outcome",
    "Plan",
    "PlanLeg",
    "PlanRerank",
    "Property",
    "ReembedJob",
    "Reembedded",
    "Rerank",
    "ScorePart",
    "Settings",
    "StoredObject",
    "TermScore",
    "TokenNote",
    "VectorSpace",
    "connect",
    "connect_async",
    "errors",
    "open",
]

_DATABASE_PACKAGES = ("numpy", "sqlalchemy", "faiss", "orjson")


def open(
    path: str | Path = ":memory:",
    *,
    read_only: bool = False,
    settings: Settings | None = None,
    embedders: EmbedderSource | None = None,
) -> Database:
    """Open the database in this folder (made when missing), or in memory with ":memory:"; close it, or use `with`.

    One process may write; `read_only=True` opens beside it. `embedders` replaces the built-in embedding engine.
    Raises DatabaseLocked, NewerFormat, InvalidInput; Unavailable where the database's packages are not installed.

        with minivec.open(":memory:") as db:
            notes = db.create_collection("notes")
            notes.import_objects([{"properties": {"text": "Bees dance to tell the way."}}])
            print(notes.near_text("insects that talk"))
    """
    try:
        from minivec.database import open_database
    except ModuleNotFoundError as error:
        if error.name not in _DATABASE_PACKAGES:
            raise
        raise Unavailable(
            f"To open a database in this process the package {error.name!r} is needed.",
            hint="pip install 'minivec[all]', or connect to a server with minivec.connect(url).",
        ) from error
    return open_database(path, read_only=read_only, settings=settings, embedders=embedders)


def connect(
    url: str = "http://127.0.0.1:8080",
    *,
    timeout: float = 60.0,
    api_key: str | None = None,
    nvidia_api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.BaseTransport | None = None,
) -> Client:
    """Connect to a minivec server; close the client, or use `with`. `timeout` is in seconds, for each request.

    `nvidia_api_key` is the caller's own key for spaces whose vectors NVIDIA makes; `headers` go with every request.
    `transport` replaces the network, for tests. Raises ConnectionFailed when nobody answers there and
    UnexpectedAnswer when what answers is not minivec.
    """
    from minivec.client.client import Client

    return Client.connect(
        url, timeout=timeout, api_key=api_key, headers=_with_key(headers, nvidia_api_key), transport=transport
    )


async def connect_async(
    url: str = "http://127.0.0.1:8080",
    *,
    timeout: float = 60.0,
    api_key: str | None = None,
    nvidia_api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncClient:
    """`connect` for asyncio: the same handle, with every method awaited."""
    from minivec.client.client import AsyncClient

    more = _with_key(headers, nvidia_api_key)
    return await AsyncClient.connect(url, timeout=timeout, api_key=api_key, headers=more, transport=transport)


def _with_key(headers: Mapping[str, str] | None, nvidia_api_key: str | None) -> dict[str, str]:
    more = {} if nvidia_api_key is None else {"X-NVIDIA-Api-Key": nvidia_api_key}
    return {**(headers or {}), **more}


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # 20 ms that few programs need

        globals()[name] = found = version("minivec")
        return found
    raise AttributeError(f"module 'minivec' has no attribute {name!r}")
