"""The browsers that are subscribed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message

from pushdesk.console.figures import count, moment, plural
from pushdesk.console.happenings import device_of
from pushdesk.console.keys import bind
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import BAD, KEYS, QUIET, SERVICES, SUBSCRIPTIONS, UNKNOWN_KEY, delivery_status
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.filter import FilterInput
from pushdesk.console.widgets.panel import Panel
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.desk import KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Page, PageQuery, Subscription, VapidKey

if TYPE_CHECKING:
    from collections.abc import Iterable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Stats

PAGE: Final = 100
SORTS: Final = ("-created_at", "user", "state", "service", "-failures")
"""What `s` goes through."""
RELOAD_S: Final = 0.5
"""A list that new rows belong to is fetched again at most this often."""


class SubscriptionsScreen(PaneScreen):
    """A page of the subscriptions; the server filters and sorts them."""

    NAME: ClassVar[str] = "subscriptions"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("T", "test", "Test", "subscriptions.test", "Send the test push to this device only", show=True),
        bind("d", "remove", "Remove", "subscriptions.remove", "Remove this subscription", show=True),
        bind(
            "slash",
            "filter",
            "Filter",
            "subscriptions.filter",
            "Show the users whose name contains…",
            show=True,
            display="/",
        ),
        bind("s", "sort", "Sort", "subscriptions.sort", "Sort by the next column"),
        bind("S", "reverse", "Reverse", "subscriptions.reverse", "Reverse the order"),
        bind("right_square_bracket", "next_page", "Next page", "subscriptions.next", "The next page", display="]"),
        bind(
            "left_square_bracket",
            "previous_page",
            "Previous page",
            "subscriptions.previous",
            "The page before",
            display="[",
        ),
        bind("escape", "clear_filter", "Clear filter", "subscriptions.clear", "Show all users again"),
    ]

    class SubscriptionsLoaded(Message):
        """A page came from the server."""

        def __init__(self, query: PageQuery, page: Page[Subscription], keys: tuple[VapidKey, ...]) -> None:
            super().__init__()
            self.query = query
            self.page = page
            self.keys = keys

    class SubscriptionsRemoved(Message):
        """Subscriptions were removed."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    class DeviceTested(Message):
        """The test push to a device was tried."""

        def __init__(self, device: str, said: str, *, good: bool) -> None:
            super().__init__()
            self.device = device
            self.said = said
            self.good = good

    class Refused(Message):
        """The server refused something."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""
        self._sort = ""
        self._cursors: list[str | None] = [None]
        self._next: str | None = None
        self._shown = 0
        self._keys: dict[str, KeyState] = {}
        self._reloading = False
        self._asked: PageQuery | None = None
        self._since: list[AnyEvent] = []
        self._rows: Rows[Subscription] = Rows(
            (
                Column("user", "user", 12, grows=3, sort="user"),
                Column("device", "device", 18, grows=3),
                Column("state", "state", 11, sort="state"),
                Column("service", "service", 15, priority=1, sort="service"),
                Column("key", "key", 10, priority=3),
                Column("success", "last success", 12, priority=2),
                Column("failures", "failures", 10, priority=4, sort="failures", right=True),
                Column("created", "subscribed", 12, priority=5, sort="created_at"),
            ),
            key=lambda subscription: subscription.id,
            cells=self._cells,
            name="rows",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the table and the line for its filter."""
        yield FilterInput("part of a user's name")
        yield Panel(self._rows, title="Subscriptions", name="subscriptions-panel")

    def on_mount(self) -> None:
        """Take up the order that was last used."""
        remembered = self.app.sorts.get(self.NAME, SORTS[0])
        self._sort = remembered if remembered.lstrip("-") in {sort.lstrip("-") for sort in SORTS} else SORTS[0]
        self._rows.mark_sort(self._sort)
        super().on_mount()
        self._rows.focus()

    def show_stats(self, stats: Stats) -> None:
        """Keep the total."""
        self._entitle(stats.subscriptions)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Change the rows that are shown; fetch again when others come or go."""
        if self._asked is not None:
            self._since += [event for event in batch if isinstance(event, SubscriptionChanged | SubscriptionRemoved)]
        for event in batch:
            match event:
                case SubscriptionChanged(subscription=subscription):
                    if subscription.id in self._rows:
                        self._rows.put([subscription])
                    else:
                        self._reload_soon()
                case SubscriptionRemoved() | KeyChanged():
                    self._reload_soon()
                case _:
                    pass

    def load(self) -> None:
        """Fetch the page that is shown."""
        query = PageQuery(cursor=self._cursors[-1], limit=PAGE, filter=self._filter, sort=self._sort)
        # What happens until the page is there may be newer than what is on it.
        self._asked, self._since = query, []
        begin(self, partial(self._load, query), group="page", exclusive=True)

    async def _load(self, query: PageQuery) -> None:
        try:
            page = await self.app.desk.subscriptions(query)
            keys = await self.app.desk.keys(PageQuery(limit=200))
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.SubscriptionsLoaded(query, page, keys.items))

    def on_subscriptions_screen_subscriptions_loaded(self, message: SubscriptionsLoaded) -> None:
        """Show the page."""
        if message.query is not self._asked:
            return
        self._asked = None
        keys = {key.id: key.state for key in message.keys}
        if keys != self._keys:
            self._keys = keys
            self._rows.redraw()
        self._next = message.page.next
        if self._filter:
            nothing = Content.assemble(("No user's name contains ", ""), (plain(self._filter), "bold"), "\n")
            self._rows.say_when_empty(Content.assemble(nothing, ("esc shows all again", QUIET)))
        else:
            self._rows.say_when_empty(
                Content.assemble(
                    ("No browser is subscribed yet.\n", "bold"),
                    ("Open ", QUIET),
                    plain(self.app.url),
                    (" in one.", QUIET),
                )
            )
        shown = with_newer(message.page.items, self._since)
        self._rows.show(shown)
        self._shown = len(shown)
        self._entitle(self.app.stats.subscriptions if self.app.stats else None)
        self.refresh_refusals()

    def on_subscriptions_screen_subscriptions_removed(self, message: SubscriptionsRemoved) -> None:
        """Say what was removed."""
        self.app.notify(f"Removed {plural(message.number, 'subscription')}")
        self.load()

    def on_subscriptions_screen_device_tested(self, message: DeviceTested) -> None:
        """Say what became of the test."""
        self.app.notify(f"{message.device}: {message.said}", severity="information" if message.good else "warning")

    def on_subscriptions_screen_refused(self, message: Refused) -> None:
        """Show the error."""
        self.app.report(message.error)

    def on_rows_moved(self) -> None:
        """Show what can be done with the row under the cursor."""
        self.refresh_refusals()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a subscription in full."""
        from pushdesk.console.screens.details import SubscriptionScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Subscription):
            self.app.push_screen(SubscriptionScreen(message.item))

    def on_rows_header_picked(self, message: Rows.HeaderPicked) -> None:
        """Sort by a column; by the same once more, the other way round."""
        field = message.column.sort
        if field == self._sort.lstrip("-"):
            self.action_reverse()
        else:
            self._sort_by(field)

    def on_filter_input_set(self, message: FilterInput.Set) -> None:
        """Filter."""
        self._rows.focus()
        if message.text != self._filter:
            self._filter = message.text
            self._from_the_first()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        none_selected = self._rows.current is None
        reasons = {
            "test": "No subscription is selected." if none_selected else None,
            "remove": "No subscription is selected." if none_selected else None,
            "next_page": None if self._next else "This is the last page.",
            "previous_page": None if len(self._cursors) > 1 else "This is the first page.",
            "clear_filter": None if self._filter else "There is no filter.",
        }
        return reasons.get(action) or super().refusal(action)

    def suggested_user(self) -> str:
        """Return the user of the row under the cursor."""
        return self._rows.current.user if self._rows.current else ""

    def copied(self) -> str:
        """Return the subscription as it is written in logs; without one, the server's URL."""
        current = self._rows.current
        return f"{current.service.value}#{plain(current.fingerprint)}" if current else super().copied()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one(FilterInput).open()

    def action_clear_filter(self) -> None:
        """Show all again."""
        self.query_one(FilterInput).action_give_up()

    def action_sort(self) -> None:
        """Sort by the next column."""
        fields = [sort.lstrip("-") for sort in SORTS]
        self._sort_by(SORTS[(fields.index(self._sort.lstrip("-")) + 1) % len(SORTS)])

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort_by(self._sort[1:] if self._sort.startswith("-") else f"-{self._sort}")

    def action_next_page(self) -> None:
        """Go to the next page."""
        self._cursors.append(self._next)
        self.load()

    def action_previous_page(self) -> None:
        """Go back a page."""
        self._cursors.pop()
        self.load()

    def action_remove(self) -> None:
        """Ask, and remove the subscription under the cursor."""
        from pushdesk.console.screens.confirm import DO, ConfirmScreen  # noqa: PLC0415 - not needed before it is asked for

        current = self._rows.current
        if current is None:
            return

        def answered(answer: str | None) -> None:
            if answer == DO:
                begin(self, partial(self._remove, current.id), group="commands")

        text = Content.assemble(
            (plain(current.user), "bold"),
            f" on {device_of(current)} will get nothing any more, until that browser subscribes again.",
        )
        self.app.push_screen(ConfirmScreen(title="Remove this subscription?", text=text, do="Remove"), answered)

    def action_test(self) -> None:
        """Send the test push to the device under the cursor."""
        if (current := self._rows.current) is not None:
            begin(self, partial(self._test, current), group="commands")

    async def _remove(self, subscription: str) -> None:
        try:
            self.post_message(self.SubscriptionsRemoved(await self.app.desk.remove_subscriptions([subscription])))
        except PushdeskError as error:
            self.post_message(self.Refused(error))

    async def _test(self, subscription: Subscription) -> None:
        try:
            deliveries = await self.app.desk.test(subscription.user, subscription.id)
        except PushdeskError as error:
            self.post_message(self.Refused(error))
            return
        for delivery in deliveries:
            good = delivery.status is not None and delivery.status < 300
            device = f"{plain(subscription.user)}, {device_of(subscription)}"
            self.post_message(self.DeviceTested(device, delivery_status(delivery).plain, good=good))

    def _sort_by(self, sort: str) -> None:
        self._sort = sort
        self._rows.mark_sort(sort)
        self.app.remember_sort(self.NAME, sort)
        self._from_the_first()

    def _from_the_first(self) -> None:
        # A cursor is one of its sort and filter only.
        self._cursors, self._next = [None], None
        self._rows.action_first()
        self.load()

    def _reload_soon(self) -> None:
        if not self._reloading:
            self._reloading = True
            self.set_timer(RELOAD_S, self._reload)

    def _reload(self) -> None:
        self._reloading = False
        self.load()

    def _entitle(self, total: int | None) -> None:
        title = f"Subscriptions · filter: {plain(self._filter)}" if self._filter else "Subscriptions"
        first = (len(self._cursors) - 1) * PAGE
        note = f"{count(first + 1)} to {count(first + self._shown)}" if self._shown else "none"
        if not self._filter and total is not None:
            note += f" of {count(total)}"
        if self._next or first:
            note += " · [ ] turn pages"
        self.query_one("#subscriptions-panel", Panel).entitle(title, note)

    def _cells(self, one: Subscription) -> list[Content]:
        now = self.app.now()
        key = KEYS.get(self._keys[one.key_id]) if one.key_id in self._keys else UNKNOWN_KEY
        return [
            Content(plain(one.user)),
            Content(device_of(one)),
            SUBSCRIPTIONS[one.state].content(),
            Content(f"{SERVICES[one.service]}#{plain(one.fingerprint)}"),
            (key or UNKNOWN_KEY).content(),
            Content(moment(one.last_success_at, now)),
            Content.styled(count(one.failures), BAD if one.failures else QUIET),
            Content.styled(moment(one.created_at, now), QUIET),
        ]


def with_newer(page: Iterable[Subscription], since: Iterable[AnyEvent]) -> list[Subscription]:
    """Return a page with what happened to its rows since it was asked for."""
    rows = {subscription.id: subscription for subscription in page}
    for event in since:
        if isinstance(event, SubscriptionChanged) and event.subscription.id in rows:
            rows[event.subscription.id] = event.subscription
        elif isinstance(event, SubscriptionRemoved):
            rows.pop(event.id, None)
    return list(rows.values())
