"""Making an access token: the form, and the one time that the token is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Input, Static

from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.form import FormScreen
from pushdesk.console.screens.tokens import ALLOWS
from pushdesk.console.status import BUSY, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.tick import Tick
from pushdesk.model import NewAccessToken, Scope

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

LONGEST_NAME: Final = 100


class NewTokenScreen(FormScreen[NewAccessToken]):
    """Asks for whom a token is, and what it allows."""

    def __init__(self) -> None:
        super().__init__(title="New access token", do="Make it")

    def compose_fields(self) -> ComposeResult:
        """Compose the name and a box for each scope."""
        yield Static("Name: which application or person it is for", classes="label")
        yield Input(placeholder="shop", max_length=LONGEST_NAME, id="name", compact=True)
        yield Static("It allows", classes="label")
        for scope in Scope:
            yield Tick(f"{scope:<8}{ALLOWS[scope]}", name=scope.value, ticked=scope is Scope.NOTIFY)

    def on_mount(self) -> None:
        """Begin with the name."""
        self.query_one("#name", Input).focus()

    def on_checkbox_changed(self) -> None:
        """Take back what was said of the form: it was another one."""
        self.on_input_changed()

    def missing(self) -> str:
        """Return what is not filled in."""
        if not self._called:
            return "It needs a name, by which it is known later."
        return "" if self._scopes else "Choose what it allows."

    async def perform(self, confirm: str = "") -> NewAccessToken:
        """Make the token."""
        del confirm
        return await self.app.desk.create_token(self._called, self._scopes)

    def finish(self, result: NewAccessToken) -> None:
        """Show the token in place of the form."""
        self.end_by(lambda: self.app.switch_screen(NewTokenMadeScreen(result)))

    @property
    def _called(self) -> str:
        return self.query_one("#name", Input).value.strip()

    @property
    def _scopes(self) -> list[Scope]:
        return [scope for scope in Scope if self.query_one(f"#{scope}", Tick).value]


class NewTokenMadeScreen(Dialog[None]):
    """A token: the only time that it is shown. It is forgotten when this closes, and nothing else repeats it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("y", "copy", "Copy token", "token.copy", "Copy the token to the clipboard", show=True),
        bind("q", "close", "Close", "token.close", "Close this; the token is not shown again"),
    ]

    def __init__(self, made: NewAccessToken) -> None:
        super().__init__()
        self._access = made.access
        self._token = made.token

    def compose(self) -> ComposeResult:
        """Compose the token, and what it is for."""
        with VerticalScroll(classes="dialog -token") as frame:
            frame.border_title = Content("New access token")
            frame.border_subtitle = Content("y copies it · esc closes")
            yield Static(self._text(), id="token")
            with Horizontal(classes="buttons"):
                yield Button("Copy token", id="copy", variant="primary", compact=True)
                yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Begin where one `enter` too many does not close what is shown once."""
        self.query_one(".dialog").focus()

    def on_unmount(self) -> None:
        """Forget the token."""
        self._token = ""

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.action_close()

    def action_copy(self) -> None:
        """Copy the token through the terminal (OSC 52). The toast, which outlives this, does not repeat it."""
        self.app.copy_to_clipboard(self._token)
        self.app.notify("Copied the token")

    def _text(self) -> Content:
        allowed = ", ".join(self._access.scopes)
        return Content.assemble(
            ("for    ", QUIET),
            (plain(self._access.name), "bold"),
            ("\nallows ", QUIET),
            allowed,
            ("\n\n", ""),
            (plain(self._token), "bold"),
            ("\n\nKeep it now: only its hash is stored, and nobody can show it again.", BUSY),
            ("\nPrograms show it as ", QUIET),
            "Authorization: Bearer …",
            (", pushdesk's commands take it from ", QUIET),
            "PUSHDESK_TOKEN",
            (".", QUIET),
        )
