"""Times, counted so finely that a percentile is right within one in a hundred, in bounded memory."""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

_FINENESS: Final = 100
"""Steps in which a time grows e-fold: each is a hundredth more than the one before."""


class Histogram:
    """Times in seconds."""

    def __init__(self) -> None:
        self._steps: Counter[int] = Counter()
        self._count = 0
        self._most = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        self._steps[round(math.log(max(seconds, 1e-6)) * _FINENESS)] += 1
        self._count += 1
        self._most = max(self._most, seconds)

    def percentile(self, percent: float) -> float:
        """Return the time that so many percent do not exceed (nearest rank); 0 of none."""
        rank = max(1, math.ceil(self._count * percent / 100))
        for step in sorted(self._steps):
            rank -= self._steps[step]
            if rank <= 0:
                return min(math.exp(step / _FINENESS), self._most)
        return 0.0
