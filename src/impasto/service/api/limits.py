"""How many requests a caller may send: a bucket of tokens each, which fills with time."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from impasto.service.api.problems import ApiProblem

MAX_BUCKETS = 10_000
"""Callers that are remembered; the longest silent ones are forgotten first."""


class RateLimit:
    """Lets each caller send so many requests a second, and a burst at once.

    Args:
        per_second: Requests that a bucket regains; 0 is no limit.
        burst: Requests that it holds.
        clock: In seconds.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> None:
        """Counts one request.

        Raises:
            ApiProblem: 429, with the seconds to wait, if the caller's bucket is empty.
        """
        if not self._per_second:
            return
        now = self._clock()
        tokens, before = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - before) * self._per_second)
        self._buckets[caller] = (max(tokens - 1, 0) if tokens >= 1 else tokens, now)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
        if tokens < 1:
            seconds = math.ceil((1 - tokens) / self._per_second)
            raise ApiProblem(
                429,
                f"Too many requests: at most {self._per_second:g} a second. Wait {seconds} s.",
                {"Retry-After": str(seconds)},
            )
