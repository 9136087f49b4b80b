"""A remote model keeps the Embedder contract whatever its service does: every text ends in a vector or a reason."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from minivec.embedding.interface import Embedded
from minivec.embedding.remote import RemoteEmbedder, RemoteModel, RemoteSource, batches, remote_fingerprint
from minivec.errors import Closed, EmbeddingFailed, InvalidInput, MinivecError
from tests.embedding.fault_server import (
    DIMENSION,
    NO_JITTER,
    POISON,
    FaultServer,
    Patience,
    Received,
    fault_server,
    vector_of,
)

CANARY = "nvapi-CANARY-secret-0123456789"
TEXTS = ["bees dance", "ships sail", "ants talk"]


_SOURCES: list[RemoteSource] = []


@pytest.fixture(autouse=True)
def _close_all() -> Iterator[None]:
    yield
    while _SOURCES:
        _SOURCES.pop().close()


def embedder_at(server: FaultServer, *, sleep: Any = None, seconds: float = 5.0, **model: Any) -> RemoteEmbedder:
    source = RemoteSource(seconds=seconds, policy=NO_JITTER, sleep=sleep or Patience())
    _SOURCES.append(source)
    settings = {"provider": "nvidia", "name": "nvidia/nv-embed-v1", "base_url": server.url, "key": CANARY, **model}
    return source.embedder(RemoteModel(**settings))


def errors_of(result: Embedded) -> list[str]:
    return [str(note.error) if note.error else "" for note in result.notes]


def in_turn(*faults: str) -> Callable[[Received, int], str]:
    """These faults one after the other, and then good answers."""
    return lambda request, number: faults[number] if number < len(faults) else "ok"


def test_a_request_is_what_nims_read() -> None:
    with fault_server() as server:
        result = embedder_at(server).embed(TEXTS, input_type="query", truncate="end")
        request = server.received[0]
    assert request.path == "/v1/embeddings"
    assert request.headers["authorization"] == f"Bearer {CANARY}"
    assert request.body == {
        "input": TEXTS,
        "model": "nvidia/nv-embed-v1",
        "encoding_format": "float",
        "input_type": "query",
        "truncate": "END",
    }
    np.testing.assert_allclose(result.vectors, [vector_of(text, "query") for text in TEXTS], rtol=1e-6)
    assert result.vectors.dtype == np.float32


@pytest.mark.parametrize(("truncate", "sent"), [("refuse", "NONE"), ("end", "END"), ("start", "START")])
def test_truncation_has_nims_words(truncate: Any, sent: str) -> None:
    with fault_server() as server:
        embedder_at(server).embed(["a"], input_type="passage", truncate=truncate)
        assert server.received[0].body["truncate"] == sent
        assert server.received[0].body["input_type"] == "passage"


def test_openai_servers_are_sent_neither_input_type_nor_truncation_and_no_key_that_is_not_there() -> None:
    with fault_server() as server:
        embedder_at(server, provider="openai", name="m", key="").embed(["a"], input_type="query", truncate="end")
        assert set(server.received[0].body) == {"input", "model", "encoding_format"}
        assert "authorization" not in server.received[0].headers


def test_the_dimension_is_learnt_from_the_first_answer() -> None:
    with fault_server() as server:
        embedder = embedder_at(server)
        assert embedder.card.dimension == 0
        embedder.embed(["a"], input_type="query")
        assert embedder.card.dimension == DIMENSION


def test_dimensions_that_were_chosen_are_asked_for() -> None:
    with fault_server() as server:
        result = embedder_at(server, dimensions=4).embed(["a"], input_type="query")
        assert server.received[0].body["dimensions"] == 4
        assert result.vectors.shape == (1, 4)


def test_answers_are_put_in_order_by_their_index() -> None:
    with fault_server("shuffled") as server:
        result = embedder_at(server).embed(TEXTS, input_type="passage")
    np.testing.assert_allclose(result.vectors, [vector_of(text) for text in TEXTS], rtol=1e-6)


def test_texts_are_sent_in_batches_within_the_limits_and_come_back_in_order() -> None:
    texts = [f"text number {n}" for n in range(120)]
    with fault_server("slow") as server:
        result = embedder_at(server).embed(texts, input_type="passage")
        assert sorted(len(request.texts) for request in server.received) == [20, 50, 50]
    np.testing.assert_allclose(result.vectors, [vector_of(text) for text in texts], rtol=1e-6)


def test_batches_hold_at_most_so_many_texts_and_tokens() -> None:
    texts = ["x" * 30, "y" * 30, "z" * 300, "", "w"]
    assert [len(group) for group in batches(texts, 2, 100)] == [2, 1, 2]
    assert [text for group in batches(texts, 2, 100) for text in group] == texts
    assert list(batches([], 2, 100)) == []


@pytest.mark.parametrize("fault", ["429", "500", "503", "bad-gateway", "cut"])
def test_passing_trouble_is_retried(fault: str) -> None:
    patience = Patience()
    with fault_server(in_turn(fault, fault)) as server:
        result = embedder_at(server, sleep=patience).embed(TEXTS, input_type="passage")
        assert len(server.received) == 3
    assert errors_of(result) == ["", "", ""]
    assert patience.slept == ([3.0, 3.0] if fault == "429" else [0.5, 1.0])  # Retry-After goes before the back-off


@pytest.mark.parametrize("fault", ["silent", "drip"])
def test_a_service_that_does_not_finish_is_left_after_the_time_limit(fault: str) -> None:
    with fault_server(in_turn(fault)) as server:
        result = embedder_at(server, seconds=0.2).embed(TEXTS, input_type="passage")
        assert len(server.received) == 2
    assert errors_of(result) == ["", "", ""]


@pytest.mark.parametrize(
    ("fault", "said", "asked"),
    [
        ("500", "answered 500 6 times: CUDA error", 6),
        ("429", "answered 429 6 times: Too many requests", 6),
        ("bad-gateway", "answered 502 6 times: 502 Bad Gateway", 6),
        ("cut", "broke off", 6),
        ("unauthorized", "answered 401: Authorization failed for Bearer ***", 1),
        ("not-found", "answered 404: Not Found: Function 'x': Not found for account 'y'", 1),
        ("redirect", "answered 307", 1),
        ("accepted", "answered 202", 1),
        ("garbage", "answered 200, but its answer is not JSON", 1),
        ("html", "answered 200, but its answer is not JSON; it begins '<html>", 1),
        ("wrong-count", "holds 2 vectors for 3 texts", 1),
    ],
)
def test_what_goes_wrong_for_good_is_said_with_host_and_status(fault: str, said: str, asked: int) -> None:
    with fault_server(fault) as server:
        result = embedder_at(server).embed(TEXTS, input_type="passage")
        assert len(server.received) == asked
    host = server.url.removeprefix("http://")
    for note in result.notes:
        assert isinstance(note.error, EmbeddingFailed)
        assert host in str(note.error)
        assert said in str(note.error)
    assert not result.vectors.any()


@pytest.mark.parametrize(("fault", "said"), [("nan", "not finite"), ("wrong-dims", "has 9 dimensions, not 8")])
def test_a_bad_vector_costs_only_its_own_text(fault: str, said: str) -> None:
    with fault_server(fault) as server:
        result = embedder_at(server, dimension=DIMENSION).embed(TEXTS, input_type="passage")
    first, *others = errors_of(result)
    assert said in first
    assert others == ["", ""]
    assert not result.vectors[0].any()
    assert np.isfinite(result.vectors).all()


@pytest.mark.parametrize("bad", [{7}, {0}, {49}, {3, 4, 31}])
def test_a_text_the_service_refuses_fails_alone(bad: set[int]) -> None:
    texts = [f"{POISON} {n}" if n in bad else f"text {n}" for n in range(50)]
    with fault_server("poison") as server:
        result = embedder_at(server).embed(texts, input_type="passage")
        assert len(server.received) <= 14 * len(bad)
    assert {n for n, error in enumerate(errors_of(result)) if error} == bad
    assert all("input: The text cannot be embedded" in error for error in errors_of(result) if error)


def test_a_request_that_is_refused_whatever_it_holds_is_not_sent_for_every_text() -> None:
    with fault_server("extra-forbidden") as server:
        result = embedder_at(server).embed([f"text {n}" for n in range(50)], input_type="passage")
        assert len(server.received) < 20
    assert all("answered 400: 'input_type' parameter is required" in error for error in errors_of(result))


def test_a_service_that_keeps_failing_is_left_alone_for_a_while() -> None:
    with fault_server("500") as server:
        embedder = embedder_at(server)
        results = [embedder.embed(["a"], input_type="query") for _ in range(8)]
        assert len(server.received) == 5 * 6
    assert "left alone" in errors_of(results[-1])[0]


def test_a_spent_quota_does_not_close_the_service_for_others() -> None:
    with fault_server(lambda request, number: "ok" if request.body["model"] == "other" else "429") as server:
        source = RemoteSource(policy=NO_JITTER, sleep=Patience())
        _SOURCES.append(source)
        spent, other = (
            source.embedder(RemoteModel(provider="nvidia", name=name, base_url=server.url, key=name))
            for name in ("spent", "other")
        )
        for _ in range(8):
            assert "answered 429" in errors_of(spent.embed(["a"], input_type="query"))[0]
        assert errors_of(other.embed(["a"], input_type="query")) == [""]


def test_nobody_listening_is_said_so() -> None:
    with fault_server() as server:
        pass
    result = embedder_at(server).embed(["a"], input_type="query")
    assert "could not be reached" in errors_of(result)[0]


def test_after_closing_nothing_is_sent_and_nobody_waits() -> None:
    with fault_server("429") as server:
        source = RemoteSource(policy=NO_JITTER)
        model = RemoteModel(provider="nvidia", name="m", base_url=server.url)
        embedder = source.embedder(model)
        source.close()
        with pytest.raises(Closed):
            embedder.embed(["a"], input_type="query")
        with pytest.raises(Closed):
            source.embedder(model)
        assert server.received == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_type": "both"},
        {"input_type": "query", "truncate": "middle"},
        {"input_type": "query", "embedding_type": "int8"},
        {"input_type": "query", "dimensions": 3},
    ],
)
def test_wrong_arguments_are_refused(wrong: dict[str, Any]) -> None:
    with fault_server() as server, pytest.raises(InvalidInput):
        embedder_at(server, dimension=DIMENSION).embed(["a"], **wrong)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel", "x" * 5000])
def test_a_key_no_header_carries_is_refused_and_not_shown(key: str) -> None:
    with fault_server() as server, pytest.raises(InvalidInput) as caught:
        embedder_at(server, key=key)
    assert key not in str(caught.value)


@pytest.mark.parametrize("fault", ["ok", "unauthorized", "429", "cut", "garbage", "not-found", "silent"])
def test_the_key_is_seen_nowhere(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    with fault_server(fault) as server:
        embedder = embedder_at(server, seconds=0.1)
        result = embedder.embed(TEXTS, input_type="passage")
        assert server.received[0].headers["authorization"].endswith(CANARY)
        seen += [repr(embedder), repr(embedder.card), repr(embedder.__dict__), repr(result), caplog.text]
    for note in result.notes:
        error: BaseException | None = note.error
        while error is not None:
            seen += [repr(error), str(error), repr(getattr(error, "__dict__", ""))]
            error = error.__cause__ or error.__context__
    assert CANARY not in "\n".join(seen)


def test_equal_fingerprints_mean_comparable_vectors() -> None:
    with fault_server() as one, fault_server() as other:
        here, there = embedder_at(one), embedder_at(other)
    assert here.card.fingerprint == there.card.fingerprint  # the same model at another address
    assert here.card.fingerprint == remote_fingerprint("nvidia", "nvidia/nv-embed-v1", None)
    different = [
        ("openai", "nvidia/nv-embed-v1", None),
        ("nvidia", "another", None),
        ("nvidia", "nvidia/nv-embed-v1", 256),
    ]
    assert here.card.fingerprint not in [remote_fingerprint(*parts) for parts in different]  # type: ignore[arg-type]


def test_errors_are_ours() -> None:
    with fault_server(in_turn("html", "nan", "cut")) as server:
        embedder = embedder_at(server)
        for _ in range(3):
            for note in embedder.embed(["a"], input_type="query").notes:
                assert note.error is None or isinstance(note.error, MinivecError)
