"""The report of a scale test as a picture (SVG): turns per second over time, and what the processor worked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from pushdesk.scaletest.metering import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pushdesk.scaletest.measures import Report, Run

WIDTH: Final = 960
_LEFT, _RIGHT, _TOP = 76, 24, 64
_PLOT_HEIGHT: Final = 240
_LINE: Final = 22
"""Pixels from one line of text to the next."""
_BAR: Final = 26
_CHARACTER: Final = 7.2
"""Pixels that a character of a legend takes at most, in any sans-serif face of this size."""

RUN_COLOURS: Final = ("#0b5fa5", "#b34700", "#00735a")
"""Blue, orange and green that are read on white (contrast over 4.5), and told apart by those who see few colours."""
_DASHES: Final = ("", "7 4", "2 3")
PART_COLOURS: Final = {
    "requests": "#0b5fa5",
    "accept": "#4a9bd8",
    "outbox": "#7f6a00",
    "cache": "#d8b400",
    "encrypt": "#b34700",
    "http": "#e08a4a",
    "sending": "#7a3b8f",
    "carrying": "#b86bd1",
    "settle": "#00735a",
    "senders": "#6b4a2b",
    "rereading": "#c2003d",
    "measuring": "#9aa5b1",
    OTHER: "#5b6470",
}
_UNKNOWN: Final = "#222222"
_INK, _FAINT, _RULE = "#1c2530", "#4b5563", "#d5dae0"


def draw(report: Report) -> str:
    """Return the picture."""
    runs = report.runs
    bottom = _TOP + _PLOT_HEIGHT
    legend = bottom + 62
    bars = legend + _LINE * len(runs) + 30
    parts = _parts(runs)
    keys = bars + 14 + len(runs) * (_BAR + _LINE)
    rows = list(_rows(parts))
    height = keys + _LINE * len(rows) + 34
    first = runs[0]
    title = f"{first.conversations} conversations of {first.turns} turns"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="13" fill="{_INK}">'
    )
    out = [
        head,
        f"<title>{escape(title)}: turns per second, and processor time per turn</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(_LEFT, 28, title, size=17, weight="bold"),
        _text(_LEFT, 48, "turns per second", fill=_FAINT),
        *_plot(runs, bottom),
        *_legend(runs, legend),
        _text(_LEFT, bars, "processor time per turn, by part of the server", fill=_FAINT),
        *_bars(runs, parts, bars + 14),
        *_keys(rows, keys),
        _text(_LEFT, height - 14, _machine(report), size=11, fill=_FAINT),
        "</svg>",
    ]
    return "\n".join(out) + "\n"


def _plot(runs: Sequence[Run], bottom: float) -> Iterator[str]:
    """Yield the axes and a line for each run: level for as long as an interval lasts, so that one is a line, too."""
    right = WIDTH - _RIGHT
    longest_s = max((run.wall_s for run in runs), default=0.0) or 1.0
    most = max((rate for run in runs for rate in _whole(run)), default=0.0) or 1.0
    x_step, y_step = _step(longest_s), _step(most)
    top = y_step * math.ceil(most / y_step)

    def x(seconds: float) -> float:
        return _LEFT + (right - _LEFT) * min(seconds, longest_s) / longest_s

    def y(rate: float) -> float:
        return bottom - _PLOT_HEIGHT * rate / top

    for number in range(round(top / y_step) + 1):
        rate = number * y_step
        yield f'<line x1="{_LEFT}" x2="{right}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" stroke="{_RULE}"/>'
        yield _text(_LEFT - 8, y(rate) + 4, _number(rate), anchor="end", fill=_FAINT)
    for number in range(int(longest_s / x_step + 1e-9) + 1):
        seconds = number * x_step
        yield f'<line x1="{x(seconds):.1f}" x2="{x(seconds):.1f}" y1="{bottom}" y2="{bottom + 5}" stroke="{_FAINT}"/>'
        yield _text(x(seconds), bottom + 20, f"{_number(seconds)} s", anchor="middle", fill=_FAINT)
    for place, run in enumerate(runs):
        points = []
        for number, rate in enumerate(_whole(run)):
            begin = number * run.interval_s
            end = min(begin + run.interval_s, run.wall_s)
            points += [f"{x(begin):.1f},{y(rate):.1f}", f"{x(end):.1f},{y(rate):.1f}"]
        if points:
            yield (
                f'<polyline class="run" fill="none" stroke="{_colour(place)}" stroke-width="2" '
                f'stroke-dasharray="{_DASHES[place % len(_DASHES)]}" points="{" ".join(points)}"/>'
            )


def _whole(run: Run) -> Sequence[float]:
    """Return the turns per second in each interval, without the last if it was cut short: few turns, and any rate."""
    rates = run.per_second
    return rates[:-1] if len(rates) > 1 and run.last_interval_s < run.interval_s else rates


def _legend(runs: Sequence[Run], top: float) -> Iterator[str]:
    for place, run in enumerate(runs):
        y = top + place * _LINE
        yield (
            f'<line x1="{_LEFT}" x2="{_LEFT + 30}" y1="{y - 4}" y2="{y - 4}" stroke="{_colour(place)}" '
            f'stroke-width="3" stroke-dasharray="{_DASHES[place % len(_DASHES)]}"/>'
        )
        latency = run.latency
        words = (
            f"{run.variant.words}: {run.turns_per_s:.0f} turns/s, {run.wall_s:.1f} s; to the push service "
            f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms; {run.cpu.total_ms:.2f} ms of CPU per turn"
        )
        if not run.complete:
            words += "; NOT COMPLETE"
        yield _text(_LEFT + 40, y, words, css="legend")


def _bars(runs: Sequence[Run], parts: Sequence[str], top: float) -> Iterator[str]:
    longest_ms = max((run.cpu.total_ms for run in runs), default=0.0) or 1.0
    room = WIDTH - _RIGHT - _LEFT
    for place, run in enumerate(runs):
        y = top + place * (_BAR + _LINE)
        label = f"{run.variant.words}: {run.cpu.total_ms:.3f} ms"
        yield _text(_LEFT, y + 13, label, size=12)
        x = float(_LEFT)
        for part in parts:
            width = room * max(0.0, run.cpu.parts_ms.get(part, 0.0)) / longest_ms
            if width > 0:
                yield (
                    f'<rect x="{x:.1f}" y="{y + 18}" width="{width:.1f}" height="{_BAR - 6}" '
                    f'fill="{_part_colour(part)}" stroke="#ffffff" stroke-width="0.5"/>'
                )
            x += width


def _parts(runs: Sequence[Run]) -> list[str]:
    """Return all parts: those that are known in their order, then any others."""
    there = {part for run in runs for part in run.cpu.parts_ms}
    known = [part for part in PART_COLOURS if part in there]
    return known + sorted(there - set(known))


def _rows(parts: Sequence[str]) -> Iterator[list[tuple[float, str]]]:
    """Yield the lines of the bars' legend: each part with where it stands."""
    row: list[tuple[float, str]] = []
    x = float(_LEFT)
    for part in parts:
        width = 20 + len(part) * _CHARACTER + 22
        if row and x + width > WIDTH - _RIGHT:
            yield row
            row, x = [], float(_LEFT)
        row.append((x, part))
        x += width
    if row:
        yield row


