"""What the dialogs of the console have in common: a frame over the screen, `escape` closes it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.screen import ModalScreen

from pushdesk.console.keys import bind
from pushdesk.console.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.binding import BindingType

    from pushdesk.console.app import PushdeskApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """A dialog; closed by `escape`, it returns None.

    Below it is the line of its keys: those of what is behind it do nothing now.
    """

    app: PushdeskApp
    _ending: Callable[[], object] | None = None
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("escape", "close", "Close", "dialog.close", "Close this and change nothing", show=True),
    ]

    def on_mount(self) -> None:
        """Tell its keys. Textual calls this for every dialog, whatever a subclass does when it is mounted."""
        if not self.query(KeyLine):
            self.mount(KeyLine())

    def action_close(self) -> None:
        """Close the dialog."""
        self.end(None)

    def end(self, result: Result | None) -> None:
        """Close with a result, once no other screen is over it: Textual closes whichever is on top."""
        self.end_by(partial(self.dismiss, result))

    def end_by(self, leave: Callable[[], object]) -> None:
        """Leave in some way, once no other screen is over it. The first end counts."""
        if self._ending is None:
            self._ending = leave
        self._end_on_top()

    @property
    def is_ending(self) -> bool:
        """Whether it has come to its end, and perhaps waits for what is over it."""
        return self._ending is not None

    def on_screen_resume(self) -> None:
        """Close, if it was to be closed while another screen was over it."""
        self._end_on_top()

    def _end_on_top(self) -> None:
        if self._ending is not None and self.app.screen is self:
            self._ending()
