"""The line in which a filter is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.message import Message
from textual.widgets import Input

from pushdesk.console.keys import bind

if TYPE_CHECKING:
    from textual.binding import BindingType

LONGEST = 200
"""As much as the server takes."""


class FilterInput(Input):
    """Hidden until it is wanted. `enter` sets the filter, `escape` clears it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("enter", "submit", "Filter", "filter.set", "Show what contains this", show=True),
        bind("escape", "give_up", "Clear", "filter.clear", "Show everything again", show=True),
    ]

    class Set(Message):
        """A filter was set, or cleared with an empty text."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=f"{placeholder} · enter filters", compact=True, max_length=LONGEST)
        self.display = False
        # A blinking cursor would repaint an idle screen.
        self.cursor_blink = False

    def open(self, text: str = "") -> None:
        """Show the line with what is filtered by, and take the focus."""
        self.value = text
        self.display = True
        self.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Set what was typed."""
        event.stop()
        self._close(self.value.strip())

    def action_give_up(self) -> None:
        """Clear the filter."""
        self.value = ""
        self._close("")

    def _close(self, text: str) -> None:
        self.display = False
        self.post_message(self.Set(text))
