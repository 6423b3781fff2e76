"""A token bucket: so many a second on average, and only a few more at once. Pure: moments are handed in."""

from __future__ import annotations

from typing import Final

BURST_S: Final = 0.1
"""For how long tokens are saved up, in seconds of the rate; at least one token is."""
ROUNDING: Final = 1e-6
"""Of a token: what sums of fractions may lack."""


class TokenBucket:
    """Full at first.

    Args:
        rate: Tokens per second; 0 is no limit.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_S)
        self._left = self._most
        """How many there were when the last one was taken."""
        self._taken_at = 0.0

    def tokens(self, now: float) -> float:
        """Return how many there are; infinitely many without a limit."""
        if not self._rate:
            return float("inf")
        return min(self._most, self._left + max(0.0, now - self._taken_at) * self._rate) + ROUNDING

    def take(self, now: float) -> None:
        """Take one, be it there or not."""
        if self._rate:
            self._left = self.tokens(now) - ROUNDING - 1
            self._taken_at = max(now, self._taken_at)

    def next_at(self, now: float) -> float:
        """Return when there will be one: `now` if there is."""
        return now if self.tokens(now) >= 1 else self._taken_at + (1 - self._left) / self._rate
