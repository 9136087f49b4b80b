from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.errors import InvalidInput, LimitExceeded
from minivec_server.errors import HttpRefusal
from minivec_server.rest.body import parse, parse_judged

DEPTH = 64
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=30,
)


@given(values)
def test_json_is_read_as_the_standard_library_reads_it(value: Any) -> None:
    raw = json.dumps(value).encode()
    assert parse(raw, DEPTH) == json.loads(raw)


@given(st.integers(min_value=-(10**300), max_value=10**300))
def test_no_integer_loses_a_digit_or_slips_through(number: int) -> None:
    raw = json.dumps({"outer": [{"n": number}, 0.5]}).encode()
    assert parse(raw, DEPTH)["outer"][0]["n"] == number
    if -(2**63) <= number < 2**63:
        assert parse_judged(raw, DEPTH)["outer"][0]["n"] == number
    else:
        with pytest.raises(InvalidInput) as caught:
            parse_judged(raw, DEPTH)
        assert caught.value.field == "outer[0].n"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_large_floats_stay_floats(numbers: list[float]) -> None:
    read = parse_judged(json.dumps(numbers).encode(), DEPTH)
    assert read == numbers
    assert all(type(number) is float for number in read)


@pytest.mark.parametrize("depth", [1, 2, 63, 64])
def test_nesting_up_to_the_limit_is_read(depth: int) -> None:
    assert parse(b"[" * depth + b"]" * depth, DEPTH) is not None
    assert parse(b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1), DEPTH) is not None


@pytest.mark.parametrize("depth", [65, 66, 1000, 1024, 1025, 100_000])
def test_nesting_beyond_the_limit_is_refused(depth: int) -> None:
    for raw in (b"[" * depth + b"]" * depth, b'{"a":' * (depth - 1) + b"{}" + b"}" * (depth - 1)):
        with pytest.raises(LimitExceeded):
            parse(raw, DEPTH)


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b'"\xff"',
        b'"\\ud800"',
        b'"\\udc00x"',
        b"{'a': 1}",
        b"[1,]",
        b'{"a"}',
        b"\xef\xbb\xbf[]",
        b"[1] 2",
        b'"a\nb"',
    ],
)
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    with pytest.raises(HttpRefusal) as caught:
        parse(raw, DEPTH)
    assert caught.value.status == 400


def test_nul_is_refused_with_its_place_and_an_escaped_backslash_is_no_nul() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_judged(b'{"a": ["x", "b\\u0000"]}', DEPTH)
    assert caught.value.field == "a[1]"
    assert parse_judged(b'{"a": "b\\\\u0000"}', DEPTH) == {"a": "b\\u0000"}


def test_the_last_of_two_equal_keys_counts() -> None:
    assert parse_judged(b'{"a": 1, "a": 2}', DEPTH) == {"a": 2}
    assert math.copysign(1, parse_judged(b"[-0.0]", DEPTH)[0]) == -1
