"""The instant of a date, against Python's own reader."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minivec.storage.dates import instant

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=ZONES)


@given(moment=MOMENTS)
def test_it_agrees_with_python(moment: datetime) -> None:
    microseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert instant(moment.isoformat()) == microseconds * 1000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("1970-01-01T00:00:00.0000000019Z", 1),
        ("1969-12-31T23:59:59.999999999z", -1),
        ("1970-01-01t01:00:00+01:00", 0),
        ("1970-01-01 00:00:00Z", 0),
    ],
)
def test_nanoseconds_count(text: str, nanoseconds: int) -> None:
    assert instant(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "2024-01-01", "2024-01-01T00:00:00", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00Z\n", None, 5, b"x"]
)
def test_what_is_no_date_has_no_instant(text: object) -> None:
    assert instant(text) is None
