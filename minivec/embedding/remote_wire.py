"""The JSON of `/v1/embeddings` as NIM and OpenAI speak it: requests out of texts, vectors and reasons out of answers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minivec.embedding.interface import InputType, Truncation
from minivec.embedding.providers import Provider

PATH = "/v1/embeddings"
TRUNCATE: dict[Truncation, str] = {"refuse": "NONE", "end": "END", "start": "START"}
_LONGEST_REASON = 300
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class Unreadable(Exception):
    """An answer of status 200 that holds no vectors, and why, in words that follow "its answer"."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """One entry per text, in order: the vector, or what is wrong with it; `tokens` of all together, 0 when not told."""

    rows: list[NDArray[np.float32] | str]
    tokens: int


def request_body(
    provider: Provider,
    model: str,
    texts: Sequence[str],
    *,
    input_type: InputType,
    truncate: Truncation,
    dimensions: int | None,
) -> bytes:
    """The body of a request. NVIDIA's services forbid fields they do not know, so nothing is sent that was not asked for."""
    body: dict[str, Any] = {"input": list(texts), "model": model, "encoding_format": "float"}
    if provider.asymmetric:
        body |= {"input_type": input_type, "truncate": TRUNCATE[truncate]}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def read_vectors(content: bytes, count: int) -> Vectors:
    """The vectors of an answer to `count` texts, put in order by their `index` where they carry one. Raises Unreadable."""
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"is not JSON; it begins {_beginning(content)!r}") from error
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise Unreadable(f"holds no list `data`; it begins {_beginning(content)!r}")
    if len(data) != count:
        raise Unreadable(f"holds {len(data)} vectors for {count} texts")
    rows = [_row(one.get("embedding")) for one in _in_order(data)]
    usage = answer.get("usage")
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else 0
    return Vectors(rows, tokens if type(tokens) is int and tokens > 0 else 0)


def reason_of(content: bytes) -> str:
    """What an error answer says, in one line: NIM 1.x and 2.x, NVIDIA's hosted service, OpenAI, FastAPI, plain text, HTML."""
    try:
        found = _reason(json.loads(content))
    except (ValueError, RecursionError):
        title = _TITLE.search(content[:10_000])
        found = title[1].decode("utf-8", "replace") if title else _beginning(content)
    return " ".join(found.split())[:_LONGEST_REASON]


def _reason(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _reason(value[0]) if value else ""
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("msg"), str):  # one of pydantic's errors
        place = value.get("loc")
        where = ".".join(str(part) for part in place if part != "body") if isinstance(place, (list, tuple)) else ""
        return f"{where}: {value['msg']}" if where else value["msg"]
    said = [_reason(value.get(name)) for name in ("error", "message", "title", "detail", "errors")]
    return ": ".join(dict.fromkeys(text for text in said if text))


def _in_order(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
    indexes = [one.get("index") for one in data]
    if set(map(type, indexes)) == {int} and set(indexes) == set(range(len(data))):
        return sorted(data, key=lambda one: int(one["index"]))
    return data


def _row(value: Any) -> NDArray[np.float32] | str:
    """A vector of finite numbers, or what is wrong with it."""
    array = _numbers(value)
    if array is None or array.ndim != 1 or not array.size:
        return "is no list of numbers"
    if not np.isfinite(array).all():
        return "holds a number that is not finite"
    return array


def _numbers(value: Any) -> NDArray[np.float32] | None:
    try:
        if isinstance(value, str):
            return np.frombuffer(base64.b64decode(value, validate=True), "<f4").astype(np.float32)
        if isinstance(value, list) and set(map(type, value)) <= {float, int}:
            with np.errstate(over="ignore"):
                return np.array(value, np.float32)
    except (ValueError, OverflowError, binascii.Error):
        return None
    return None


def _beginning(content: bytes) -> str:
    return content[:80].decode("utf-8", "replace")
