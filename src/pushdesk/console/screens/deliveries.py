"""The live log of deliveries: a line for each attempt, the newest at the bottom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message

from pushdesk.console.figures import count, milliseconds, moment
from pushdesk.console.happenings import attempt_key, delivery_device
from pushdesk.console.keys import bind
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET, SERVICES, delivery_status
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.filter import FilterInput
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.desk import DeliveryChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import Delivery, Outcome, Page, PageQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent

OF_SUBSCRIPTION: Final = "subscription:"
"""How a filter begins that is meant for one subscription."""
PAGE: Final = 200
KEPT: Final = 100_000
"""Lines that are kept; older ones are fetched again when they are scrolled to."""


class DeliveriesScreen(PaneScreen):
    """The live log; the server filters what is fetched, the same rule what comes by itself."""

    NAME: ClassVar[str] = "deliveries"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "deliveries.pause", "Hold the log still, or let it go on", show=True),
        bind("f", "follow", "Follow", "deliveries.follow", "Keep the newest line in sight", show=True),
        bind(
            "slash",
            "filter",
            "Filter",
            "deliveries.filter",
            "Part of a user's name, or an outcome",
            show=True,
            display="/",
        ),
        bind("escape", "clear_filter", "Clear filter", "deliveries.clear", "Show everything again"),
    ]

    class DeliveriesLoaded(Message):
        """A page came from the server."""

        def __init__(self, query: PageQuery, page: Page[Delivery]) -> None:
            super().__init__()
            self.query = query
            self.page = page

    class Refused(Message):
        """The server refused the page."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._older: str | None = None
        self._paused = False
        self._held: list[Delivery] = []
        self._known: set[str] = set()
        self._new: set[str] = set()
        self._asked: PageQuery | None = None
        self._since: list[Delivery] = []
        self._rows: Rows[Delivery] = Rows(
            (
                Column("at", "time", 12),
                Column("status", "outcome", 16),
                Column("user", "user", 12, grows=1),
                Column("device", "device", 18, priority=1, grows=1),
                Column("service", "service", 8, priority=3),
                Column("latency", "latency", 7, priority=2, right=True),
                Column("attempts", "try", 3, priority=5, right=True),
                Column("reason", "reason", 12, priority=4, grows=4),
            ),
            key=attempt_key,
            cells=self._cells,
            name="rows",
            most=KEPT,
            follow=True,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the log and the line for its filter."""
        yield FilterInput("part of a user's name, or an outcome such as gone")
        yield Panel(self._rows, title="Deliveries", name="deliveries-panel")

    def on_mount(self) -> None:
        """Begin with what the server has kept."""
        super().on_mount()
        self._rows.focus()
        self._entitle()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what was delivered, or count it while the log is held."""
        fresh = [
            event.delivery
            for event in batch
            if isinstance(event, DeliveryChanged) and matches(event.delivery, self._filter)
        ]
        if not fresh:
            return
        if self._asked is not None:
            self._since += fresh
        if self._paused:
            self._held = [*self._held, *fresh][-KEPT:]
            self._new.update({delivery.id for delivery in fresh} - self._known)
        else:
            self._rows.put(fresh)
        self._entitle()

    def load(self) -> None:
        """Fetch the newest page."""
        self._fetch(PageQuery(limit=PAGE, filter=self._filter))

    def _fetch(self, query: PageQuery) -> None:
        # What happens until the page is there may be newer than what is on it.
        self._asked, self._since = query, []
        begin(self, partial(self._load, query), group="page", exclusive=True)

    async def _load(self, query: PageQuery) -> None:
        try:
            self.post_message(self.DeliveriesLoaded(query, await self.app.desk.deliveries(query)))
        except PushdeskError as error:
            self.post_message(self.Refused(error))

    def on_deliveries_screen_deliveries_loaded(self, message: DeliveriesLoaded) -> None:
        """Show the page: the newest in place of all, an older one above."""
        if message.query is not self._asked:
            return
        self._asked = None
        self._older = message.page.next
        oldest_first = message.page.items[::-1]
        if message.query.cursor is None:
            self._held.clear()
            self._say_when_empty()
            self._rows.show(with_newer(oldest_first, self._since))
            self._begin_to_count()
        else:
            self._rows.put_before(oldest_first)
        self._entitle()

    def on_deliveries_screen_refused(self, message: Refused) -> None:
        """Show the error."""
        self._asked = None
        self.app.report(message.error)

    def on_rows_top_reached(self) -> None:
        """Fetch what is older."""
        if self._older is not None and self._asked is None:
            self._fetch(PageQuery(cursor=self._older, limit=PAGE, filter=self._filter))

    def on_rows_moved(self) -> None:
        """Say whether the newest is in sight."""
        self._entitle()
        self.refresh_refusals()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a delivery in full."""
        if isinstance(message.item, Delivery):
            self.show_delivery(message.item)

    def on_filter_input_set(self, message: FilterInput.Set) -> None:
        """Filter."""
        self._rows.focus()
        if message.text != self._filter:
            # A cursor is one of its filter only.
            self._filter, self._older = message.text, None
            self._rows.follow = True
            self.load()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "clear_filter" and not self._filter:
            return "There is no filter."
        if action == "follow" and self._rows.follow and not self._paused:
            return "The newest line is followed already."
        return super().refusal(action)

    def suggested_user(self) -> str:
        """Return the user of the line under the cursor."""
        return self._rows.current.user if self._rows.current else ""

    def copied(self) -> str:
        """Return the id of the dispatch under the cursor; without one, the server's URL."""
        return plain(self._rows.current.dispatch) if self._rows.current else super().copied()

    def action_pause(self) -> None:
        """Hold the log still, or let it go on."""
        self._paused = not self._paused
        if not self._paused:
            self._rows.put(self._held)
            self._held = []
        self._begin_to_count()
        self._entitle()
        self.refresh_refusals()

    def action_follow(self) -> None:
        """Go to the newest line and stay there."""
        if self._paused:
            self.action_pause()
        self._rows.follow = True
        self._entitle()
        self.refresh_refusals()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterInput).open()

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self.query_one(FilterInput).action_give_up()

    def _begin_to_count(self) -> None:
        # Deliveries are counted, not their attempts: each has at least two lines' worth of news.
        self._known = {delivery.id for delivery in self._rows.items} if self._paused else set()
        self._new = set()

    def _say_when_empty(self) -> None:
        if self._filter:
            self._rows.say_when_empty(
                Content.assemble(
                    "Nothing matches ", (plain(self._filter), "bold"), "\n", ("esc shows everything again", QUIET)
                )
            )
        else:
            self._rows.say_when_empty(
                Content.assemble(("Nothing was sent yet.\n", "bold"), ("Press t to send a test.", QUIET))
            )

    def _entitle(self) -> None:
        title = f"Deliveries · filter: {plain(self._filter)}" if self._filter else "Deliveries"
        if self._paused:
            note = f"paused, {count(len(self._new))} new"
        elif self._rows.follow:
            note = "following"
        else:
            note = "f follows the newest"
        self.query_one("#deliveries-panel", Panel).entitle(title, note)

    def _cells(self, delivery: Delivery) -> list[Content]:
        return [
            Content.styled(moment(delivery.at, self.app.now()), QUIET),
            delivery_status(delivery),
            Content(plain(delivery.user)),
            Content(delivery_device(delivery)),
            Content(SERVICES[delivery.service]),
            Content(milliseconds(delivery.latency_ms)),
            Content(str(delivery.attempts)),
            Content.styled(plain(delivery.reason), QUIET),
        ]


def with_newer(page: Iterable[Delivery], since: Iterable[Delivery]) -> list[Delivery]:
    """Return a page, the oldest first, with what happened since it was asked for: the newer of the same attempt."""
    lines = {attempt_key(delivery): delivery for delivery in page}
    for delivery in since:
        known = lines.get(attempt_key(delivery))
        if known is None or known.at <= delivery.at:
            lines[attempt_key(delivery)] = delivery
    return list(lines.values())


def matches(delivery: Delivery, text: str) -> bool:
    """Return whether a delivery passes a filter, as `Desk.deliveries` has it."""
    if text in set(Outcome):
        return delivery.outcome.value == text
    if text.startswith(OF_SUBSCRIPTION):
        return delivery.subscription == text.removeprefix(OF_SUBSCRIPTION)
    return text in delivery.user
