"""The broadcasts, with how far each is; and everything else that is scheduled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual.content import Content
from textual.message import Message

from pushdesk.console.broadcast_commands import ask_to_abort, ask_to_cancel, ask_to_pause, ask_to_resume, needless
from pushdesk.console.broadcast_figures import how_fast, not_accepted, progress, time_left
from pushdesk.console.figures import count, moment, plural
from pushdesk.console.following import FollowingScreen
from pushdesk.console.keys import bind
from pushdesk.console.refusals import Refuser, RefusingScreen
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import BAD, BROADCASTS, QUIET
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.widgets.paged import LOADING, not_brought, nothing_found
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.desk import BroadcastChanged, DispatchChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import Broadcast, BroadcastState, Dispatch, DispatchState, PageQuery

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Page

MOST_SCHEDULED: Final = 200
"""Of what is scheduled, those accepted last are shown."""
SCHEDULED: Final = "state:scheduled"


class Broadcasts(Listing[Broadcast]):
    """The table of the broadcasts, the newest first."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"pause", "resume", "abort"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "broadcasts.pause", "Send nothing more of it until it is resumed", show=True),
        bind("r", "resume", "Resume", "broadcasts.resume", "Go on with a broadcast that is paused", show=True),
        bind("x", "abort", "Abort", "broadcasts.abort", "Send nothing more of a broadcast, ever", show=True),
    ]

    def __init__(self) -> None:
        super().__init__(
            title="Broadcasts",
            name="broadcasts",
            columns=(
                Column("title", "title", 14, grows=3),
                Column("state", "state", 11),
                Column("progress", "progress", 16),
                Column("devices", "devices", 9, right=True),
                Column("rate", "rate", 6, priority=2, right=True),
                Column("left", "left", 7, right=True),
                Column("others", "not taken", 9, priority=3, right=True),
                Column("accepted", "accepted", 12, priority=4, sort="accepted_at"),
            ),
            key=lambda broadcast: broadcast.id,
            cells=self._cells,
            fetch=self.app.desk.broadcasts,
            sorts=("-accepted_at",),
            filter_hint="part of a title; ^ and its beginning",
            empty=_empty,
        )

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now: for the screen's reasons first."""
        if action not in self.CHANGES:
            return super().refusal(action)
        pane = self.screen
        reason = pane.refusal(action) if isinstance(pane, Refuser) else None
        if reason is None and self.current is None:
            return "No broadcast is selected."
        return reason or (needless(action, self.current) if self.current is not None else None)

    def action_pause(self) -> None:
        """Ask, and pause the broadcast under the cursor."""
        self._ask(ask_to_pause)

    def action_resume(self) -> None:
        """Ask, and go on with the broadcast under the cursor."""
        self._ask(ask_to_resume)

    def action_abort(self) -> None:
        """Ask, and end the broadcast under the cursor."""
        self._ask(ask_to_abort)

    def _ask(self, ask: Callable[[RefusingScreen[Any], Broadcast], None]) -> None:
        if self.current is not None and isinstance(self.screen, RefusingScreen):
            ask(self.screen, self.current)

    def _cells(self, one: Broadcast) -> list[Content]:
        now = self.app.now()
        how_far = progress(one.done, one.planned) if one.parts else Content("")
        if one.state is BroadcastState.SCHEDULED:
            how_far = Content.styled(f"at {moment(one.send_at, now)}", QUIET)
        others = not_accepted(one)
        return [
            Content(plain(one.title)),
            BROADCASTS[one.state].content(),
            how_far,
            Content(count(one.planned) if one.parts else ""),
            Content(how_fast(one)),
            Content(time_left(one)),
            Content.styled(count(others), BAD if others else QUIET),
            Content.styled(moment(one.accepted_at, now), QUIET),
        ]


