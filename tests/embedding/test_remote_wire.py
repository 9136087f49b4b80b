"""Every error body and every answer the specification shows, read as a person would."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from minivec.embedding.remote_wire import Unreadable, read_vectors, reason_of


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            {
                "object": "error",
                "message": "The model expects an input_type from one of `passage` or `query` but none was provided.",
                "detail": {},
                "type": "invalid_request_error",
            },
            "The model expects an input_type from one of `passage` or `query` but none was provided.",
        ),
        (
            {
                "object": "error",
                "message": "Your request cannot be validated, it is incorrect.",
                "detail": {
                    "type": "literal_error",
                    "loc": ["body", "encoding_format"],
                    "msg": "Input should be 'float'",
                },
                "type": "request_validation_error",
            },
            "Your request cannot be validated, it is incorrect.: encoding_format: Input should be 'float'",
        ),
        (
            {"error": "Input length 1728 exceeds maximum allowed token size 512"},
            "Input length 1728 exceeds maximum allowed token size 512",
        ),
        (
            {"status": 404, "title": "Not Found", "detail": "Function 'x': Not found"},
            "Not Found: Function 'x': Not found",
        ),
        ({"detail": "Authorization failed"}, "Authorization failed"),
        ({"detail": [{"loc": ["body", "input", 3], "msg": "too long", "type": "x"}]}, "input.3: too long"),
        ({"error": {"message": "Invalid key", "type": "invalid_request_error", "code": "x"}}, "Invalid key"),
        ({"message": "same", "detail": "same"}, "same"),
        ({"errors": ["first", "second"]}, "first"),
        ({"detail": None, "message": None}, ""),
        ("plain text in JSON", "plain text in JSON"),
        ([], ""),
        (7, ""),
    ],
)
def test_the_reason_is_found_in_every_shape(body: object, said: str) -> None:
    assert reason_of(json.dumps(body).encode()) == said


def test_what_is_no_json_is_shown_shortly() -> None:
    assert reason_of(b"404 page not found\n") == "404 page not found"
    assert reason_of(b"<html><head><title>502 Bad\n Gateway</title></head>") == "502 Bad Gateway"
    assert reason_of(b"") == ""
    assert reason_of(b"\xff\xfe" + b"x" * 10_000).startswith("\ufffd\ufffdxxx")
    assert len(reason_of(json.dumps({"detail": "x" * 10_000}).encode())) == 300
    assert reason_of(b"[" * 100_000) != ""


def answer(*embeddings: object, **more: object) -> bytes:
    return json.dumps({"data": [{"embedding": one} for one in embeddings], **more}).encode()


def test_vectors_come_as_lists_or_as_base64() -> None:
    numbers = np.array([0.25, -1.5], np.float32)
    coded = base64.b64encode(numbers.tobytes()).decode()
    found = read_vectors(answer([0.25, -1.5], coded, usage={"prompt_tokens": 12}), 2)
    for row in found.rows:
        assert not isinstance(row, str)
        np.testing.assert_array_equal(row, numbers)
    assert found.tokens == 12


@pytest.mark.parametrize(
    "bad",
    [None, [], "no base64!", "AAA=", ["1", "2"], [True, False], [[1.0]], {"0": 1.0}, [1e999], [float("nan")], [1e39]],
)
def test_what_is_no_vector_is_told_for_its_own_text(bad: object) -> None:
    first, second = read_vectors(answer([1.0, 2.0], bad), 2).rows
    assert not isinstance(first, str)
    assert isinstance(second, str)


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"null", b"[]", b"{}", b'{"data": null}', b'{"data": {}}', b'{"data": [1]}', b'{"data": []}', b"<html>"),
        *(b'{"data"', b"[" * 100_000, b"\xff"),
    ],
)
def test_what_holds_no_vectors_is_unreadable(content: bytes) -> None:
    with pytest.raises(Unreadable):
        read_vectors(content, 1)


@pytest.mark.parametrize("indexes", [[1, 1], [0, 5], [None, 0], ["0", "1"], [True, False]])
def test_an_index_that_is_no_order_is_passed_over(indexes: list[object]) -> None:
    data = [{"embedding": [float(n)], "index": index} for n, index in enumerate(indexes)]
    rows = read_vectors(json.dumps({"data": data}).encode(), 2).rows
    assert [float(row[0]) for row in rows if not isinstance(row, str)] == [0.0, 1.0]
