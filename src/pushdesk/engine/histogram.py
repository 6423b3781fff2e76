"""Latencies in a fixed number of buckets: percentiles of any number of them, with a bounded error."""

from __future__ import annotations

from itertools import accumulate
from math import ceil, log
from typing import Final

LEAST_MS: Final = 0.1
"""What is less counts as this much: latencies are rounded to it."""
MOST_MS: Final = 100_000.0
"""What is more counts as about this much: a push service has 30 seconds to answer."""
GROWTH: Final = 1.1
"""A bucket ends at so many times where it begins."""
RELATIVE_ERROR: Final = 0.05
"""A percentile is off by this part of itself at most: a bucket stands for its geometric middle, rounded to 4 digits."""

_LOG_GROWTH: Final = log(GROWTH)
BUCKETS: Final = ceil(log(MOST_MS / LEAST_MS) / _LOG_GROWTH)
_MIDDLES_MS: Final = tuple(float(f"{LEAST_MS * GROWTH ** (number + 0.5):.4g}") for number in range(BUCKETS))


class Histogram:
    """How many latencies fell into which bucket. Two of them can be added up without losing anything."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS

    def add(self, latency_ms: float) -> None:
        """Count a latency."""
        bucket = int(log(latency_ms / LEAST_MS) / _LOG_GROWTH) if latency_ms > LEAST_MS else 0
        self._counts[min(bucket, BUCKETS - 1)] += 1

    def merge(self, other: Histogram) -> None:
        """Count everything that another one has counted."""
        self._counts = [mine + others for mine, others in zip(self._counts, other._counts, strict=True)]

    def percentile(self, percent: int) -> float | None:
        """Return the nearest-rank percentile in ms, within `RELATIVE_ERROR`, or None of nothing."""
        rank = -(-sum(self._counts) * percent // 100)
        reached = accumulate(self._counts)
        return next((middle for middle, count in zip(_MIDDLES_MS, reached, strict=True) if count >= rank > 0), None)