class Scheduled(Panel, Refuser):
    """The table of all that is scheduled, what is due first at the top."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"cancel"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("x", "cancel", "Take back", "dispatches.cancel", "Take it back: it is not sent", show=True),
    ]

    def __init__(self) -> None:
        self.rows: Rows[Dispatch] = Rows(
            (
                Column("send_at", "send at", 12),
                Column("title", "title", 16, grows=3),
                Column("user", "user", 12, grows=2),
                Column("kind", "kind", 12, priority=1),
                Column("accepted", "accepted", 12, priority=2),
            ),
            key=lambda dispatch: dispatch.id,
            cells=self._cells,
            name="scheduled",
        )
        super().__init__(self.rows, title="Scheduled", name="scheduled-panel")
        self.add_class("-table")

    def on_mount(self) -> None:
        """Say that it is on its way."""
        self.rows.say_when_empty(LOADING)

    def show(self, page: Page[Dispatch]) -> None:
        """Show what is scheduled."""
        nothing = Content.assemble(("Nothing is scheduled.\n", "bold"), ("t with “Send at” schedules something", QUIET))
        self.rows.say_when_empty(nothing)
        self.rows.show(sorted(page.items, key=lambda one: (one.send_at or one.accepted_at, one.id)))
        shown = len(page.items)
        self.entitle(self.called, f"the latest {shown}" if page.next else plural(shown, "dispatch", "dispatches"))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action not in self.CHANGES:
            return super().refusal(action)
        reason = self.screen.refusal(action) if isinstance(self.screen, Refuser) else None
        return reason or ("Nothing is selected." if self.rows.current is None else None)

    def action_cancel(self) -> None:
        """Ask, and take back what is under the cursor."""
        if self.rows.current is not None and isinstance(self.screen, RefusingScreen):
            ask_to_cancel(self.screen, self.rows.current)

    def _cells(self, one: Dispatch) -> list[Content]:
        now = self.app.now()
        return [
            Content(moment(one.send_at, now)),
            Content(plain(one.title)),
            Content(plain(one.user or "everybody")),
            Content.styled(one.kind.value, QUIET),
            Content.styled(moment(one.accepted_at, now), QUIET),
        ]


class BroadcastsScreen(PaneScreen, FollowingScreen[None]):
    """Two tables; the commands are those of the one that has the focus."""

    NAME: ClassVar[str] = "broadcasts"
    CHANGES: ClassVar[frozenset[str]] = Broadcasts.CHANGES | Scheduled.CHANGES | {"new_broadcast"}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind(
            "b", "new_broadcast", "Broadcast", "broadcasts.new", "Write to all users, or to a list of them", show=True
        ),
    ]

    class ScheduledLoaded(Message):
        """What is scheduled came from the server."""

        def __init__(self, page: Page[Dispatch]) -> None:
            super().__init__()
            self.page = page

    class LoadFailed(Message):
        """It did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._broadcasts = Broadcasts()
        self._scheduled = Scheduled()

    def compose_body(self) -> ComposeResult:
        """Compose the tables."""
        yield self._broadcasts
        yield self._scheduled

    def on_mount(self) -> None:
        """Begin in the table of the broadcasts."""
        self.begin_in(self._broadcasts.rows)

    def load(self) -> None:
        """Fetch both."""
        super().load()
        self.fetch_now()

    async def fetch(self) -> None:
        """Fetch what is scheduled."""
        try:
            page = await self.app.desk.dispatches(PageQuery(limit=MOST_SCHEDULED, filter=SCHEDULED))
        except PushdeskError as error:
            self.post_message(self.LoadFailed(error))
        else:
            self.post_message(self.ScheduledLoaded(page))

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event changes what is scheduled."""
        if not isinstance(event, DispatchChanged):
            return False
        return event.dispatch.state is DispatchState.SCHEDULED or event.dispatch.id in self._scheduled.rows

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Show how far broadcasts have come; fetch again what is scheduled when that has changed."""
        latest = {event.broadcast.id: event.broadcast for event in batch if isinstance(event, BroadcastChanged)}
        for broadcast in latest.values():
            self._broadcasts.put(broadcast)
        self.follow(batch)

    def on_broadcasts_screen_scheduled_loaded(self, message: ScheduledLoaded) -> None:
        """Show what is scheduled."""
        self._scheduled.show(message.page)
        self.refresh_refusals()

    def on_broadcasts_screen_load_failed(self, message: LoadFailed) -> None:
        """Show the error; what was listed stays."""
        self._scheduled.rows.say_when_empty(not_brought("This could not be listed.", self.app))
        self.app.report(message.error)

    def on_command_done(self) -> None:
        """Show what has become of it: whoever ordered something wants to see it at once."""
        self.load()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a broadcast, or what is scheduled, in full."""
        from pushdesk.console.screens.broadcast import BroadcastScreen  # noqa: PLC0415 - not needed before it is asked for
        from pushdesk.console.screens.details import DispatchScreen  # noqa: PLC0415 - not needed before it is asked for

        match message.item:
            case Broadcast() as broadcast:
                self.app.push_screen(BroadcastScreen(broadcast))
            case Dispatch() as dispatch:
                self.app.push_screen(DispatchScreen(dispatch.id))

    def suggested_user(self) -> str:
        """Return the user of what is scheduled, if that is under the cursor."""
        current = self._scheduled.rows.current if self._scheduled.rows.has_focus else None
        return current.user or "" if current is not None else ""

    def copied(self) -> str:
        """Return the id of what is under the cursor; without one, the server's URL."""
        rows = self._scheduled.rows if self._scheduled.rows.has_focus else self._broadcasts.rows
        return plain(rows.current.id) if rows.current is not None else super().copied()

    def action_new_broadcast(self) -> None:
        """Open the form of a broadcast."""
        from pushdesk.console.screens.broadcast_form import BroadcastFormScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(BroadcastFormScreen())


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("No broadcast's title contains", wanted)
    return Content.assemble(("Nothing was sent to everybody yet.\n", "bold"), ("b writes a broadcast", QUIET))
