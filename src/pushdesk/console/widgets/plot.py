"""How values over time become characters: which column a step is in, how high it is, and what stands under it.

A chart is as wide as its span is long. Steps are put into columns by when they were, not by how long ago: a peak that
wanders to the left keeps its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from math import floor, log10
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

FINE: Final = " ▁▂▃▄▅▆▇█"
COARSE: Final = " ▄█"
"""For the fonts of a console without a window system, which have no eighths."""
FULL: Final = "█"
SHADE: Final = "░"
"""What is behind, where colours do not tell it."""
ZERO: Final = "▁"
"""Told from a small value by its colour."""
PLAIN_ZERO: Final = "_"
"""Told by its character."""

Values = tuple[float | None, ...]
"""One value for each step, the newest last; None where there is none."""

Keep = Callable[[float, float], float]
"""Returns which of two values in one column is seen."""

NICE: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
"""What a scale ends at, times a power of ten."""
ALMOST: Final = 1 - 1e-9
"""Powers of ten are not exact."""
INTERVALS_S: Final = tuple(60 * minutes for minutes in (1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720))
"""Between two times under a chart."""
NOW: Final = "now"
LABEL: Final = "00:00"
LABEL_FORMAT: Final = "%H:%M"
APART: Final = 3
"""Cells between two times, at least."""


class Axis(NamedTuple):
    """The steps that a chart shows, numbered since 1970."""

    end: datetime
    """When the last one ended, in the zone in which times are shown."""
    step_s: float
    steps: int

    @property
    def last(self) -> int:
        """The number of the last step."""
        return floor(self.end.timestamp() / self.step_s) - 1

    def columns(self, number: int, width: int) -> range:
        """Return the columns of a step, numbered since 1970, when so many are as long as the span."""
        begin = number * width // self.steps
        return range(begin, max((number + 1) * width // self.steps, begin + 1))


def resample(values: Values, axis: Axis, width: int, *, keep: Keep = max) -> list[float | None]:
    """Return the value of each column: the highest of its steps, or what `keep` keeps; None where there is none."""
    shown: list[float | None] = [None] * width
    first = axis.columns(axis.last, width).stop - width
    for number, value in enumerate(values, axis.last + 1 - len(values)):
        if value is None:
            continue
        for column in axis.columns(number, width):
            if 0 <= column - first < width:
                known = shown[column - first]
                shown[column - first] = value if known is None else keep(known, value)
    return shown


def time_labels(axis: Axis, width: int) -> str:
    """Return the line under a chart: times of day that are round, each under its column, and `now` at the end."""
    line = [" "] * width
    columns_each_s = width / (axis.steps * axis.step_s)
    interval_s = next((each for each in INTERVALS_S if each * columns_each_s >= len(LABEL) + APART), 0)
    first = axis.columns(axis.last, width).stop - width
    last_place = width - len(NOW) - APART - len(LABEL)
    if interval_s:
        offset = axis.end.utcoffset()
        end_s = axis.end.timestamp()
        local_s = end_s + offset.total_seconds() if offset is not None else end_s
        time_s = end_s - local_s % interval_s
        while (place := floor(time_s * columns_each_s) - first - len(LABEL) // 2) >= 0:
            if place <= last_place:
                line[place : place + len(LABEL)] = f"{datetime.fromtimestamp(time_s, axis.end.tzinfo):{LABEL_FORMAT}}"
            time_s -= interval_s
    line[max(0, width - len(NOW)) :] = NOW[:width]
    return "".join(line)


def nice_top(value: float) -> float:
    """Return where a scale for values up to this one ends."""
    if value <= 0:
        return 1.0
    power = 10.0 ** floor(log10(value))
    return next(nice * power for nice in NICE if nice * power >= value * ALMOST)


class Cell(NamedTuple):
    """A character of a chart."""

    glyph: str
    layer: int | None
    """Which of the layers it is of; None of none, where there is a zero or a gap."""
    behind: int | None = None
    """The one that fills what the character leaves."""


def cells(
    layers: Sequence[Sequence[float | None]], top: float, height: int, *, glyphs: str = FINE, shaded: bool = False
) -> list[list[Cell]]:
    """Return the lines of a chart, the top one first.

    A value above zero always shows; zero is a line at the bottom, and what there is no value of is a gap.

    Args:
        layers: One, or two of which the first is behind the other: the columns of each.
        top: The value at the upper edge.
        height: Lines.
        glyphs: What a cell is filled with, from nothing to all of it.
        shaded: Whether zero, and what is behind, are told by their characters, not by their colours.
    """
    steps = len(glyphs) - 1
    levels = [
        [max(1, round(min(value / top, 1.0) * height * steps)) if value else 0 for value in columns]
        for columns in layers
    ]
    lines = [
        [
            _cell([min(max(level - line * steps, 0), steps) for level in column], glyphs, shaded=shaded)
            for column in zip(*levels, strict=True)
        ]
        for line in range(height - 1, -1, -1)
    ]
    if lines:
        zero = PLAIN_ZERO if shaded or glyphs == COARSE else ZERO
        known = [any(value is not None for value in column) for column in zip(*layers, strict=True)]
        lines[-1] = [
            Cell(zero, None) if is_known and cell.layer is None else cell
            for is_known, cell in zip(known, lines[-1], strict=True)
        ]
    return lines


def _cell(fills: Sequence[int], glyphs: str, *, shaded: bool) -> Cell:
    full = len(glyphs) - 1
    front, behind = fills[-1], fills[0] if len(fills) > 1 else 0
    at_front = len(fills) - 1
    if front == behind == 0:
        return Cell(" ", None)
    if behind == 0 or front == full:
        return Cell(glyphs[front], at_front)
    if shaded:
        # Without colours a character is of one of them only.
        return Cell(glyphs[front], at_front) if front * 2 >= full else Cell(SHADE, 0)
    if behind == full and front:
        return Cell(glyphs[front], at_front, 0)
    return Cell(glyphs[max(front, behind)], at_front if front * 2 >= behind else 0)
