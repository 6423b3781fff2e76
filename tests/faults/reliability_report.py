"""Prints how what was accepted fares under faults into docs/reliability.md: `scripts/reliability-report [PART …]`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from benchmarks import lanes
from tests.faults.disasters import DISASTERS, NotPossibleError, befall
from tests.faults.draining import drain
from tests.faults.fault_table import TABLE
from tests.faults.kills import kill_again_and_again
from tests.faults.steps import try_every_step
from tests.figures import table, write_figures
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.fault_table import Row
    from tests.faults.steps import Point

DOCUMENT: Final = CHECKOUT / "docs" / "reliability.md"
IN_FLIGHT: Final = 500
MEGABYTE: Final = 10**6
NAMES: Final = {
    "locked": "somebody else writes, and does not end",
    "full": "the disk is full (8 MB, in memory)",
    "read-only": "the database is read-only",
    "unwritable": "no file can be written to, the log among them",
    "hostile": "the push service is hostile: half of its answers are silence, resets, heads and bodies without an end",
}


class Report:
    """What is measured; each part returns its figures, and adds what must not be to `faults`.

    Args:
        asked: How long it may take.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self._asked = asked
        self.faults: list[str] = []

    def kills(self, folder: Path) -> str:
        """Kill servers under load."""
        found = asyncio.run(
            kill_again_and_again(folder, self._asked.kills, self._asked.seed, broadcasts=self._asked.broadcasts)
        )
        comparison = found.comparison
        self.faults += comparison.faults
        excused = ", ".join(f"{number} {outcome}" for outcome, number in comparison.excused.items())
        rows: list[tuple[object, ...]] = [
            ("kills", len(found.in_flight)),
            ("accepted: answered 202 or 200, and fsynced by the client", comparison.accepted),
            ("that comes to deliveries", comparison.due),
            ("received and decrypted", comparison.received),
            (f"not received, and told why ({excused})", comparison.excused.total()),
            ("**lost**", len(comparison.lost)),
            ("of a topic, received after a newer one", len(comparison.overtaken)),
            ("in flight at the kills, all together", sum(found.in_flight)),
            ("of these, received twice", comparison.duplicates),
            ("received twice, and not in flight", len(comparison.unexplained)),
            ("the most that one kill had received twice", max(found.again, default=0)),
            ("the most memory over idle, MB", round(found.memory.growth / MEGABYTE)),
        ]
        return table(("", "number"), rows)

    def steps(self, folder: Path) -> str:
        """End servers at each step."""
        every = self._asked.every
        tried = asyncio.run(try_every_step(folder, every=every, broadcasts=self._asked.broadcasts, tell=_tell))
        self.faults += tried.faults
        kinds = ("begin", "statement", "commit", "push", "head of an answer", "end of an answer")
        rows: list[tuple[object, ...]] = []
        for kind in kinds:
            points = [point for point in tried.points if point.step.endswith(kind)]
            rows.append((kind, len(points), sum(bool(point.faults) for point in points), _twice(points)))
        rows.append(
            (
                f"all; the first server took {tried.steps}",
                len(tried.points),
                sum(bool(point.faults) for point in tried.points),
                _twice(tried.points),
            )
        )
        return table(("before and after each", "servers that ended there", "that lost anything", "sent twice"), rows)

    def disasters(self, folder: Path) -> str:
        """Have the database be locked, full, and so on."""
        rows: list[tuple[object, ...]] = []
        for name in DISASTERS:
            try:
                found = asyncio.run(befall(_made(folder / name), name, self._asked.seconds))
            except NotPossibleError:
                sys.stderr.write(f"{name}: it cannot be brought about here.\n")
                continue
            comparison = found.comparison
            self.faults += comparison.faults
            told = ", ".join(
                sorted({f"{said.status} `{said.code}`, Retry-After: {said.retry_after}" for said in found.refusals})
            )
            rows.append(
                (
                    NAMES[name],
                    f"{found.seconds:g}",
                    told,
                    found.refusals.total(),
                    "yes" if found.readable else "no",
                    comparison.accepted,
                    len(comparison.lost),
                    comparison.duplicates,
                    round(found.growth / MEGABYTE),
                )
            )
        header = ("", "seconds", "applications are told", "so often", "reads go on", "accepted before and after")
        return table((*header, "lost", "sent twice", "memory over idle, MB"), rows)

    def ends(self, folder: Path) -> str:
        """End servers by SIGTERM."""
        rows: list[tuple[object, ...]] = []
        for twice in (False, True):
            found = asyncio.run(drain(_made(folder / str(twice)), IN_FLIGHT, twice=twice))
            expected = IN_FLIGHT if twice else 0
            if found.lost or found.duplicates != expected:
                self.faults.append(f"SIGTERM: {found}")
            name = "SIGTERM, and another one at once" if twice else "SIGTERM"
            rows.append((name, found.in_flight, found.exit_code, f"{found.seconds:.1f}", found.lost, found.duplicates))
        return table(("", "in flight", "exit code", "seconds to its end", "lost", "sent twice"), rows)

    def lanes(self, _folder: Path) -> str:
        """Have push services be unwell."""
        return table(lanes.HEADER, lanes.rows(asyncio.run(lanes.measure())))

    def faults_met(self, _folder: Path) -> str:
        """Say what is done about each fault, as the tests know."""
        return faults_table()


def faults_table() -> str:
    """Return what is done about each fault."""
    header = ("fault", "push service", "what comes of it", "tried again", "received", "subscription")
    return table(header, [_told(row) for row in TABLE])


def _told(row: Row) -> tuple[object, ...]:
    again = "no"
    if row.wait_s is not None:
        again = (
            f"in {row.wait_s:g} s, which is before its TTL ends"
            if row.says.startswith("tried")
            else (f"in {row.wait_s:g} s")
        )
    elif len(row.outcomes) > 1:
        again = "by the schedule"
    return (
        f"`{row.fault}`",
        row.service or "any other",
        row.outcomes[0].value,
        again,
        ("never", "once", "twice")[row.copies],
        row.state,
    )


def _twice(points: list[Point]) -> int:
    return sum(point.duplicates for point in points)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def main() -> None:
    """Measure, and write what comes of it into the document; ends with 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="only every so manyth step is tried")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long a disaster takes")
    parser.add_argument(
        "--broadcasts",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="some of the load is for all users at once",
    )
    parser.add_argument("parts", nargs="*")
    asked = parser.parse_args()
    report = Report(asked)
    parts: dict[str, Callable[[Path], str]] = {
        "faults": report.faults_met,
        "ends": report.ends,
        "disasters": report.disasters,
        "lanes": report.lanes,
        "steps": report.steps,
        "kills": report.kills,
    }
    for name in asked.parts or parts:
        with TemporaryDirectory() as folder:
            figures = parts[name](Path(folder))
        sys.stdout.write(f"{name}\n{figures}\n\n")
        write_figures(DOCUMENT, name, figures)
    if report.faults:
        sys.exit("\n".join(report.faults[:20]))


if __name__ == "__main__":
    main()
