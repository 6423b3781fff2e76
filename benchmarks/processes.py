"""What a process costs, as Linux tells it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
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
    fields = _stat(pid)
    return Usage((int(fields[11]) + int(fields[12])) / TICKS_PER_S, time.perf_counter())


def resident_mb(pid: int) -> float:
    """Return how much memory of a process is resident, in megabytes."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE_BYTES / 1e6


def family(pid: int) -> tuple[int, ...]:
    """Return a process and all those that it began, and they, and so on."""
    found = [pid]
    # Grows while it is gone through.
    for parent in found:
        # Whoever ends meanwhile has no more children.
        with suppress(FileNotFoundError, ProcessLookupError):
            for thread in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (thread / "children").read_text(encoding="ascii").split())
    return tuple(found)


def family_cpu_s(pid: int) -> float:
    """Return the seconds of CPU that a process and its family have used, those that have ended among them."""
    used_ticks = 0
    for member in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            used_ticks += sum(map(int, _stat(member)[11:15]))
    return used_ticks / TICKS_PER_S


def load_average() -> float:
    """Return how many processes wanted to run in the last minute."""
    return os.getloadavg()[0]


def percentile(values: list[float], percent: float) -> float:
    """Return the nearest-rank percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)] if ordered else 0.0


def _stat(pid: int) -> list[str]:
    # The name may hold spaces; what follows its last bracket does not.
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
