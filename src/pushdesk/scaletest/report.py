"""The report of a scale test, as text for a terminal of 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.scaletest.measures import BOOKS
from pushdesk.scaletest.metering import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pushdesk.scaletest.measures import Latencies, Report, Run

_WIDTH: Final = 21
_FIRST, _COLUMN = 12, 22
"""How wide the columns of the comparison are: that of the first run, which has no ratios, and those of the others."""
_MOST_STATEMENTS: Final = 12
_MOST_MISSING: Final = 20
_NOT_COUNTED: Final = "not counted, without probes"


def report_lines(report: Report) -> Iterator[str]:
    """Yield the lines of a report."""
    machine = report.machine
    yield _row("machine", f"{_counted(machine.cores, 'core')}, {machine.processor}")
    yield _row("", f"{machine.system}, Python {machine.python}")
    yield _row("load", f"{machine.load:.1f} before, {report.load_after:.1f} after")
    for run in report.runs:
        yield ""
        yield from _run_lines(run)
    if len(report.runs) > 1:
        yield ""
        yield from _comparison(report.runs)
    if report.failed:
        yield ""
        yield f"NOT COMPLETE: {report.failed}"


def _run_lines(run: Run) -> Iterator[str]:
    total, latency, answer = run.conversations * run.turns, run.latency, run.answer
    yield f"{run.variant.words}: {_counted(run.conversations, 'conversation')}, {run.arrived} of {total} turns arrived"
    yield _row("wall time", f"{run.wall_s:.2f} s, after {run.register_s:.1f} s for subscribing")
    yield _row("turns per second", f"{run.turns_per_s:.0f}")
    yield _row("to the push service", _percentiles(latency))
    yield _row("to the answer", _percentiles(answer))
    cpu = run.cpu
    yield _row("CPU per turn", f"{cpu.total_ms:.3f} ms; the test itself took {cpu.driver_ms:.3f} ms besides")
    for name, took_ms in sorted(cpu.parts_ms.items(), key=lambda item: -item[1]):
        if name == OTHER and not run.probes:
            # All that the server itself does is nobody's.
            continue
        yield _row(f"  {name}", f"{took_ms:.3f} ms  {_percent(took_ms, cpu.total_ms)}")
    yield _row("subscription reads", _counted(run.cache.reads, "statement"))
    counts = ", ".join(f"{what} {count}" for what, count in run.cache.counts.items())
    yield _row("cache", counts or "nothing happened in it")
    yield _row("connection waits", f"{100 * run.wait_share:.2f} % of the run" if run.probes else _NOT_COUNTED)
    for kind, waits in run.waits.items():
        waited = f"{waits.waited} of {waits.count} times, {waits.total_s:.2f} s in all"
        yield _row(f"  {kind}", f"{waited}, {1000 * waits.longest_s:.0f} ms at most" if waits.waited else waited)
    memory = run.memory
    server = f"{memory.server / 1e6:.0f} MB, {memory.server_most / 1e6:.0f} MB at most"
    if number := memory.processes - 1:
        server += f"; {_counted(number, 'sender process', 'sender processes')} {memory.children / 1e6:.0f} MB"
    yield _row("memory", server)
    sample = run.sample
    yield _row(
        "decrypted",
        f"{sample.good + sample.bad} of {run.arrived} ({100 * sample.share:.1f} %): "
        f"{sample.good} as sent, {sample.bad} not",
    )
    yield _row("came twice", f"{run.duplicates}")
    if run.data_dir:
        yield _row("data directory", run.data_dir)
    yield from _statement_lines(run)
    yield from _trouble(run)


def _statement_lines(run: Run) -> Iterator[str]:
    statements = list(run.statements.items())
    yield _row("statements", f"{sum(one.count for _, one in statements)}" if run.probes else _NOT_COUNTED)
    for name, one in statements[:_MOST_STATEMENTS]:
        yield f"  {one.count:>8} {name}" + (f", {_counted(one.rows, 'row')}" if one.rows != one.count else "")
    others = statements[_MOST_STATEMENTS:]
    if others:
        yield f"  {sum(one.count for _, one in others):>8} of {_counted(len(others), 'other kind')}"


def _percentiles(times: Latencies) -> str:
    return f"p50 {times.p50_ms:.1f}, p95 {times.p95_ms:.1f}, p99 {times.p99_ms:.1f} ms after the request"


def _trouble(run: Run) -> Iterator[str]:
    """Yield what did not go as it should."""
    if run.put_off:
        yield _row("put off", f"{_counted(run.put_off, 'turn')}, as the server asked for it")
    if run.reconnects:
        yield _row("connections lost", f"{run.reconnects}")
    for why, count in run.refused.items():
        yield _row("refused", f"{_counted(count, 'time')}: {why}")
    for what in run.strange:
        yield _row("strange", what)
    for note in run.notes:
        yield _row("note", note)
    if run.missing:
        yield f"NOT COMPLETE: {_counted(run.missing, 'turn')} did not arrive."
        for one in run.first_missing[:_MOST_MISSING]:
            state = "accepted, and never arrived" if one.was_accepted else "not accepted"
            yield f"  turn {one.turn} of {one.conversation}: {state}"
        if (more := len(run.first_missing) - _MOST_MISSING) > 0:
            yield f"  and others of {_counted(more, 'more conversation')}"
    elif not run.complete:
        yield "NOT COMPLETE: all turns arrived, but see above."


def _comparison(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a table of all runs, with the ratio to the first."""
    yield _cells("", [run.variant.words for run in runs])
    rows: tuple[tuple[str, Callable[[Run], float], str], ...] = (
        ("wall time, s", lambda run: run.wall_s, ".2f"),
        ("turns/s", lambda run: run.turns_per_s, ".0f"),
        ("CPU per turn, ms", lambda run: run.cpu.total_ms, ".3f"),
        ("p50, ms", lambda run: run.latency.p50_ms, ".1f"),
        ("p99, ms", lambda run: run.latency.p99_ms, ".1f"),
        ("subscription reads", lambda run: run.cache.reads, ".0f"),
    )
    counted: tuple[tuple[str, Callable[[Run], float], str], ...] = (
        ("statements", lambda run: sum(one.count for one in run.statements.values()), ".0f"),
        ("waits, % of the run", lambda run: 100 * run.wait_share, ".2f"),
        ("waits added up, s", _waited_s, ".2f"),
    )
    for name, value, form in (*rows, *counted) if all(run.probes for run in runs) else rows:
        first, *others = map(value, runs)
        ratios = [f"{other:{form}} ({other / first:.2f}x)" if first else f"{other:{form}}" for other in others]
        yield _cells(name, [f"{first:{form}}", *ratios])


def _cells(name: str, values: Sequence[str]) -> str:
    first, *others = values
    return f"{name:<{_WIDTH}}{first:>{_FIRST}}" + "".join(f"{other:>{_COLUMN}}" for other in others)


def _waited_s(run: Run) -> float:
    """Return how long connections of the database were waited for, added up: what waits before it is none."""
    return sum(waits.total_s for kind, waits in run.waits.items() if kind != BOOKS)


def _counted(number: int, noun: str, several: str = "") -> str:
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def _row(name: str, value: str) -> str:
    return f"{name:<{_WIDTH}}{value}"


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:4.1f} %" if whole else ""
