"""What draws a picture that depends on its size, and is painted anew only when the picture is another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Drawing(Widget):
    """A picture for the room that there is."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "Drawing { height: 1fr; text-wrap: nowrap; text-overflow: clip; }"

    def __init__(self, *, name: str) -> None:
        super().__init__(id=name)
        self._picture = Content("")
        self._drawn_for = Size()

    def picture(self, width: int, height: int) -> Content:
        """Return what is to be seen in so many columns and lines."""
        raise NotImplementedError

    def draw(self) -> None:
        """Draw what is to be seen now."""
        picture = self._draw()
        if not picture.is_same(self._picture):
            self._picture = picture
            self.refresh()

    def render(self) -> Content:
        """Return the picture: in the size of now, whether or not it was heard of yet."""
        if self._drawn_for != self.content_size:
            self._picture = self._draw()
        return self._picture

    def _draw(self) -> Content:
        self._drawn_for = self.content_size
        width, height = self._drawn_for
        return self.picture(width, height) if width and height else Content("")

    def on_resize(self) -> None:
        """Draw it in the new size."""
        self.draw()

    def notify_style_update(self) -> None:
        """Draw it with what the new theme can tell apart."""
        super().notify_style_update()
        self.draw()


class Figures(Drawing):
    """Figures in words; what fits is decided by whoever tells them.

    Args:
        tell: Returns them for so many columns and lines.
        name: The id.
    """

    def __init__(self, tell: Callable[[int, int], Content], *, name: str) -> None:
        super().__init__(name=name)
        self._tell = tell

    def picture(self, width: int, height: int) -> Content:
        """Return the figures."""
        return self._tell(width, height)


def beside(parts: Sequence[Content], width: int, *, gap: int = 3) -> Content:
    """Return as many parts beside one another as fit, the first one at any rate."""
    return in_lines(parts, width, 1, gap=gap)[0]


def in_lines(parts: Sequence[Content], width: int, height: int, *, gap: int = 3) -> list[Content]:
    """Return as many parts as fit into so many lines, the first one at any rate."""
    lines = [parts[0]]
    for part in parts[1:]:
        if lines[-1].cell_length + gap + part.cell_length <= width:
            lines[-1] = Content.assemble(lines[-1], " " * gap, part)
        elif len(lines) < height:
            lines.append(part)
        else:
            break
    return lines
