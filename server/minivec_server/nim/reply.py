"""The answer to /v1/embeddings, written from the matrix itself: no vector becomes a list of Python numbers."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from minivec_server.nim.wire import EncodingFormat


def embedding_list(vectors: NDArray[Any], *, encoding: EncodingFormat, model: str, tokens: int) -> bytes:
    """The JSON of these vectors, one row a text; `base64` is of a row's bytes, numbers little-endian."""
    rows = _encoded(vectors) if encoding == "base64" else np.ascontiguousarray(vectors)
    data = [{"index": index, "embedding": row, "object": "embedding"} for index, row in enumerate(rows)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": model, "usage": usage}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _encoded(vectors: NDArray[Any]) -> list[str]:
    little = np.ascontiguousarray(vectors, dtype=vectors.dtype.newbyteorder("<"))
    return [b64encode(row.data).decode("ascii") for row in little]
