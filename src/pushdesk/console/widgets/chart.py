"""A chart of values over time, with what its height and its width stand for."""

from __future__ import annotations

import os
from itertools import groupby
from operator import add
from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.message import Message

from pushdesk.console.status import QUIET
from pushdesk.console.widgets.drawing import Drawing
from pushdesk.console.widgets.plot import COARSE, FINE, cells, nice_top, resample, time_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.app import App

    from pushdesk.console.widgets.plot import Axis, Cell, Values

ROOMY_HEIGHT: Final = 3
"""Lines from which one is for the time."""
ROOMY_WIDTH: Final = 24
"""Columns from which some are for the scale."""
SCALE: Final = 5
"""Cells of the scale, at least."""
FAINT: Final = "$foreground 30%"
BEHIND: Final = "45%"
"""How bright what is behind is."""
DARKEST: Final = 45
"""By how many percent the lowest line of a chart is darker than the highest."""


class Chart(Drawing):
    """Values over time as areas, one or two of them; what is behind is the higher. A click asks for another span.

    Args:
        style: The colour.
        unit: Returns a value as it is written on the scale.
        name: The id.
        least: What the scale ends at, at least.
    """

    class Picked(Message):
        """A chart was clicked."""

    def __init__(self, style: str, *, unit: Callable[[float], str], name: str, least: float = 0.0) -> None:
        super().__init__(name=name)
        self._style = style
        self._unit = unit
        self._least = least
        self._axis: Axis | None = None
        self._layers: tuple[Values, ...] = ()
        self._said = ""

    def show(self, axis: Axis, *layers: Values) -> None:
        """Show these values, what is to be behind first."""
        self._axis, self._layers, self._said = axis, layers, ""
        self.draw()

    def say(self, text: str) -> None:
        """Say why there is nothing to be shown."""
        self._said = text
        self.draw()

    def on_click(self) -> None:
        """Tell that it was clicked."""
        self.post_message(self.Picked())

    def picture(self, width: int, height: int) -> Content:
        """Return the chart."""
        if self._axis is None or self._said:
            return said(self._said, width, height)
        bottom, top = self.scale(self._layers)
        upper, lower = self._unit(top), self._unit(bottom) if bottom else "0"
        scale = max(SCALE, len(upper)) if width >= ROOMY_WIDTH else 0
        lines = height - 1 if height >= ROOMY_HEIGHT else height
        room = width - scale - bool(scale)
        layers = [
            [None if value is None else value - bottom for value in layer]
            for layer in self.columns(self._layers, self._axis, room)
        ]
        shaded = not can_mix_colours(self.app)
        drawn = cells(layers, top - bottom, lines, glyphs=glyphs(), shaded=shaded)
        texts = []
        for line, row in enumerate(drawn):
            label = upper if line == 0 else lower if line == lines - 1 else ""
            # Of two areas the one in front is told by its brightness.
            shade = 100 if shaded or len(layers) > 1 else 100 - DARKEST * line // max(lines - 1, 1)
            texts.append(
                Content.assemble(
                    (f"{label:>{scale}} " if scale else "", QUIET), *painted(row, self._style, len(layers), shade)
                )
            )
        if lines < height:
            texts.append(Content.styled(" " * (width - room) + time_labels(self._axis, room), QUIET))
        return Content("\n").join(texts)

    def columns(self, layers: Sequence[Values], axis: Axis, width: int) -> list[list[float | None]]:
        """Return what is seen in each column, of every area: the highest of its steps."""
        return [resample(layer, axis, width) for layer in layers]

    def scale(self, layers: Sequence[Values]) -> tuple[float, float]:
        """Return where the scale begins and ends."""
        highest = max((value for layer in layers for value in layer if value is not None), default=0.0)
        return 0.0, max(nice_top(highest), self._least)


class ShareChart(Chart):
    """A share over time: of what there was in a column's steps, all of them together.

    It shows two series: what counts, and all that there was. Its scale ends at all of it.

    Args:
        style: The colour.
        name: The id.
        floors: Where the scale may begin; the highest is taken that is below the share of every step.
    """

    def __init__(self, style: str, *, name: str, floors: Sequence[float]) -> None:
        super().__init__(style, unit=lambda share: f"{share:.0%}", name=name)
        self._floors = tuple(floors)

    def columns(self, layers: Sequence[Values], axis: Axis, width: int) -> list[list[float | None]]:
        """Return the share of each column."""
        counted, whole = (resample(layer, axis, width, keep=add) for layer in layers)
        return [_shares(counted, whole)]

    def scale(self, layers: Sequence[Values]) -> tuple[float, float]:
        """Return where the scale begins, and all of it."""
        lowest = min((share for share in _shares(*layers) if share is not None), default=0.0)
        return max((floor for floor in self._floors if floor < lowest), default=0.0), 1.0


def _shares(counted: Sequence[float | None], whole: Sequence[float | None]) -> list[float | None]:
    return [(part or 0.0) / all_of_it if all_of_it else None for part, all_of_it in zip(counted, whole, strict=True)]


def said(text: str, width: int, height: int) -> Content:
    """Return a text in the middle of so many columns and lines."""
    return Content.assemble("\n" * ((height - 1) // 2), (text[:width].center(width), QUIET))


def painted(row: Sequence[Cell], style: str, layers: int, shade: int) -> list[tuple[str, str]]:
    """Return a line of a chart as texts with their colours; `shade` is how bright what is in front is, in percent."""

    def colour(layer: int | None) -> str:
        if layer is None:
            return FAINT
        return f"{style} {BEHIND}" if layer < layers - 1 else f"{style} {shade}%" if shade < 100 else style

    return [
        (
            "".join(cell.glyph for cell in run),
            colour(layer) if behind is None else f"{colour(layer)} on {colour(behind)}",
        )
        for (layer, behind), run in groupby(row, key=lambda cell: (cell.layer, cell.behind))
    ]


def can_mix_colours(app: App[object]) -> bool:
    """Return whether shades of a colour can be told apart: not without colours, nor in a terminal's own sixteen."""
    return not app.no_color and not app.native_ansi_color


def glyphs() -> str:
    """Return the characters that the terminal has for parts of a cell."""
    return COARSE if os.environ.get("TERM") == "linux" else FINE
