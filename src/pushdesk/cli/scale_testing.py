"""What `pushdesk scaletest` runs, until it is done or a signal ends it."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pushdesk import __version__
from pushdesk.cli.ending import EndBySignal
from pushdesk.cli.output import say, tell
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO
from pushdesk.scaletest.database_url import database_file
from pushdesk.scaletest.machine import this_machine
from pushdesk.scaletest.measures import Report
from pushdesk.scaletest.plan import Variant
from pushdesk.scaletest.progress import Bars, Lines
from pushdesk.scaletest.report import report_lines
from pushdesk.scaletest.run import run as run_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pushdesk.scaletest.measures import Run
    from pushdesk.scaletest.plan import Plan
    from pushdesk.scaletest.progress import Progress


def run(plan: Plan, *, baseline: bool, database_url: str | None, json_file: Path | None) -> int:
    """Run the scale test and report; returns the exit code.

    Raises:
        PushdeskError: What is asked for cannot be done, or the server did not live to its end.
    """
    if database_url is not None:
        plan = replace(plan, database=database_file(database_url))
    report = asyncio.run(_run(plan, list(Variant) if baseline else [Variant.FULL]))
    if report is None:
        tell("interrupted: the server is ended, and nothing of it is left")
        return EXIT_INTERRUPTED
    for line in report_lines(report):
        say(line)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return EXIT_DONE if report.complete else EXIT_NO


async def _run(plan: Plan, variants: Sequence[Variant]) -> Report | None:
    """Run all variants; returns nothing if a signal has asked for an end."""
    ending = EndBySignal()
    machine, started = this_machine(), datetime.now(UTC)
    runs: list[Run] = []
    for variant in variants:
        prefix = f"{variant.words}: " if len(variants) > 1 else ""
        work = asyncio.ensure_future(run_once(replace(plan, variant=variant), _progress(prefix)))
        asked = asyncio.ensure_future(ending.asked.wait())
        await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return None
        runs.append(work.result())
    return Report(
        version=__version__,
        started_at=started.isoformat(timespec="seconds"),
        machine=machine,
        complete=all(one.complete for one in runs),
        runs=tuple(runs),
        load_after=round(os.getloadavg()[0], 2),
    )


def _progress(prefix: str) -> Progress:
    return Bars(prefix) if sys.stderr is not None and sys.stderr.isatty() else Lines(tell, prefix)
