"""When a service is asked again, to the tenth of a second."""

from __future__ import annotations

import pytest

from minivec.embedding.remote_retry import Breaker, RetryPolicy, is_passing, retry_after

NOON = 1_792_152_000.0  # Fri, 16 Oct 2026 12:00:00 GMT


def test_the_wait_doubles_up_to_a_limit_and_is_shortened_by_chance() -> None:
    longest = RetryPolicy(attempts=10, jitter=lambda: 1.0)
    shortest = RetryPolicy(attempts=10, jitter=lambda: 0.0)
    assert [longest.pause(n, 0.0, None) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert [shortest.pause(n, 0.0, None) for n in range(1, 4)] == [0.25, 0.5, 1]


def test_what_the_service_asks_for_is_a_minimum() -> None:
    policy = RetryPolicy(jitter=lambda: 1.0)
    assert policy.pause(1, 0.0, 7.0) == 7.0
    assert policy.pause(4, 0.0, 1.0) == 4.0


def test_attempts_and_time_are_bounded() -> None:
    policy = RetryPolicy(attempts=3, total=10.0, jitter=lambda: 1.0)
    assert policy.pause(2, 0.0, None) == 1.0
    assert policy.pause(3, 0.0, None) is None
    assert policy.pause(1, 9.6, None) is None
    assert policy.pause(1, 0.0, 3600.0) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0.5", 0.5),
        ("-1", 0.0),
        ("Fri, 16 Oct 2026 12:00:30 GMT", 30.0),
        ("Fri, 16 Oct 2026 11:00:00 GMT", 0.0),
        *((nonsense, None) for nonsense in (None, "", "soon", "nan", "inf", "Fri, 99 Oct 2026")),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOON) == seconds


@pytest.mark.parametrize(
    ("status", "passing"), [(429, True), (500, True), (503, True), (400, False), (401, False), (422, False)]
)
def test_only_passing_trouble_is_worth_another_attempt(status: int, passing: bool) -> None:
    assert is_passing(status) is passing


def test_the_breaker_opens_after_failures_in_a_row_and_gives_one_more_chance() -> None:
    now = 100.0
    breaker = Breaker(lambda: now, limit=3, seconds=20.0)
    for _ in range(2):
        breaker.failed()
    breaker.succeeded()
    for _ in range(2):
        breaker.failed()
    assert breaker.left() == 0.0
    breaker.failed()
    assert breaker.left() == 20.0
    now = 121.0
    assert breaker.left() == 0.0
    breaker.failed()
    assert breaker.left() == 20.0
    now = 142.0
    breaker.succeeded()
    breaker.failed()
    assert breaker.left() == 0.0
