"""A brake on mass death: where unusually many subscriptions end at once, it is not they that have ended. Pure.

A push service's bad day, or a mistake of this server's, looks like very many subscriptions that are gone, and taking
that for the truth would remove every user. Moments are handed in, of a clock that never jumps.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

WINDOW_S: Final = 600
"""For how long back is counted ..."""
STEP_S: Final = 10
"""... in steps of so many seconds, so that memory is fixed."""
FEWEST: Final = 50
"""So many may end within the window, however few were sent to ..."""
SHARE: Final = 0.2
"""... and this share of the attempts, if that is more. The one that would be over it puts the brake on."""

REMEMBERED: Final = 10_000
"""Subscriptions that are remembered to have ended, so that none is counted twice."""


class Brake:
    """One push service's. Once it is on, it stays on until somebody takes it off."""

    def __init__(self) -> None:
        self._steps: deque[list[int]] = deque()
        """[step, attempts, ended] of the window."""
        self._believed: OrderedDict[tuple[str, int], None] = OrderedDict()
        """The last subscriptions of which it was believed, in the version that they had."""
        self.is_on = False
        self.reason = ""
        """Why it is on."""

    def attempted(self, now: float) -> None:
        """An attempt was answered, or not in time."""
        self._step(now)[1] += 1

    def ended(self, subscription: str, version: int, now: float) -> bool:
        """A subscription has ended by its push service's word; returns whether that is not believed, but held.

        However many of its pushes say so, it is one: most that are under way together end together.
        """
        this = (subscription, version)
        if this in self._believed:
            return False
        if self.is_on:
            return True
        self._step(now)[2] += 1
        attempts = sum(step[1] for step in self._steps)
        ended = sum(step[2] for step in self._steps)
        if ended > max(FEWEST, SHARE * attempts):
            self.is_on = True
            self.reason = f"{ended} subscriptions ended within {WINDOW_S // 60} minutes, by {attempts} attempts."
            return True
        self._believed[this] = None
        while len(self._believed) > REMEMBERED:
            self._believed.popitem(last=False)
        return False

    def put_on(self, reason: str) -> None:
        """Put it on, as it was before a restart."""
        self.is_on, self.reason = True, reason

    def take_off(self) -> None:
        """Take it off, and count anew."""
        self.is_on, self.reason = False, ""
        self._steps.clear()

    def _step(self, now: float) -> list[int]:
        """Return the step of this moment, with none before the window."""
        step = int(now // STEP_S)
        while self._steps and self._steps[0][0] <= step - WINDOW_S // STEP_S:
            self._steps.popleft()
        if not self._steps or self._steps[-1][0] < step:
            self._steps.append([step, 0, 0])
        return self._steps[-1]
