"""In which shape an address tells its errors: each facade has one of its own, and all else speaks that of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from minivec_server.errors import HttpRefusal


class Dialect(Protocol):
    """How a facade words a refusal."""

    def status(self, refusal: HttpRefusal) -> int:
        """The HTTP status the facade's clients expect."""
        ...

    def body(self, refusal: HttpRefusal, request_id: str) -> bytes:
        """The JSON of the error answer."""
        ...


class Dialects:
    """The dialect of every address: `by_path` names some, the rest have `other`."""

    def __init__(self, other: Dialect, by_path: Mapping[str, Dialect]) -> None:
        self._other = other
        self._by_path = dict(by_path)

    def of(self, path: str) -> Dialect:
        """The dialect at this path."""
        return self._by_path.get(path, self._other)
