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
    """A text, wrapped; it scrolls if it is longer than the terminal is high."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("enter,q", "close", "Close", "words.close", "Close this"),
    ]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Compose the text."""
        with VerticalScroll(classes="dialog -small") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content("esc closes")
            yield Static(self._text)
