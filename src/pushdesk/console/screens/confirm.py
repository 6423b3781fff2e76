"""Dialogs that ask before something is done. The focus is on what does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from pushdesk.console.figures import plural
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType


DO = "do"


class ConfirmScreen(Dialog[str]):
    """Asks whether to do something; returns `DO` if it is to be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("left", "app.focus_previous", "Previous", "confirm.previous", "The button to the left"),
        bind("right", "app.focus_next", "Next", "confirm.next", "The button to the right"),
    ]

    def __init__(self, *, title: str, text: Content, do: str, leave: str = "Cancel") -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._do = do
        self._leave = leave

    def compose(self) -> ComposeResult:
        """Compose the question and its two answers."""
        with Vertical(classes="dialog -small") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content("esc closes")
            yield Static(self._text)
            with Horizontal(classes="buttons"):
                yield Button(Content(self._leave), id="leave", compact=True)
                yield Button(Content(self._do), id=DO, variant="error", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        if event.button.id == DO:
            self.do()
        else:
            self.end(None)

    def do(self) -> None:
        """Close, with the answer that it is to be done."""
        self.end(DO)


class QuitScreen(ConfirmScreen):
    """Says what is still in flight before the console, and the server in it, end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("q", "app.quit", "Quit", "quit.again", "Quit at once", show=True),
    ]

    def __init__(self, under_way: int) -> None:
        super().__init__(
            title="Quit?",
            text=Content.assemble(
                (plural(under_way, "delivery", "deliveries"), "bold"),
                " still in flight.\n\n",
                "Nothing is lost: what cannot be settled within 15 s is sent after the next start.",
            ),
            do="Quit",
            leave="Stay",
        )

    def do(self) -> None:
        """Quit."""
        self.app.quit_now()
