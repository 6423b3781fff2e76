"""The browsers that are subscribed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.content import Content
from textual.message import Message

from pushdesk.console.figures import count, moment, plural
from pushdesk.console.happenings import device_of
from pushdesk.console.keys import bind
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import BAD, KEYS, QUIET, SERVICES, SUBSCRIPTIONS, UNKNOWN_KEY, delivery_status
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing, nothing_found
from pushdesk.console.workers import begin
from pushdesk.desk import DeliveryChanged, KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Outcome, Page, PageQuery, Subscription

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Stats

SORTS: Final = ("-created_at", "user", "state", "service", "-failures")


class SubscriptionsScreen(PaneScreen):
    """The subscriptions, with what can be done with one."""

    NAME: ClassVar[str] = "subscriptions"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"test", "remove"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("T", "test", "Test", "subscriptions.test", "Send the test push to this device only", show=True),
        bind("d", "remove", "Remove", "subscriptions.remove", "Remove this subscription", show=True),
    ]

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
        self._keys: dict[str, KeyState] = {}
        self._listing: Listing[Subscription] = Listing(
            title="Subscriptions",
            name="subscriptions",
            columns=(
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
            fetch=self._fetch,
            sorts=SORTS,
            filter_hint="part of a user's name; ^ and its beginning",
            empty=self._empty,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the table."""
        yield self._listing

    def on_mount(self) -> None:
        """Begin in the table."""
        super().on_mount()
        self.begin_in(self._listing.rows)

    def show_stats(self, stats: Stats) -> None:
        """Keep the total."""
        self._listing.set_total(stats.subscriptions)

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Change the rows that are shown; fetch again when others come or go."""
        for event in batch:
            match event:
                case SubscriptionChanged(subscription=subscription):
                    self._listing.put(subscription)
                case SubscriptionRemoved(id=subscription_id):
                    self._listing.drop(subscription_id)
                case KeyChanged():
                    self._listing.changed()
                case DeliveryChanged(delivery=delivery) if delivery.outcome is Outcome.ACCEPTED:
                    # A success changes nothing else, and is not told as a change of its own.
                    if (known := self._listing.find(delivery.subscription)) is not None:
                        self._listing.put(msgspec.structs.replace(known, last_success_at=delivery.at, failures=0))
                case _:
                    pass

    def on_subscriptions_screen_subscriptions_removed(self, message: SubscriptionsRemoved) -> None:
        """Say what was removed."""
        self.app.notify(f"Removed {plural(message.number, 'subscription')}")
        self._listing.load()

    def on_subscriptions_screen_device_tested(self, message: DeviceTested) -> None:
        """Say what became of the test."""
        self.app.notify(f"{message.device}: {message.said}", severity="information" if message.good else "warning")

    def on_subscriptions_screen_refused(self, message: Refused) -> None:
        """Show the error."""
        self.app.report(message.error)

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a subscription in full."""
        from pushdesk.console.screens.details import SubscriptionScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Subscription):
            self.app.push_screen(SubscriptionScreen(message.item))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in {"test", "remove"} and self._listing.current is None:
            return "No subscription is selected."
        return super().refusal(action)

    def suggested_user(self) -> str:
        """Return the user of the row under the cursor."""
        return self._listing.current.user if self._listing.current else ""

    def copied(self) -> str:
        """Return the subscription as it is written in logs; without one, the server's URL."""
        current = self._listing.current
        return f"{current.service.value}#{plain(current.fingerprint)}" if current else super().copied()

    def action_remove(self) -> None:
        """Ask, and remove the subscription under the cursor."""
        from pushdesk.console.screens.confirm import DO, ConfirmScreen  # noqa: PLC0415 - not needed before it is asked for

        current = self._listing.current
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
        if (current := self._listing.current) is not None:
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

    async def _fetch(self, query: PageQuery) -> Page[Subscription]:
        page = await self.app.desk.subscriptions(query)
        keys = {key.id: key.state for key in (await self.app.desk.keys(PageQuery(limit=200))).items}
        if keys != self._keys:
            self._keys = keys
            self._listing.rows.redraw()
        return page

    def _empty(self, wanted: str) -> Content:
        if wanted:
            return nothing_found("No user's name contains", wanted)
        return Content.assemble(
            ("No browser is subscribed yet.\n", "bold"), ("Open ", QUIET), plain(self.app.url), (" in one.", QUIET)
        )

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
