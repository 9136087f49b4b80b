"""The numbers that leave are the numbers that came, whichever way they are written."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from minivec_server.nim.reply import embedding_list

SHAPES = array_shapes(min_dims=2, max_dims=2, max_side=20)
FLOATS = arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))


def answer(vectors: NDArray[Any], encoding: Any) -> list[Any]:
    written = orjson.loads(embedding_list(vectors, encoding=encoding, model="m", tokens=3))
    assert written["model"] == "m"
    assert written["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert [item["index"] for item in written["data"]] == list(range(len(vectors)))
    return [item["embedding"] for item in written["data"]]


@given(FLOATS)
def test_floats_and_base64_say_the_same_bits(vectors: NDArray[np.float32]) -> None:
    numbers = np.asarray(answer(vectors, "float"), np.float64).astype(np.float32)
    decoded = np.stack([np.frombuffer(b64decode(text, validate=True), "<f4") for text in answer(vectors, "base64")])
    assert np.array_equal(numbers, vectors)
    assert decoded.tobytes() == vectors.astype("<f4").tobytes()


@given(arrays(np.int8, SHAPES))
def test_bytes_are_kept(vectors: NDArray[np.int8]) -> None:
    for kind in (np.int8, np.uint8):
        seen = vectors.view(kind)
        assert answer(seen, "float") == seen.tolist()
        assert b"".join(b64decode(text) for text in answer(seen, "base64")) == seen.tobytes()


@pytest.mark.parametrize("made", [lambda m: m[:, ::2], lambda m: m.T, lambda m: m.astype(">f4"), np.asfortranarray])
def test_any_layout_in_memory_will_do(made: Any) -> None:
    matrix = made(np.arange(12, dtype=np.float32).reshape(3, 4))
    decoded = [np.frombuffer(b64decode(text), "<f4").tolist() for text in answer(matrix, "base64")]
    assert decoded == matrix.tolist()
    assert answer(np.ascontiguousarray(matrix, np.float32), "float") == matrix.tolist()
