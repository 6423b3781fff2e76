"""The clock, handed in wherever time is used."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks: one that a person would read, and one that never jumps."""

    def time(self) -> float:
        """Return seconds since the epoch: for what is shown, stored and sent."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start: for durations and deadlines in this process."""
        ...


class SystemClock:
    """The machine's clocks."""

    def time(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start."""
        return time.monotonic()
