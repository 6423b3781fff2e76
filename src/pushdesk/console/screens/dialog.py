"""What the dialogs of the console have in common: a frame over the screen, `escape` closes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.screen import ModalScreen

from pushdesk.console.keys import bind

if TYPE_CHECKING:
    from textual.binding import BindingType

    from pushdesk.console.app import PushdeskApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A dialog; closed by `escape`, it returns None."""

    app: PushdeskApp
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "close", "Close", "dialog.close", "Close this and change nothing", show=True),
    ]

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)
