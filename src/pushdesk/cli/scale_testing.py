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
from pushdesk.cli.report_files import check_writable, write_file
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED, EXIT_NO, PushdeskError, StartUpError
from pushdesk.scaletest.database_url import database_file
from pushdesk.scaletest.machine import this_machine
from pushdesk.scaletest.measures import Report
from pushdesk.scaletest.picture import draw
from pushdesk.scaletest.plan import Variant
from pushdesk.scaletest.progress import Bars, Lines
from pushdesk.scaletest.report import report_lines
from pushdesk.scaletest.run import check_place
from pushdesk.scaletest.run import run as run_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pushdesk.scaletest.measures import Run
    from pushdesk.scaletest.plan import Plan
    from pushdesk.scaletest.progress import Progress


def run(plan: Plan, *, baseline: bool, database_url: str | None, json_file: Path | None, svg_file: Path | None) -> int:
    """Run the scale test and report; returns the exit code.

    Raises:
        PushdeskError: What is asked for cannot be done, or the server did not live to its end.
    """
    if database_url is not None:
        plan = replace(plan, database=database_file(database_url))
    if json_file is not None:
        check_writable("--json", json_file)
    if svg_file is not None:
        check_writable("--svg", svg_file)
        if json_file is not None and svg_file.absolute() == json_file.absolute():
            raise StartUpError("--json and --svg name the same file.")
    plans = _plans(plan, baseline=baseline)
    for each in plans:
        # All of them, before the first is run.
        check_place(each)
    report, is_interrupted = asyncio.run(_run(plans))
    # A run that was finished has taken long enough to be worth telling.
    is_written = not report.runs or _tell(report, json_file, svg_file)
    if is_interrupted:
        return EXIT_INTERRUPTED
    return EXIT_DONE if report.complete and is_written else EXIT_NO


def _tell(report: Report, json_file: Path | None, svg_file: Path | None) -> bool:
    """Show a report and write it where it was asked for; returns whether that could be done."""
    # First to where nothing can go wrong: a run may have taken long.
    is_written = True
    try:
        for line in report_lines(report):
            say(line)
    finally:
        if json_file is not None:
            content = msgspec.json.format(msgspec.json.encode(report)) + b"\n"
            is_written &= write_file("--json", json_file, content)
        if svg_file is not None:
            is_written &= write_file("--svg", svg_file, draw(report).encode())
    return is_written


def _plans(plan: Plan, *, baseline: bool) -> Sequence[Plan]:
    """Return what is to be run: with one variant, or with each, in a place of its own."""
    if not baseline:
        return (plan,)
    return tuple(
        replace(
            plan,
            variant=variant,
            data_dir=None if plan.data_dir is None else plan.data_dir / variant,
            database=None if plan.database is None else plan.database.with_stem(f"{plan.database.stem}-{variant}"),
        )
        for variant in Variant
    )


async def _run(plans: Sequence[Plan]) -> tuple[Report, bool]:
    """Run all plans; returns what was run, and whether a signal has asked for an end before all were.

    Raises:
        PushdeskError: The first could not be run to its end. Of a later one the report says so.
    """
    ending = EndBySignal()
    machine, started = this_machine(), datetime.now(UTC)
    runs: list[Run] = []
    failed = ""
    for plan in plans:
        prefix = f"{plan.variant.words}: " if len(plans) > 1 else ""
        work = asyncio.ensure_future(run_once(plan, _progress(prefix)))
        asked = asyncio.ensure_future(ending.asked.wait())
        await asyncio.wait((work, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            failed = f"{prefix}interrupted"
            tell(f"{failed}: the server was ended, and there is no report" + (" of it" if runs else ""))
            break
        try:
            runs.append(_result(work))
        except PushdeskError as error:
            if not runs:
                raise
            failed = f"{prefix}{error}"
            tell(failed)
            break
    report = Report(
        version=__version__,
        started_at=started.isoformat(timespec="seconds"),
        machine=machine,
        complete=not failed and all(one.complete for one in runs),
        runs=tuple(runs),
        load_after=round(os.getloadavg()[0], 2),
        failed=failed,
    )
    return report, ending.asked.is_set() and len(runs) < len(plans)


def _result(work: asyncio.Future[Run]) -> Run:
    try:
        return work.result()
    except ExceptionGroup as group:
        # Several who asked at once were told the same.
        raise next((error for error in _each(group) if isinstance(error, PushdeskError)), group) from None


def _each(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    return [
        one
        for error in group.exceptions
        for one in (_each(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


def _progress(prefix: str) -> Progress:
    return Bars(prefix) if sys.stderr is not None and sys.stderr.isatty() else Lines(tell, prefix)
