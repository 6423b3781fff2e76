"""What processes cost and the machine is, as Linux tells it."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_LONGEST_NAME: Final = 60


class Usage(NamedTuple):
    """What a process has used."""

    cpu_s: float
    """By all its threads."""
    resident: int
    """Bytes of memory, now."""
    most_resident: int
    """Bytes of memory, at most."""
    reaped_s: float
    """What its children had used that have ended."""


class Machine(msgspec.Struct, frozen=True):
    """On what was measured."""

    cores: int
    """That this program may use."""
    load: float
    """Processes that wanted to run in the minute before."""
    python: str
    system: str
    processor: str


def this_machine() -> Machine:
    """Return what this machine is and has to do."""
    processor = platform.processor()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processor=processor[:_LONGEST_NAME],
    )


def usage_of(pid: int) -> Usage | None:
    """Return what a process has used; None if there is none any more, or this system does not tell."""
    try:
        # The name may hold spaces; what follows its last bracket does not.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # To the nanosecond, but of the threads only that still run; the other is of all, in hundredths of a second.
    cpu_s = max((int(fields[11]) + int(fields[12])) / TICKS_PER_S, _of_threads(pid))
    memory = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Usage(
        cpu_s,
        _bytes(memory.get("VmRSS", "")),
        _bytes(memory.get("VmHWM", "")),
        (int(fields[13]) + int(fields[14])) / TICKS_PER_S,
    )


def children_of(pid: int) -> tuple[int, ...]:
    """Return the processes that a process has started and that still run, with theirs."""
    found: list[int] = []
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += [int(child) for child in (thread / "children").read_text(encoding="ascii").split()]
    return (*found, *(below for child in found for below in children_of(child)))


def _of_threads(pid: int) -> float:
    """Return the seconds that the threads of a process have used that still run; 0 if the system does not tell."""
    used_ns = 0
    with suppress(OSError, ValueError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            used_ns += int((thread / "schedstat").read_text(encoding="ascii").split()[0])
    return used_ns / 1e9


def _bytes(said: str) -> int:
    number = said.split()
    return int(number[0]) * 1024 if number else 0
