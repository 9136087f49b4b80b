from __future__ import annotations

import pytest

from minivec import errors as core
from minivec_server.errors import REST, STATUS, HttpRefusal, refusal_of, status_of

EXPECTED = {
    "error": 500,
    "invalid_input": 422,
    "limit_exceeded": 422,
    "not_found": 404,
    "collection_not_found": 404,
    "object_not_found": 404,
    "vector_space_not_found": 422,
    "conflict": 409,
    "collection_exists": 409,
    "object_exists": 409,
    "version_conflict": 409,
    "unavailable": 503,
    "busy": 503,
    "deadline_exceeded": 504,
    "closed": 503,
    "database_locked": 503,
    "read_only": 403,
    "storage_error": 500,
    "commit_unknown": 503,
    "storage_full": 507,
    "corrupt_data": 500,
    "newer_format": 500,
    "model_error": 503,
    "model_not_found": 422,
    "weights_mismatch": 503,
    "fingerprint_mismatch": 409,
    "text_too_long": 422,
    "embedding_failed": 503,
}


def test_every_error_that_can_reach_the_server_has_its_status() -> None:
    client_only = {kind.code for kind in core.by_code().values() if issubclass(kind, core.ClientError)}
    found = {code: status_of(kind("x")) for code, kind in core.by_code().items() if code not in client_only}
    assert found == EXPECTED
    assert all(issubclass(kind, core.MinivecError) for kind in STATUS)


def test_busy_says_when_to_come_back() -> None:
    assert refusal_of(core.Busy("full", retry_after=2.2)).headers == {"Retry-After": "3"}
    assert refusal_of(core.Busy("full", retry_after=0.0)).headers == {"Retry-After": "1"}


def test_what_nobody_expected_says_nothing_of_the_insides() -> None:
    refusal = refusal_of(KeyError("password"))
    assert (refusal.status, refusal.code) == (500, "internal")
    assert b"password" not in REST.body(refusal, "id")


@pytest.mark.parametrize("text", ["\ud800", "\0", "\n", "ä", '"'])
def test_an_error_can_always_be_written_as_json(text: str) -> None:
    assert REST.body(HttpRefusal(400, "invalid_input", text, field=text), text).startswith(b'{"error":')
