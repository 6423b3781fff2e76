"""A clock that stands still until a test moves it."""

from __future__ import annotations


class FrozenClock:
    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.stepped = 0.0

    def time(self) -> float:
        return self.now + self.stepped

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, while no time passes."""
        self.stepped += seconds
