"""A chart of blocks: one column for each value, eight steps to a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
STEPS: Final = len(BLOCKS) - 1


def columns(values: Sequence[float], width: int, height: int) -> list[str]:
    """Return the lines of a chart, the top one first, the newest value at the right edge.

    A value above zero always shows; one of zero is a gap. Each value is as wide as all of them allow.
    """
    if not values or width <= 0 or height <= 0:
        return [" " * max(width, 0)] * max(height, 0)
    each = max(1, width // len(values))
    shown = values[-(width // each) :]
    top = max(shown)
    levels = [max(1, round(value / top * height * STEPS)) if value > 0 else 0 for value in shown]
    lines = []
    for line in range(height - 1, -1, -1):
        blocks = (BLOCKS[min(max(level - line * STEPS, 0), STEPS)] * each for level in levels)
        lines.append("".join(blocks).rjust(width))
    return lines


class Chart(Widget):
    """Values over time."""

    values: reactive[tuple[float, ...]] = reactive(())

    def __init__(self, style: str, *, name: str) -> None:
        super().__init__(id=name)
        self._style = style

    def render(self) -> Content:
        """Return the chart, the higher lines the brighter."""
        width, height = self.content_size
        lines = columns(self.values, width, height)
        shades = [f"{self._style} {100 - 45 * line // max(height - 1, 1)}%" for line in range(height)]
        return Content("\n").join(Content.styled(text, shade) for text, shade in zip(lines, shades, strict=True))
