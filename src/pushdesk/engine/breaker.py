"""A breaker: whoever fails half of the time is left alone, then asked one at a time. Pure: moments are handed in."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_S: Final = 30
"""For how long back faults are counted."""
FEWEST: Final = 20
"""Of fewer answers than this nothing is concluded."""
SHARE: Final = 0.5
"""The share of faults that breaks."""
FIRST_BACK_OFF_S: Final = 5.0
"""How long somebody who broke is left alone; doubled with each trial that fails."""
LONGEST_BACK_OFF_S: Final = 300.0


class Breaker:
    """Counts faults by the second, so that its memory is the window's."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()
        """[second, answers, faults] of the window."""
        self._answers = 0
        self._faults = 0
        self._back_off_s = FIRST_BACK_OFF_S
        self._retry_at = 0.0
        self._is_tried = False
        self.epoch = 0
        """How often it has broken or was reset: an answer to what was started before says nothing."""
        self.since: float | None = None
        """When it broke; None while it has not."""
        self.reason = ""
        """Why it broke, or why its last trial failed."""

    @property
    def is_broken(self) -> bool:
        """Whether only trials may start."""
        return self.since is not None

    def may_try(self, now: float) -> bool:
        """Whether a trial may start; of one that is not broken, whether anything may."""
        return not self.is_broken or (not self._is_tried and now >= self._retry_at)

    @property
    def retry_at(self) -> float | None:
        """When a trial may start; None while one is under way, or where it is not broken."""
        return self._retry_at if self.is_broken and not self._is_tried else None

    def start(self) -> None:
        """Something starts: the trial, if it is broken."""
        self._is_tried = self.is_broken

    def withdraw(self, epoch: int) -> None:
        """What was started in an epoch came to nothing that says anything: another may be tried in its place."""
        if epoch == self.epoch:
            self._is_tried = False

    def answered(self, epoch: int, now: float, *, fault: bool, said: str) -> None:
        """What was started in an epoch has ended.

        Args:
            epoch: What `epoch` was when it was started.
            now: When it ended.
            fault: Whether there was no answer, or one that tells of a fault.
            said: What there was to be said, for the reason.
        """
        if epoch != self.epoch:
            return
        if self.is_broken:
            self._is_tried = False
            if not fault:
                self._close()
                return
            self._back_off_s = min(2 * self._back_off_s, LONGEST_BACK_OFF_S)
            self._retry_at = now + self._back_off_s
            self.reason = f"A trial failed again. {said}"
            return
        self._count(now, fault=fault)
        answers, faults = self._answers, self._faults
        if answers >= FEWEST and faults >= SHARE * answers:
            self._close()
            self.since = now
            self._retry_at = now + self._back_off_s
            self.reason = f"{faults} of {answers} requests failed within {WINDOW_S} s. Last: {said}"

    def reset(self) -> None:
        """Forget everything."""
        self._close()

    def _close(self) -> None:
        self.epoch += 1
        self.since = None
        self.reason = ""
        self._seconds.clear()
        self._answers = self._faults = 0
        self._back_off_s = FIRST_BACK_OFF_S
        self._is_tried = False

    def _count(self, now: float, *, fault: bool) -> None:
        second = int(now)
        while self._seconds and self._seconds[0][0] <= second - WINDOW_S:
            _, answers, faults = self._seconds.popleft()
            self._answers -= answers
            self._faults -= faults
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += 1
        self._seconds[-1][2] += fault
        self._answers += 1
        self._faults += fault
