"""The openai client: base64 unless told otherwise, errors by their status, `message` shown."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.contract.clients import OPENAI, ask
from tests.contract.conftest import DOCUMENTS, SHORT, Server


@pytest.fixture(scope="module")
def said(server: Server) -> dict[str, Any]:
    return ask(OPENAI, server.url, server.model, server.two_sided, json.dumps(DOCUMENTS), SHORT)


def test_documents_are_embedded_alike_in_base64_and_in_numbers(server: Server, said: dict[str, Any]) -> None:
    expected = np.asarray(server.embed(DOCUMENTS), np.float32)
    assert expected.shape == (3, 384)
    for way in ("documents", "floats", "awaited"):
        assert np.allclose(np.asarray(said[way], np.float32), expected, atol=1e-5), way
    assert np.allclose(said["one"], expected[:1], atol=1e-5)
    assert said["indexes"] == [0, 1, 2]
    assert said["model"] == server.model


def test_tokens_are_counted(said: dict[str, Any]) -> None:
    usage = said["usage"]
    assert usage["prompt_tokens"] == usage["total_tokens"] > len(" ".join(DOCUMENTS).split())


def test_queries_and_passages_are_told_apart(server: Server, said: dict[str, Any]) -> None:
    query, passage = (server.embed([SHORT], server.two_sided, input_type=kind) for kind in ("query", "passage"))
    assert not np.allclose(query, passage, atol=1e-3)
    assert np.allclose(said["query"], query, atol=1e-5)
    assert np.allclose(said["query by suffix"], query, atol=1e-5)
    assert np.allclose(said["passage by suffix"], passage, atol=1e-5)


def test_the_models_are_listed(server: Server, said: dict[str, Any]) -> None:
    assert {server.model, server.two_sided} <= set(said["models"])


def test_errors_are_the_clients_own_and_say_why(said: dict[str, Any]) -> None:
    missing = said["no such model"]
    assert (missing["kind"], missing["status"]) == ("NotFoundError", 404)
    assert "The model `no/such-model` does not exist." in missing["text"]
    for case, words in {
        "no input type": "The model expects an input_type from one of `passage` or `query`",
        "too long": "Input length 2002 exceeds maximum allowed token size 256",
        "a bad field": "Your request cannot be validated, it is incorrect.",
    }.items():
        assert (said[case]["kind"], said[case]["status"]) == ("BadRequestError", 400), case
        assert words in said[case]["text"]
