"""A QR code that a phone reads from the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.filter import LineFilter
    from textual.geometry import Size

    from pushdesk.console.qr import Drawing

INK: Final = Style(color="#000000", bgcolor="#ffffff", bold=False, dim=False, italic=False, reverse=False)
"""Black on white whatever the theme is: many phones do not read a code that is inverted."""


class QrCode(Widget):
    """Shows a drawing as it is, or nothing."""

    ALLOW_SELECT = False
    DEFAULT_CSS = "QrCode { width: auto; height: auto; }"

    def __init__(self) -> None:
        super().__init__()
        self._drawing: Drawing | None = None
        self.display = False

    @property
    def drawing(self) -> Drawing | None:
        """What is shown."""
        return self._drawing

    def show(self, drawing: Drawing | None) -> None:
        """Show this in place of what was shown."""
        if drawing != self._drawing:
            self._drawing = drawing
            self.display = drawing is not None
            self.refresh(layout=True)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return nothing by which its black and white would be changed, where there are no other colours."""
        return ()

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """Return the columns of the drawing."""
        del container, viewport
        return self._drawing.width if self._drawing else 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines of the drawing."""
        del container, viewport, width
        return self._drawing.height if self._drawing else 0

    def render_line(self, y: int) -> Strip:
        """Return a line of the drawing."""
        if self._drawing is None or y >= self._drawing.height:
            return Strip.blank(self.size.width)
        return Strip([Segment(self._drawing.lines[y], INK)], self._drawing.width)
