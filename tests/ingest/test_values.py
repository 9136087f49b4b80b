"""The gate before SQL: what may pass, what may not, and what is said about it."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID as UUID_

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.errors import InvalidInput
from minivec.ingest.values import check_json, check_value, infer_type, read_uuid
from minivec.types.collection import DataType, Property

UUID = "0d6a3f0c-6d0e-4f0e-9f4e-0a0b0c0d0e0f"

GOOD: list[tuple[DataType, Any]] = [
    ("text", ""), ("text", "x"), ("int", 0), ("int", -(2**63)), ("int", 2**63 - 1), ("number", 1), ("number", 1.5),
    ("boolean", True), ("date", "2026-11-20T12:00:00Z"), ("date", "2026-11-20T12:00:00.123456+05:30"), ("uuid", UUID),
    ("object", {}), ("object", {"a": {"b": [1, None]}}), ("text[]", []), ("text[]", ["a"]), ("int[]", [1, 2]),
    ("number[]", [1, 2.5]), ("boolean[]", [False]), ("date[]", ["2026-11-20T12:00:00Z"]), ("uuid[]", [UUID]),
    ("object[]", [{"a": 1}]),
]  # fmt: skip
BAD: list[tuple[DataType, Any]] = [
    ("text", 1), ("text", ["x"]), ("int", 1.0), ("int", True), ("int", "1"), ("int", 2**63), ("number", "1"),
    ("number", True), ("number", math.nan), ("number", math.inf), ("boolean", 0), ("date", "2026-11-20"),
    ("date", "yesterday"), ("date", "2026-13-20T12:00:00Z"), ("uuid", "no"), ("object", []), ("text[]", "a"),
    ("text[]", [1]), ("int[]", [1, 2.5]), ("boolean[]", [0]), ("text", "a\0b"), ("text", "\ud800"),
    ("object", {"a\0": 1}), ("object", {"a": math.nan}), ("object", {1: 2}), ("object", {"a": object()}),
]  # fmt: skip


@pytest.mark.parametrize(("data_type", "value"), GOOD)
def test_values_of_their_type_pass_unchanged(data_type: DataType, value: Any) -> None:
    assert check_value(Property(name="p", data_type=data_type), value, "properties.p") == value


@pytest.mark.parametrize(("data_type", "value"), BAD)
def test_other_values_are_refused_with_the_place(data_type: DataType, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_value(Property(name="p", data_type=data_type), value, "properties.p")
    assert caught.value.field.startswith("properties.p")
    assert caught.value.hint


def test_members_of_an_object_are_checked_by_their_own_definition() -> None:
    place = Property(name="place", data_type="object", properties=(Property(name="zip", data_type="int"),))
    assert check_value(place, {"zip": 1, "other": "free"}, "place") == {"zip": 1, "other": "free"}
    with pytest.raises(InvalidInput, match=r"place\.zip"):
        check_value(place, {"zip": "x"}, "place")


def test_deep_nesting_is_refused_by_its_depth_not_by_the_stack() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InvalidInput, match="Nested deeper"):
        check_json(value, "properties.p")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("word", "text"), ("2026-11-20T12:00:00Z", "date"), (UUID, "uuid"), (UUID.replace("-", ""), "text"), (1, "number"),
        (1.5, "number"), (True, "boolean"), ({"a": 1}, "object"), ([], "text[]"), (["a"], "text[]"), ([1, 2.5], "number[]"),
        ([UUID], "uuid[]"), ([UUID, "x"], "text[]"), ([True], "boolean[]"), ([{"a": 1}], "object[]"),
    ],
)  # fmt: skip
def test_auto_schema_guesses(value: Any, expected: str) -> None:
    assert infer_type(value, "p") == expected


@pytest.mark.parametrize("value", [[1, "a"], [True, 1], [[1]], [{"a": 1}, 2]])
def test_auto_schema_refuses_mixed_lists(value: Any) -> None:
    with pytest.raises(InvalidInput):
        infer_type(value, "p")


def test_uuids_are_stored_lower_case_with_hyphens() -> None:
    assert read_uuid(UUID.upper().replace("-", ""), "uuid") == UUID
    with pytest.raises(InvalidInput):
        read_uuid(None, "uuid")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_whatever_passes_survives_json_and_utf8(value: Any) -> None:
    try:
        check_json(value, "p")
    except InvalidInput:
        return
    assert json.loads(json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")) == value


@given(json_values)
def test_whatever_is_inferred_accepts_its_own_value(value: Any) -> None:
    if value is None:
        return
    try:
        data_type = infer_type(value, "p")
    except InvalidInput:
        return
    if isinstance(value, list) and None in value:
        return
    check_value(Property(name="p", data_type=data_type), value, "p")


def test_pythons_dates_and_uuids_are_taken_as_they_are_stored() -> None:
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert infer_type(moment, "p") == "date"
    assert check_value(Property(name="p", data_type="date"), moment, "p") == "2026-11-20T12:00:00+00:00"
    assert check_value(Property(name="p", data_type="date"), date(2026, 11, 20), "p") == "2026-11-20T00:00:00Z"
    assert check_value(Property(name="p", data_type="uuid[]"), [UUID_(UUID)], "p") == [UUID]
    with pytest.raises(InvalidInput, match="time zone"):
        check_value(Property(name="p", data_type="date"), datetime(2026, 11, 20), "p")


def test_a_list_nested_a_hundred_thousand_deep_is_refused_by_every_door() -> None:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    for call in (
        lambda: infer_type(value, "p"),
        lambda: check_value(Property(name="p", data_type="text[]"), value, "p"),
    ):
        with pytest.raises(InvalidInput):
            call()
