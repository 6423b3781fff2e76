"""What the screens of the console have in common: bars around a body, news handed in, commands that say why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Container

from pushdesk.console.bindings import commands_of
from pushdesk.console.feed import Connection
from pushdesk.console.keys import bind
from pushdesk.console.refusals import RefusingScreen
from pushdesk.console.service_figures import in_trouble
from pushdesk.console.subject import NO_SUBJECT, WHY, Subject
from pushdesk.console.widgets.bars import Banner, ScreenTabs, StartingNotice, StatusBar
from pushdesk.console.widgets.key_line import KeyLine
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.widgets.rows import Rows

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.widget import Widget

    from pushdesk.console.app import PushdeskApp
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, Service, ServiceHealth, Stats

NOT_CONNECTED: Final = "The server does not answer yet."
LOST: Final = "The connection is lost; it is tried again all the time."
REFUSED: Final = "The server no longer takes your token."
CHANGING: Final = frozenset({"compose", "invite"})
"""Actions of every screen that change something on the server."""


def not_connected(app: PushdeskApp) -> str | None:
    """Return why the server cannot be asked anything, or None if it can."""
    if app.connection is Connection.LIVE:
        return None
    return {Connection.STARTING: NOT_CONNECTED, Connection.LOST: LOST}.get(app.connection, REFUSED)


def cannot_change(app: PushdeskApp) -> str | None:
    """Return why nothing can be changed from here, or None if it can."""
    return not_connected(app) or app.read_only or None


class PaneScreen(RefusingScreen[None]):
    """A screen with a number key.

    A subclass composes its body in `compose_body` and overrides what it wants to hear: `show_stats` and `show_events`
    once for each tick, `load` when what it shows is to be fetched anew.
    """

    app: PushdeskApp
    NAME: ClassVar[str]
    """Its name in `SCREENS`."""
    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Actions of its own that change something on the server."""
    TELLS_WARNINGS: ClassVar[bool] = False
    """Whether it tells the server's warnings, or only that there are some."""
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("t", "compose", "Test send", "send.compose", "Write a notification and send it", show=True),
        bind("e", "invite", "Invite", "invite.open", "Invite a user's browser, with a link and a QR code", show=True),
        bind("y", "copy", "Copy", "pane.copy", "Copy what is selected to the clipboard"),
        WHY,
        bind("W", "warnings", "Warnings", "pane.warnings", "Hide or show warnings"),
        bind(
            "exclamation_mark",
            "trouble",
            "Push service",
            "pane.trouble",
            "Go to the push service that needs somebody: its brake, a stopped key, a pause",
            display="!",
        ),
        bind("R", "refresh", "Refresh", "pane.refresh", "Fetch everything anew"),
    ]

    def compose(self) -> ComposeResult:
        """Put the bars around the body."""
        yield StatusBar()
        yield ScreenTabs(self.NAME)
        yield Banner(full=self.TELLS_WARNINGS)
        yield StartingNotice()
        with Container(id="body"):
            yield from self.compose_body()
        yield KeyLine()

    def compose_body(self) -> ComposeResult:
        """Compose what is between the bars."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """Watch the app: it alone talks to the feed. Textual calls this for every screen, after the subclass's."""
        self.watch(self.app, "connection", self._watch_connection)
        self.watch(self.app, "stats", self._watch_stats)
        self.watch(self.app, "events", self._watch_events, init=False)
        self.watch(self.app, "loaded", self._watch_loaded)
        self.watch(self.app, "minute", self._redraw_rows, init=False)

    def __init__(self) -> None:
        super().__init__()
        self._is_stale = False
        # It is made with the style sheet of now. Textual would parse all of it again to find that out.
        self._css_update_count = self.app._css_update_count  # noqa: SLF001 (there is no other way)

    def begin_in(self, widget: Widget) -> None:
        """Put the focus where it was when this server was last looked at, else into a widget."""
        remembered = self.app.remembered_focus(self.NAME)
        found = [each for each in self.query(f"#{remembered}") if each.focusable] if remembered else []
        (found[0] if found else widget).focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember where the focus is, and show what can be done there."""
        if isinstance(event.widget, Rows) and event.widget.id:
            self.app.remember_focus(self.NAME, event.widget.id)
        self.refresh_refusals()

    def on_screen_resume(self) -> None:
        """Catch up with what came while another screen was shown."""
        self._watch_stats()
        if self._is_stale:
            self._watch_loaded(self.app.loaded)
        for listing in self.query(Listing):
            listing.catch_up()

    def on_key(self, event: events.Key) -> None:
        """Say where a key is of use that does nothing in the table with the focus."""
        if event.key in self.active_bindings:
            return
        for command in commands_of(self):
            if command.pane and event.key in command.keys:
                self.app.notify(f"{command.label} is a key of the table {command.pane}: tab goes there.")

    def on_rows_moved(self) -> None:
        """Show what can be done with the row under the cursor."""
        self.refresh_refusals()

    @property
    def is_shown(self) -> bool:
        """Whether this is the screen that is looked at, perhaps with a dialog over it."""
        return self.app.current_mode == self.NAME

    def show_stats(self, stats: Stats) -> None:
        """Show the state of the server; called only while this screen is shown."""

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Take in what happened; called whether this screen is shown or not."""

    def load(self) -> None:
        """Fetch what this screen shows: its listings, if it says no more."""
        for listing in self.query(Listing):
            listing.load()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now, or None if it can."""
        if action in CHANGING or action in self.CHANGES:
            return cannot_change(self.app)
        if action == "warnings" and not self.app.warnings:
            return "There are no warnings."
        if action == "why" and self.subject() is None:
            return NO_SUBJECT
        if action == "trouble" and not self._in_trouble:
            return "No push service needs anybody."
        return not_connected(self.app) if action in {"refresh", "why"} else None

    def suggested_user(self) -> str:
        """Return the user whom a test or an invitation would be for: that of the row under the cursor."""
        return ""

    def subject(self) -> Subject | None:
        """Return what `w` asks about: that of the row under the cursor."""
        user = self.suggested_user()
        return Subject(user) if user else None

    def copied(self) -> str:
        """Return what `y` copies."""
        return self.app.url

    def show_service(self, service: Service) -> None:
        """Show a push service, with what can be done about it."""
        from pushdesk.console.screens.push_service import ServiceScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(ServiceScreen(service))

    def show_delivery(self, delivery: Delivery) -> None:
        """Show a delivery with all its attempts."""
        from pushdesk.console.screens.delivery import DeliveryScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(DeliveryScreen(delivery))

    def action_why(self) -> None:
        """Ask why what is under the cursor did not get what was sent."""
        from pushdesk.console.screens.verdict import VerdictScreen  # noqa: PLC0415 - not needed before it is asked for

        if (subject := self.subject()) is not None:
            self.app.push_screen(VerdictScreen(subject))

    def action_compose(self) -> None:
        """Open the form of a notification."""
        from pushdesk.console.screens.compose import ComposeScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(ComposeScreen(self.suggested_user()))

    def action_invite(self) -> None:
        """Open the form of an invitation."""
        from pushdesk.console.screens.invite import InviteScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(InviteScreen(self.suggested_user()))

    def action_copy(self) -> None:
        """Copy through the terminal (OSC 52)."""
        text = self.copied()
        self.app.copy_to_clipboard(text)
        self.app.notify(f"Copied: {text}")

    def action_warnings(self) -> None:
        """Hide the warnings, until there are others; or show them again."""
        self.app.hidden_warnings = () if self.app.hidden_warnings == self.app.warnings else self.app.warnings

    def action_trouble(self) -> None:
        """Show the push service that something is most wrong with."""
        if found := self._in_trouble:
            self.show_service(found[0].service)

    def action_refresh(self) -> None:
        """Fetch everything anew, and show it as of now."""
        self._redraw_rows()
        self.load()

    @property
    def _in_trouble(self) -> list[ServiceHealth]:
        return in_trouble(self.app.stats.services) if self.app.stats is not None else []

    def _watch_connection(self) -> None:
        connection = self.app.connection
        self.set_class(connection is Connection.STARTING, "-starting")
        self.set_class(connection in {Connection.LOST, Connection.REFUSED}, "-lost")
        self.refresh_refusals()

    def _watch_stats(self) -> None:
        if self.is_shown and self.app.stats is not None:
            self.show_stats(self.app.stats)
            self.refresh_refusals()

    def _redraw_rows(self) -> None:
        """Let what is told of times grow older, though the items are the same."""
        for rows in self.query(Rows):
            rows.redraw()

    def _watch_events(self, batch: tuple[AnyEvent, ...]) -> None:
        self.show_events(batch)

    def _watch_loaded(self, loaded: int) -> None:
        # What nobody looks at is fetched when somebody does.
        self._is_stale = not self.is_shown
        if loaded and self.is_shown:
            self.load()
