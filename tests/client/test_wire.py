"""Values to JSON and replies to types and errors, one by one."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from uuid import UUID

import numpy as np
import pytest

from minivec import errors
from minivec.client.wire import Reply, encode, path_of, raise_for_error, read_json, reads, retry_after
from minivec.types.collection import CollectionInfo, Property


def reply(status: int, body: object = None, headers: dict[str, str] | None = None) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status=status, headers=headers or {}, content=content)


def refusal(status: int, code: str, headers: dict[str, str] | None = None, **more: str) -> Reply:
    return reply(status, {"error": {"code": code, "message": "No.", "hint": "Do.", "field": "here", **more}}, headers)


@pytest.mark.parametrize("code", sorted(errors.by_code()))
def test_every_error_that_crosses_the_wire_is_raised_as_itself(code):
    with pytest.raises(errors.MinivecError) as raised:
        raise_for_error(refusal(500, code))
    assert type(raised.value) is errors.by_code()[code]
    assert (raised.value.message, raised.value.hint, raised.value.field) == ("No.", "Do.", "here")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidInput),
        (401, errors.MinivecError),
        (404, errors.NotFound),
        (409, errors.Conflict),
        (413, errors.LimitExceeded),
        (422, errors.InvalidInput),
        (429, errors.Busy),
        (500, errors.MinivecError),
        (503, errors.Unavailable),
    ],
)
def test_a_code_of_a_newer_server_is_raised_by_its_status(status, kind):
    with pytest.raises(errors.MinivecError) as raised:
        raise_for_error(refusal(status, "invented_tomorrow"))
    assert type(raised.value) is kind


def test_a_missing_api_key_says_how_to_give_one():
    with pytest.raises(errors.MinivecError, match="api_key="):
        raise_for_error(refusal(401, "unauthorized"))


def test_busy_carries_the_seconds_to_wait():
    with pytest.raises(errors.Busy) as raised:
        raise_for_error(refusal(503, "busy", {"retry-after": "7"}))
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("value", ["", "soon", "nan", "inf", "-1", "Fri, 20 Nov 2026 03:00:00 GMT"])
def test_a_retry_after_that_is_no_number_of_seconds_is_passed_over(value):
    assert retry_after(reply(503, headers={"retry-after": value})) is None


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"", b"[]", b'{"error": "no"}', b'{"error": {"code": 1}}', b"\xff"]
)
def test_an_error_page_that_is_not_minivecs_is_unexpected(body):
    with pytest.raises(errors.UnexpectedAnswer, match="500"):
        raise_for_error(reply(500, body))


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (413, {}, errors.LimitExceeded),
        (429, {"retry-after": "3"}, errors.Busy),
        (503, {"retry-after": "3"}, errors.Busy),
        (503, {}, errors.Unavailable),
        (502, {}, errors.Unavailable),
        (504, {}, errors.Unavailable),
        (418, {}, errors.UnexpectedAnswer),
    ],
)
def test_a_proxys_error_page_is_understood_by_its_status(status, headers, kind):
    with pytest.raises(errors.MinivecError) as raised:
        raise_for_error(reply(status, b"<h1>gateway</h1>", headers))
    assert type(raised.value) is kind


def test_a_redirect_is_named_and_not_followed():
    with pytest.raises(errors.UnexpectedAnswer, match="elsewhere"):
        raise_for_error(reply(302, b"", {"location": "http://elsewhere.example/"}))


def test_a_success_that_is_no_json_shows_how_it_begins():
    with pytest.raises(errors.UnexpectedAnswer, match="<title>Welcome"):
        read_json(reply(200, b"<title>Welcome to nginx</title>"))


@pytest.mark.parametrize(
    "body", [{}, [], None, 3, {"config": {}}, {"config": "x", "count": 1}, {"config": {"name": "n"}}]
)
def test_a_json_answer_of_another_shape_is_unexpected(body):
    with pytest.raises(errors.UnexpectedAnswer, match="CollectionInfo"):
        reads(CollectionInfo)(reply(200, body))


def test_members_a_newer_server_adds_are_passed_over():
    body = {"config": {"name": "notes", "colour": "red"}, "count": 3, "indexes": [], "mood": "fine"}
    assert reads(CollectionInfo)(reply(200, body)).count == 3


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (np.array([1.5, 2.0], dtype=np.float32), [1.5, 2.0]),
        ({"n": np.int64(3)}, {"n": 3}),
        ((1, 2), [1, 2]),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
        (date(2026, 1, 2), "2026-01-02T00:00:00Z"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("日本語 é", "日本語 é"),
        (Property(name="a").name, "a"),
    ],
)
def test_values_python_users_have_become_json(value, plain):
    assert json.loads(encode(value)) == plain


def test_a_type_of_minivec_inside_a_value_becomes_json():
    assert json.loads(encode({"p": Property(name="a")}))["p"]["name"] == "a"


@pytest.mark.parametrize(
    ("value", "field", "sentence"),
    [
        ({"properties": {"a": [1.0, float("nan")]}}, "properties.a[1]", "not finite"),
        ({"vectors": {"default": np.array([np.inf])}}, "vectors.default[0]", "not finite"),
        ({"properties": {"a": "x\ud800"}}, "properties.a", "surrogate"),
        ({"properties": {"\udfff": 1}}, "properties.\udfff", "surrogate"),
        ({"properties": {"a": object()}}, "", "object is not a JSON value"),
        ({"properties": {"a": {1, 2}}}, "", "set is not a JSON value"),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(value, field, sentence):
    with pytest.raises(errors.InvalidInput, match=sentence) as raised:
        encode(value)
    assert raised.value.field == field


def test_a_value_that_contains_itself_is_refused():
    value: list[object] = []
    value.append(value)
    with pytest.raises(errors.InvalidInput, match="contains itself"):
        encode(value)


def test_a_name_stays_one_part_of_the_path():
    assert path_of("collections", "a/b ?#%ü") == "/v1/collections/a%2Fb%20%3F%23%25%C3%BC"


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800", 3, None])
def test_a_name_no_path_can_carry_is_refused_before_it_is_sent(name):
    with pytest.raises(errors.InvalidInput):
        path_of("collections", name)