def _keys(rows: Sequence[Sequence[tuple[float, str]]], top: float) -> Iterator[str]:
    for number, row in enumerate(rows):
        y = top + 18 + number * _LINE
        for x, part in row:
            yield f'<rect x="{x:.1f}" y="{y - 11}" width="13" height="13" fill="{_part_colour(part)}"/>'
            yield _text(x + 20, y, part, css="legend")


def _machine(report: Report) -> str:
    machine = report.machine
    return (
        f"pushdesk {report.version}, {machine.cores} cores ({machine.processor}), load {machine.load:.1f} before, "
        f"Python {machine.python}, {report.started_at}"
    )


def _text(
    x: float,
    y: float,
    words: str,
    *,
    size: int = 13,
    anchor: str = "start",
    fill: str = _INK,
    weight: str = "normal",
    css: str = "",
) -> str:
    name = f' class="{css}"' if css else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}"{name}>{escape(words)}</text>'
    )


def _step(most: float) -> float:
    """Return the distance of an axis's marks: 1, 2 or 5 of a power of ten, for three to ten of them."""
    power = math.pow(10, math.floor(math.log10(most / 4)))
    return next(power * step for step in (1, 2, 5, 10) if most / (power * step) <= 8)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _colour(place: int) -> str:
    return RUN_COLOURS[place % len(RUN_COLOURS)]


def _part_colour(part: str) -> str:
    return PART_COLOURS.get(part, _UNKNOWN)
