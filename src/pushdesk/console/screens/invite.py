"""Inviting a user's browser: the form, and the invitation with its QR code."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple
from urllib.parse import urlsplit

from textual.containers import Horizontal, ScrollableContainer, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Static

from pushdesk.console.figures import moment
from pushdesk.console.keys import bind
from pushdesk.console.qr import draw, drawings_of
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.form import FormScreen
from pushdesk.console.status import BAD, BUSY, QUIET
from pushdesk.console.suggest_user import SuggestUser
from pushdesk.console.text import plain
from pushdesk.console.widgets.qr_code import QrCode
from pushdesk.invitation_code import read_lifetime

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.model import Invitation

USUAL: Final = "24h"
NO_USER: Final = "A user is needed: whom is it for?"
FACTS: Final = 32
"""Columns of the facts beside the QR code, if the link needs no more."""
AROUND: Final = (6, 3)
"""Columns and lines that frame, gap and the line of keys take."""


NOT_HTTPS: Final = "\n\n! Not https: it works on the server's own machine only."
"""Browsers subscribe in a secure context only."""
LONGEST_USER: Final = 64
"""Characters of a user's name that are shown beside the QR code."""


class Invited(NamedTuple):
    """Who was invited, and with what."""

    user: str
    invitation: Invitation


class InviteScreen(FormScreen[Invited]):
    """Asks who is invited, and for how long."""

    def __init__(self, user: str = "") -> None:
        super().__init__(title="Invite a browser", do="Invite")
        # A name that cannot be shown as it is cannot be typed either.
        self._suggested = user if plain(user) == user else ""

    def compose_fields(self) -> ComposeResult:
        """Compose the two fields."""
        yield Static("The browser that takes the invitation gets this user's notifications.", classes="help")
        yield Static("User", classes="label")
        yield Input(
            self._suggested,
            placeholder="a user's name",
            suggester=SuggestUser(self.app.desk),
            max_length=128,
            id="user",
            compact=True,
        )
        yield Static("Valid for", classes="label")
        yield Input(USUAL, placeholder="90s, 30m, 24h, 7d", max_length=12, id="expires", compact=True)

    def on_mount(self) -> None:
        """Begin with the user; where one is suggested it is selected, so that typing takes its place."""
        self.query_one("#user", Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Stay with the user while there is none, and say so."""
        if event.input.id == "user" and not self._user:
            event.prevent_default()
            self.answer(NO_USER, BAD)

    def missing(self) -> str:
        """Return what is not filled in as it should be."""
        if not self._user:
            return NO_USER
        try:
            read_lifetime(self._expires)
        except ValueError as error:
            return f"How long it is valid {error}."
        return ""

    async def perform(self, confirm: str = "") -> Invited:
        """Make the invitation."""
        del confirm
        user = self._user
        return Invited(user, await self.app.desk.invite(user, read_lifetime(self._expires)))

    def finish(self, result: Invited) -> None:
        """Show the invitation in place of the form."""
        self.end_by(lambda: self.app.switch_screen(InvitationScreen(result)))

    @property
    def _user(self) -> str:
        return self.query_one("#user", Input).value

    @property
    def _expires(self) -> str:
        return self.query_one("#expires", Input).value.strip()


class InvitationScreen(Dialog[None]):
    """An invitation: the only time that its code is shown."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("y", "copy", "Copy link", "invitation.copy", "Copy the link to the clipboard", show=True),
        bind("q", "close", "Close", "invitation.close", "Close this; the code is not shown again"),
    ]

    def __init__(self, invited: Invited) -> None:
        super().__init__()
        self._user = plain(invited.user, longest=LONGEST_USER)
        self._invitation = invited.invitation
        self._code = QrCode()

    def compose(self) -> ComposeResult:
        """Compose the QR code, and beside it what it says."""
        with ScrollableContainer(classes="dialog -invitation") as frame:
            frame.border_title = Content("Invitation")
            frame.border_subtitle = Content("y copies the link · esc closes")
            yield self._code
            with Vertical(id="facts-beside"):
                yield Static(self._facts(), id="invitation")
                yield Static(id="too-small")
                with Horizontal(classes="buttons"):
                    yield Button("Copy link", id="copy", variant="primary", compact=True)
                    yield Button("Close", id="close", compact=True)

    def on_mount(self) -> None:
        """Begin where one `enter` too many does not close what is shown once."""
        self.query_one(".dialog").focus()

    def on_resize(self) -> None:
        """Draw the QR code as well as there is room for it, or say that there is none."""
        url = self._invitation.url
        columns, lines = self.size.width - AROUND[0], self.size.height - AROUND[1]
        # A link in one line can be copied with the mouse.
        link = max(FACTS, Content(plain(url)).cell_length)
        drawing = draw(url, columns - link, lines) or draw(url, columns - FACTS, lines)
        beside = min(link, columns - drawing.width) if drawing else None
        self.query_one("#facts-beside").styles.width = beside
        self._code.show(drawing)
        self.query_one(".dialog").set_class(drawing is not None, "-drawn")
        self.query_one("#too-small", Static).update(Content.styled("" if drawing else _excuse(url), BUSY))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        if event.button.id == "copy":
            self.action_copy()
        else:
            self.action_close()

    def action_copy(self) -> None:
        """Copy the link through the terminal (OSC 52). The toast, which outlives this, does not repeat it."""
        self.app.copy_to_clipboard(self._invitation.url)
        self.app.notify("Copied the link")

    def _facts(self) -> Content:
        invitation = self._invitation
        return Content.assemble(
            ("for ", QUIET),
            (self._user, "bold"),
            ("\nuntil ", QUIET),
            moment(invitation.expires_at, self.app.now()),
            ("\n\ncode\n", QUIET),
            (plain(invitation.code), "bold"),
            ("\n\nlink\n", QUIET),
            plain(invitation.url),
            ("\n\nFor one browser, once. Not shown again.", QUIET),
            (NOT_HTTPS if urlsplit(invitation.url).scheme != "https" else "", BUSY),
        )


def _excuse(url: str) -> str:
    """Return why there is no QR code."""
    drawings = drawings_of(url)
    if not drawings:
        return "The link is too long for a QR code."
    columns, lines = drawings[-1].width + FACTS + AROUND[0], drawings[-1].height + AROUND[1]
    return f"The terminal is too small for the QR code: it takes {columns} columns and {lines} lines."
