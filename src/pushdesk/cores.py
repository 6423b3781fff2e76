"""How many cores this process may use: those that the system has, less what is not its to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOST_SENDERS: Final = 64
CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUP: Final = Path("/proc/self/cgroup")


def usable_cores(*, cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """Return how many cores can be kept busy: what the process is bound to, and what its cgroup may take of them.

    Args:
        cgroups: Where the control groups are (version 2).
        own: What says in which one this process is.
    """
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        # Not Linux: nothing is bound.
        cores = os.cpu_count() or 1
    quota = _quota(cgroups, own)
    return cores if quota is None else max(1, min(cores, int(quota)))


def senders_by_default(cores: int) -> int:
    """Return how many sender processes there are for so many cores, if nothing is set: one core is the engine's."""
    return min(max(1, cores - 1), MOST_SENDERS)


def _quota(cgroups: Path, own: Path) -> float | None:
    """Return how many cores the narrowest of the cgroup and those around it allows; None where none says."""
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    name = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)
    if name is None:
        return None
    group = cgroups / name.lstrip("/")
    found = [_cores(each / "cpu.max") for each in (group, *group.parents) if each.is_relative_to(cgroups)]
    return min((cores for cores in found if cores is not None), default=None)


def _cores(file: Path) -> float | None:
    """Read a `cpu.max`: microseconds that may be used, or `max`, in a period of so many."""
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        # There is none, it says `max`, or something else.
        return None
