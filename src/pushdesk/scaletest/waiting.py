"""How long somebody waited for a connection to the database because all were in use."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pushdesk.scaletest.measures import Waits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal


class WaitClock:
    """Adds up waits."""

    def __init__(self) -> None:
        self._asked = self._waited = self._now_waiting = 0
        self._total_s = self._anybody_s = self._since = 0.0
        self.longest_s = 0.0
        """The longest single wait; may be set to nothing."""

    def asked(self) -> None:
        """Somebody asks for a connection."""
        self._asked += 1

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Surround a wait."""
        began = time.monotonic()
        self._waited += 1
        if not self._now_waiting:
            self._since = began
        self._now_waiting += 1
        try:
            yield
        finally:
            now = time.monotonic()
            self._now_waiting -= 1
            if not self._now_waiting:
                self._anybody_s += now - self._since
            self._total_s += now - began
            self.longest_s = max(self.longest_s, now - began)

    def figures(self) -> Waits:
        """Return what was counted."""
        return Waits(self._asked, self._waited, self._total_s, self._anybody_s, self.longest_s)


class TimedSemaphore(asyncio.Semaphore):
    """A semaphore whose waits are counted.

    Args:
        size: For how many there is room.
        clock: Counts them.
        all_clocks: Counts them together with those for other connections.
    """

    def __init__(self, size: int, clock: WaitClock, all_clocks: WaitClock) -> None:
        super().__init__(size)
        self._clock = clock
        self._all_clocks = all_clocks

    async def acquire(self) -> Literal[True]:
        """Take one."""
        self._clock.asked()
        if not self.locked():
            return await super().acquire()
        with self._clock.waiting(), self._all_clocks.waiting():
            return await super().acquire()


class TimedLock(asyncio.Lock):
    """A lock whose waits are counted.

    Args:
        clock: Counts them.
        all_clocks: Counts them together with those for other connections.
    """

    def __init__(self, clock: WaitClock, all_clocks: WaitClock) -> None:
        super().__init__()
        self._clock = clock
        self._all_clocks = all_clocks

    async def acquire(self) -> Literal[True]:
        """Take it."""
        self._clock.asked()
        if not self.locked():
            return await super().acquire()
        with self._clock.waiting(), self._all_clocks.waiting():
            return await super().acquire()
