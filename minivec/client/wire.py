"""One request as data and how its answer is read: values to JSON bytes, JSON bytes to types, errors as themselves. No I/O."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

from minivec.errors import (
    Busy,
    Conflict,
    InvalidInput,
    LimitExceeded,
    MinivecError,
    NotFound,
    Unavailable,
    UnexpectedAnswer,
    by_code,
)
from minivec.types.codec import from_plain, to_plain

T = TypeVar("T")

_BY_STATUS: dict[int, type[MinivecError]] = {
    400: InvalidInput,
    404: NotFound,
    409: Conflict,
    413: LimitExceeded,
    422: InvalidInput,
    429: Busy,
    503: Unavailable,
}
_KEY_HINT = "Connect with api_key=...; on the command line give --api-key or set MINIVEC_API_KEY."


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Call(Generic[T]):
    """A request and the function that reads its reply.

    `repeatable`: sending it twice leaves the same state as once. `tries` bounds how often it is sent at all.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    tries: int = 5


def path_of(*parts: str) -> str:
    """The path under /v1 for these parts, each escaped whole: a slash in a name stays part of the name.

    Raises InvalidInput for names that no path can carry.
    """
    for part in parts:
        if not isinstance(part, str) or part in ("", ".", ".."):
            raise InvalidInput(f"{part!r} cannot be the name of anything.", hint="Give a name with letters in it.")
    try:
        return "/v1/" + "/".join(quote(part, safe="") for part in parts)
    except UnicodeEncodeError as error:
        raise InvalidInput("The name holds half a surrogate pair.", hint="Send valid Unicode text.") from error


def encode(value: Any, field: str = "") -> bytes:
    """A value as compact JSON in UTF-8. Types of minivec, arrays (`.tolist()`), dates and UUIDs are taken too.

    Raises InvalidInput that names the place of a value JSON cannot carry.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_json)
        return text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise _what_is_wrong(value, field, error) from error


def _as_json(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy arrays and scalars, torch tensors on the CPU
        return value.tolist()
    if isinstance(value, date):
        return value.isoformat() if isinstance(value, datetime) else f"{value.isoformat()}T00:00:00Z"
    if isinstance(value, UUID):
        return str(value)
    plain = to_plain(value)
    if plain is value:
        raise TypeError(f"A {type(value).__name__} is not a JSON value.")
    return plain


def _what_is_wrong(value: Any, field: str, error: Exception) -> InvalidInput:
    if isinstance(error, RecursionError) or "Circular" in str(error):
        return InvalidInput("The value is nested too deeply, or contains itself.", field=field, hint="Flatten it.")
    for where, leaf in _leaves(value, field):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            hint = "Leave the value out instead of NaN or Infinity."
            return InvalidInput("The number is not finite.", field=where, hint=hint)
        if isinstance(leaf, str) and any("\ud800" <= c <= "\udfff" for c in leaf):
            return InvalidInput("The text holds half a surrogate pair.", field=where, hint="Send valid Unicode text.")
    return InvalidInput(str(error), field=field, hint="Convert it first.")


def _leaves(value: Any, field: str) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        for key, item in value.items():
            where = f"{field}.{key}" if field else str(key)
            yield where, key
            yield from _leaves(item, where)
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{field}[{position}]")
    else:
        yield field, value


def reads(kind: type[T]) -> Callable[[Reply], T]:
    """A reader of replies that hold this type as JSON."""

    def read(reply: Reply) -> T:
        data = read_json(reply)
        try:
            return from_plain(kind, data)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise unexpected(reply, f"it holds no {kind.__name__} ({error})") from error

    return read


def reads_member(name: str, kind: type[T]) -> Callable[[Reply], tuple[T, ...]]:
    """A reader of replies `{name: [kind, ...]}`."""

    def read(reply: Reply) -> tuple[T, ...]:
        data = read_json(reply)
        try:
            return tuple(from_plain(kind, item) for item in data[name])
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise unexpected(reply, f"it holds no list of {kind.__name__} in {name!r} ({error})") from error

    return read


def read_json(reply: Reply) -> Any:
    """The JSON of a reply that went well. Raises the error a reply carries, and UnexpectedAnswer where it is no JSON."""
    raise_for_error(reply)
    return _parse(reply)


def raise_for_error(reply: Reply) -> None:
    """Raise the error of a reply as the class of its code; return when the reply is none."""
    if 200 <= reply.status < 300:
        return
    if 300 <= reply.status < 400:
        where = reply.headers.get("location", "elsewhere")
        raise unexpected(reply, f"it redirects to {where}")
    raise error_of(reply)


def error_of(reply: Reply) -> MinivecError:
    """The error a reply of status 400 and more carries; UnexpectedAnswer where it has not minivec's shape."""
    try:
        body = json.loads(reply.content)["error"]
        code, message = str(body["code"]), str(body["message"])
    except (ValueError, TypeError, KeyError):
        return _error_of_a_stranger(reply)
    kind = by_code().get(code) or _BY_STATUS.get(reply.status, MinivecError)
    hint = _KEY_HINT if reply.status == 401 else str(body.get("hint") or "")
    error = kind(message, hint=hint, field=str(body.get("field") or ""))
    if isinstance(error, Busy):
        error.retry_after = retry_after(reply) or error.retry_after
    return error


def retry_after(reply: Reply) -> float | None:
    """The seconds of a Retry-After header; None where it is missing, a date or nonsense."""
    try:
        seconds = float(reply.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _error_of_a_stranger(reply: Reply) -> MinivecError:
    """The error for a reply that a proxy or another server wrote."""
    says = f"The answer was {reply.status}, from something in front of the server."
    if reply.status == 413:
        return LimitExceeded(says, hint="Send less at once.")
    if reply.status in (429, 503) and (seconds := retry_after(reply)) is not None:
        return Busy(says, hint="Try again later.", retry_after=seconds)
    if reply.status in (502, 503, 504):
        return Unavailable(says, hint="Is the server still starting? Try again.")
    return unexpected(reply, f"status {reply.status}, and not minivec's error shape")


def unexpected(reply: Reply, what: str) -> UnexpectedAnswer:
    """An UnexpectedAnswer that says what came instead and shows how it begins."""
    begins = reply.content[:80].decode("utf-8", "replace").replace("\n", " ").strip()
    shown = f" It begins: {begins!r}." if begins else ""
    return UnexpectedAnswer(
        f"The answer is not minivec's: {what}.{shown}",
        hint="Does the URL name a minivec server, and does no proxy answer in its place?",
    )


def _parse(reply: Reply) -> Any:
    try:
        return json.loads(reply.content)
    except ValueError as error:
        raise unexpected(reply, f"status {reply.status}, but no JSON") from error
