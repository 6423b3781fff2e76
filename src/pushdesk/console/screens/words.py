"""A text that is too long for its row, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


class WordsScreen(Dialog[None]):
    """A text, wrapped; it scrolls if it is longer than the terminal is high.

    Args:
        title: What it is.
        text: The text.
        copies: What `y` copies; empty for the text.
        wide: Whether it has long lines.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("enter,q", "close", "Close", "words.close", "Close this"),
        bind("y", "copy", "Copy", "words.copy", "Copy this to the clipboard", show=True),
    ]

    def __init__(self, title: str, text: Content, *, copies: str = "", wide: bool = False) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._copies = copies or text.plain
        self._wide = wide

    def compose(self) -> ComposeResult:
        """Compose the text."""
        with VerticalScroll(classes="dialog" if self._wide else "dialog -small") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content("y copies it · esc closes")
            yield Static(self._text)

    def action_copy(self) -> None:
        """Copy through the terminal (OSC 52)."""
        self.app.copy_to_clipboard(self._copies)
        self.app.notify("Copied")
