"""How far a broadcast has come, how fast it goes and how long it will take: pure, moments are handed in."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from pushdesk.storage.records import Stretch

if TYPE_CHECKING:
    from collections.abc import Sequence

LATELY_S: Final = 10.0
"""How far back a pace looks, in seconds."""
MOST_PER_S: Final = 900.0
"""About what one process encrypts, signs and posts per second, to all push services together."""


def gaps(settled: Sequence[Stretch], last: str) -> list[Stretch]:
    """Return what of the subscriptions up to the last one is not settled yet.

    Args:
        settled: The stretches that are, in order.
        last: The id of the last one that is meant.
    """
    found: list[Stretch] = []
    after = ""
    for stretch in settled:
        if stretch.after > after:
            found.append(Stretch(after, stretch.after))
        after = stretch.last
    if after < last:
        found.append(Stretch(after, last))
    return found


class Pace:
    """How much was done per second, lately."""

    def __init__(self) -> None:
        self._done: deque[tuple[float, int]] = deque()
        self._since: float | None = None
        """When it was begun, after it had stood still."""

    def begin(self, now: float) -> None:
        """Note that it goes on from this moment, if it stood still."""
        self._forget(now)
        if self._since is None:
            self._since = now

    def note(self, now: float, number: int) -> None:
        """Note that so many were done."""
        self.begin(now)
        self._done.append((now, number))

    def per_s(self, now: float) -> float | None:
        """Return how many were done per second; None if it stands still, or has only begun."""
        self._forget(now)
        if not self._done or self._since is None:
            return None
        seconds = min(LATELY_S, now - self._since)
        return sum(number for _, number in self._done) / seconds if seconds > 0 else None

    def _forget(self, now: float) -> None:
        while self._done and self._done[0][0] <= now - LATELY_S:
            self._done.popleft()
            if not self._done:
                self._since = None


def duration_s(number: int, *, latency_ms: float | None, at_once: int, rate: int) -> float | None:
    """Return how long it takes to send to so many subscriptions of a push service; None if that is not known.

    Args:
        number: How many.
        latency_ms: How long the push service took for one, lately; None if nothing was sent to it.
        at_once: How many requests are under way at once.
        rate: Requests that start per second; 0 is no limit.
    """
    if latency_ms is None:
        return number / rate if rate else None
    per_s = min(at_once * 1000 / max(latency_ms, 0.001), MOST_PER_S)
    return number / (min(per_s, rate) if rate else per_s)


def all_s(services: Sequence[float], number: int) -> float:
    """Return how long it takes to send to all push services at once: as long as the slowest, or as this process.

    Args:
        services: How long it takes for each.
        number: How many subscriptions there are of all of them.
    """
    return max(*services, round(number / MOST_PER_S, 3), 0.0)
