"""How many requests a caller may send."""

import pytest

from impasto.service.api.limits import MAX_BUCKETS, RateLimit
from impasto.service.api.problems import ApiProblem


class Clock:
    """Goes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_no_more() -> None:
    rate = RateLimit(1, 3, Clock())
    for _ in range(3):
        rate.take("ann")
    with pytest.raises(ApiProblem) as refusal:
        rate.take("ann")
    assert refusal.value.status_code == 429
    assert refusal.value.headers == {"Retry-After": "1"}


def test_time_fills_the_bucket() -> None:
    clock = Clock()
    rate = RateLimit(2, 1, clock)
    rate.take("ann")
    clock.now = 0.5
    rate.take("ann")
    with pytest.raises(ApiProblem):
        rate.take("ann")


def test_callers_do_not_share_a_bucket() -> None:
    rate = RateLimit(1, 1, Clock())
    rate.take("ann")
    rate.take("bob")


def test_who_is_long_silent_is_forgotten() -> None:
    rate = RateLimit(1, 1, Clock())
    for number in range(MAX_BUCKETS + 1):
        rate.take(str(number))
    rate.take("0")  # whose empty bucket is gone


def test_no_limit_is_no_limit() -> None:
    rate = RateLimit(0, 1, Clock())
    for _ in range(100):
        rate.take("ann")
