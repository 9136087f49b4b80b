"""POST /v1/embeddings against the table of the specification: request, status and body."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import httpx
import numpy as np
import pytest

from minivec.errors import Busy, Closed, EmbeddingFailed
from tests.server.conftest import nim_error_in
from tests.server.nim.embedders import ALL, POISON, Source, compressed, unit

URL = "/v1/embeddings"
RICH = {"model": "nvidia/rich", "input": "one two", "input_type": "query"}
TOO_LONG = " ".join("abcdefghij")
INVALID = "Your request cannot be validated, it is incorrect."

DTYPES = {"float": np.float32, "int8": np.int8, "uint8": np.uint8, "binary": np.int8, "ubinary": np.uint8}


async def embed(nim: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await nim.post(URL, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    return answer


def rows(answer: dict[str, Any]) -> list[Any]:
    return [item["embedding"] for item in answer["data"]]


def floats(text: str, dimension: int = 16) -> Any:
    return pytest.approx(unit(text, dimension).tolist(), abs=1e-7)


async def test_the_answer_is_whole(nim: httpx.AsyncClient) -> None:
    answer = await embed(nim, model="nvidia/rich", input=["one two", "three"], input_type="passage")
    assert answer == {
        "object": "list",
        "data": [
            {"index": 0, "embedding": floats("passageone two"), "object": "embedding"},
            {"index": 1, "embedding": floats("passagethree"), "object": "embedding"},
        ],
        "model": "nvidia/rich",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


async def test_a_single_string_is_a_list_of_one(nim: httpx.AsyncClient) -> None:
    one = await embed(nim, **RICH)
    assert one == await embed(nim, **{**RICH, "input": ["one two"]})


async def test_an_empty_text_is_embedded(nim: httpx.AsyncClient) -> None:
    answer = await embed(nim, **{**RICH, "input": ["", "a\0b"]})
    assert rows(answer) == [floats("query"), floats("querya\0b")]


async def test_many_texts_come_back_in_order(nim: httpx.AsyncClient) -> None:
    texts = [f"text {number}" for number in range(8191)]
    answer = await embed(nim, model="plain", input=texts)
    assert [item["index"] for item in answer["data"]] == list(range(8191))
    assert rows(answer)[8190] == floats("text 8190")


@pytest.mark.parametrize(
    ("model", "given", "used"),
    [
        ("nvidia/rich", "query", "query"),
        ("nvidia/rich", "passage", "passage"),
        ("nvidia/rich-query", None, "query"),
        ("nvidia/rich-passage", None, "passage"),
        ("nvidia/rich-passage", "passage", "passage"),
        ("NVIDIA/Rich-query", None, "query"),
        ("plain", "passage", "passage"),
        ("plain-query", None, "query"),
        ("plain", None, "query"),
    ],
)
async def test_the_input_type_comes_from_the_field_or_the_suffix(
    nim: httpx.AsyncClient, source: Source, model: str, given: str | None, used: str
) -> None:
    answer = await embed(nim, model=model, input="one", input_type=given)
    assert source.asked[-1]["input_type"] == used
    assert answer["model"] == ("plain" if model.startswith("plain") else "nvidia/rich")


async def test_texts_of_a_symmetric_model_that_say_nothing_are_passages_when_they_are_several(
    nim: httpx.AsyncClient, source: Source
) -> None:
    await embed(nim, model="plain", input=["one", "two"])
    assert source.asked[-1]["input_type"] == "passage"


@pytest.mark.parametrize(("word", "policy"), [("NONE", "refuse"), ("END", "end"), ("START", "start")])
async def test_truncation_is_passed_on(nim: httpx.AsyncClient, source: Source, word: str, policy: str) -> None:
    await embed(nim, **RICH, truncate=word)
    assert source.asked[-1]["truncate"] == policy


async def test_usage_counts_what_the_model_read(nim: httpx.AsyncClient) -> None:
    answer = await embed(nim, **{**RICH, "input": ["one", TOO_LONG]}, truncate="END")
    assert answer["usage"] == {"prompt_tokens": 3 + 8, "total_tokens": 3 + 8}


async def test_shorter_vectors(nim: httpx.AsyncClient, source: Source) -> None:
    answer = await embed(nim, **RICH, dimensions=4)
    whole = unit("queryone two", 16)[:4]
    assert rows(answer)[0] == pytest.approx((whole / np.linalg.norm(whole)).tolist(), abs=1e-6)
    await embed(nim, **RICH, dimensions=16)
    assert source.asked[-1]["dimensions"] is None


@pytest.mark.parametrize("kind", ALL)
async def test_compressed_types_as_numbers_and_as_bytes(nim: httpx.AsyncClient, kind: str) -> None:
    expected = compressed(unit("queryone two", 16)[None], kind)[0]  # type: ignore[arg-type]
    numbers = rows(await embed(nim, **RICH, embedding_type=kind))[0]
    assert np.asarray(numbers).astype(DTYPES[kind]).tolist() == expected.tolist()
    encoded = rows(await embed(nim, **RICH, embedding_type=kind, encoding_format="base64"))[0]
    assert np.frombuffer(b64decode(encoded, validate=True), DTYPES[kind]).tolist() == expected.tolist()


async def test_members_that_change_nothing(nim: httpx.AsyncClient) -> None:
    plain = await embed(nim, **RICH)
    for extra in ({"user": "me"}, {"user": None}, {"modality": "text"}, {"modality": ["text"]}, {"dimensions": None}):
        assert await embed(nim, **RICH, **extra) == plain


def found(kind: str, loc: list[Any], message: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "loc": ["body", *loc], "msg": message, **more}


FORMAT = found(
    "literal_error",
    ["encoding_format"],
    "Input should be 'float' or 'base64'",
    input=None,
    ctx={"expected": "'float' or 'base64'"},
)
VALIDATED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "encoding_format null": ({**RICH, "encoding_format": None}, FORMAT),
    "encoding_format unknown": ({**RICH, "encoding_format": "hex"}, {**FORMAT, "input": "hex"}),
    "extra": ({**RICH, "no_such": 1}, found("extra_forbidden", ["no_such"], "Extra inputs are not permitted", input=1)),
    "no model": ({"input": "x"}, found("missing", ["model"], "Field required")),
    "no input": ({"model": "plain"}, found("missing", ["input"], "Field required")),
    "empty list": ({**RICH, "input": []}, found("too_short", ["input"], "")),
    "token ids": (
        {**RICH, "input": [1, 2]},
        found("string_type", ["input", 0], "Input should be a valid string", input=1),
    ),
    "mixed": ({**RICH, "input": ["a", None]}, found("string_type", ["input", 1], "", input=None)),
    "input null": ({**RICH, "input": None}, found("list_type", ["input"], "", input=None)),
    "lower case": ({**RICH, "truncate": "end"}, found("literal_error", ["truncate"], "", input="end")),
    "truncate null": ({**RICH, "truncate": None}, found("literal_error", ["truncate"], "", input=None)),
    "input_type": ({**RICH, "input_type": "document"}, found("literal_error", ["input_type"], "", input="document")),
    "embedding_type": (
        {**RICH, "embedding_type": "int4"},
        found("literal_error", ["embedding_type"], "", input="int4"),
    ),
    "dimensions 0": ({**RICH, "dimensions": 0}, found("greater_than_equal", ["dimensions"], "", input=0)),
    "dimensions text": ({**RICH, "dimensions": "4"}, found("int_type", ["dimensions"], "", input="4")),
    "dimensions endless": (
        {**RICH, "dimensions": 10**30},
        found("less_than_equal", ["dimensions"], "", input=str(10**30)),
    ),
    "long value": ({**RICH, "truncate": "x" * 9999}, found("literal_error", ["truncate"], "", input="x" * 200)),
    "model empty": ({**RICH, "model": ""}, found("string_too_short", ["model"], "", input="")),
}


@pytest.mark.parametrize("case", VALIDATED)
async def test_what_does_not_fit_the_schema_is_told_as_a_real_nim_tells_it(nim: httpx.AsyncClient, case: str) -> None:
    body, expected = VALIDATED[case]
    error = nim_error_in(await nim.post(URL, json=body), 400)
    assert error["message"] == INVALID
    assert error["type"] == "request_validation_error"
    detail = error["detail"]
    assert detail["msg"]
    if not expected["msg"]:
        expected = {**expected, "msg": detail["msg"]}
    assert {name: detail[name] for name in expected} == expected
    assert set(detail) <= {*expected, "ctx"}


async def test_a_missing_input_type_is_told_in_nims_words(nim: httpx.AsyncClient) -> None:
    error = nim_error_in(await nim.post(URL, json={"model": "nvidia/rich", "input": "x"}), 400)
    assert error == {
        "object": "error",
        "message": "The model expects an input_type from one of `passage` or `query` but none was provided.",
        "detail": {},
        "type": "invalid_request_error",
    }


async def test_a_text_that_is_too_long_is_told_in_nims_words(nim: httpx.AsyncClient) -> None:
    error = nim_error_in(await nim.post(URL, json={**RICH, "input": ["short", TOO_LONG]}), 400)
    assert error["message"] == "Input length 12 exceeds maximum allowed token size 8"
    assert error["type"] == "invalid_request_error"
    assert error["detail"] == {"loc": ["body", "input", 1]}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "suffix and field differ": (
        {**RICH, "model": "nvidia/rich-passage"},
        "suffix says passage and input_type says query",
    ),
    "length not offered": ({**RICH, "dimensions": 5}, "must be one of 4, 8, 16"),
    "no lengths at all": ({"model": "plain", "input": "x", "dimensions": 8}, "16 dimensions only"),
    "type not offered": ({"model": "plain", "input": "x", "embedding_type": "int8"}, "must be one of float"),
    "length and type": ({**RICH, "dimensions": 4, "embedding_type": "int8"}, "cannot be used together"),
    "own length and type": ({**RICH, "dimensions": 16, "embedding_type": "binary"}, "cannot be used together"),
    "image": ({**RICH, "modality": "image"}, "text only"),
    "image in a list": ({**RICH, "modality": ["text_image"]}, "text only"),
    "image by its look": ({**RICH, "input": "data:image/png;base64,AAAA"}, "text only"),
    "modalities": ({**RICH, "modality": ["text", "text"]}, "1 inputs and 2 modalities"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_the_model_cannot_do_is_refused_before_it_is_asked(
    nim: httpx.AsyncClient, source: Source, case: str
) -> None:
    body, words = REFUSED[case]
    error = nim_error_in(await nim.post(URL, json=body), 400)
    assert words in error["message"]
    assert error["type"] == "invalid_request_error"
    assert source.asked == []


async def test_an_unknown_model_is_not_found(nim: httpx.AsyncClient) -> None:
    for name in ("nobody", "nobody-query", "../plain", "/etc", "plain-query-query"):
        error = nim_error_in(await nim.post(URL, json={"model": name, "input": "x"}), 404)
        assert error["message"] == f"The model `{name}` does not exist. Models of this server: nvidia/rich, plain."
        assert error["type"] == "not_found_error"


async def test_one_text_without_a_vector_fails_the_request_and_is_named(nim: httpx.AsyncClient) -> None:
    error = nim_error_in(await nim.post(URL, json={**RICH, "input": ["fine", POISON]}), 500)
    assert error["message"] == "The model failed on this text."
    assert error["detail"] == {"loc": ["body", "input", 1]}


async def test_a_full_queue_says_when_to_come_back(nim: httpx.AsyncClient, source: Source) -> None:
    source.failure = Busy("The embedding queue is full.", hint="Try again in 2.5 s.", retry_after=2.5)
    response = await nim.post(URL, json=RICH)
    error = nim_error_in(response, 429)
    assert response.headers["retry-after"] == "3"
    assert error["message"] == "The embedding queue is full. Try again in 2.5 s."


async def test_a_dead_or_closed_engine_is_unavailable(nim: httpx.AsyncClient, source: Source) -> None:
    for failure in (EmbeddingFailed("The embedding worker has stopped."), Closed("The engine is closed.")):
        source.failure = failure
        assert failure.message in nim_error_in(await nim.post(URL, json=RICH), 503)["message"]


async def test_more_texts_than_a_request_may_hold(nim: httpx.AsyncClient) -> None:
    error = nim_error_in(await nim.post(URL, json={**RICH, "input": ["x"] * 10_001}), 400)
    assert error["message"] == "There are 10001 texts in one request; this server takes 10000."
