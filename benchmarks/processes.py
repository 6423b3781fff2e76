"""What a process costs, as Linux tells it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, NamedTuple

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Usage(NamedTuple):
    """What a process has used by a moment."""

    cpu_s: float
    at_s: float

    def share_since(self, earlier: Usage) -> float:
        """Return the percentage of one core that was used since then."""
        return 100 * (self.cpu_s - earlier.cpu_s) / (self.at_s - earlier.at_s)


def usage(pid: int) -> Usage:
    """Return what a process has used, by all its threads."""
    # The name may hold spaces; what follows its last bracket does not.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_S, time.perf_counter())


def resident_mb(pid: int) -> float:
    """Return how much memory of a process is resident, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6


def load_average() -> float:
    """Return how many processes wanted to run in the last minute."""
    return os.getloadavg()[0]


def percentile(values: list[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)] if ordered else 0.0
