"""What happens in floods is counted, and told in one line now and then: a flood of requests is none of log lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

PERIOD_S: Final = 10.0
"""Seconds from one line to the next."""


class Tally:
    """Counts one kind of thing, and says when to tell of it.

    Args:
        now: A clock in seconds that never jumps.
        period_s: Seconds from one line to the next.
    """

    def __init__(self, now: Callable[[], float], *, period_s: float = PERIOD_S) -> None:
        self.total = 0
        """How many there were."""
        self._now = now
        self._period_s = period_s
        self._told = 0
        self._told_at_s = float("-inf")

    def add(self) -> int:
        """Count one more; return how many there were since the last line, or 0 if it is too early for another."""
        self.total += 1
        now = self._now()
        if now - self._told_at_s < self._period_s:
            return 0
        untold, self._told, self._told_at_s = self.total - self._told, self.total, now
        return untold
