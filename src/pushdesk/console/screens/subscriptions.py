"""The browsers that are subscribed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.content import Content

from pushdesk.console.device_commands import give, test
from pushdesk.console.figures import count, moment
from pushdesk.console.happenings import device_of
from pushdesk.console.keys import bind
from pushdesk.console.lookups import key_states
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.screens.restoring import CANNOT, ask_to_restore, disabled
from pushdesk.console.status import BAD, KEYS, NOT_SENT_TO, QUIET, SERVICES, SUBSCRIPTIONS, UNKNOWN_KEY
from pushdesk.console.subject import SHOWN_WHY, Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.listing import Listing
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.desk import DeliveryChanged, KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.model import KeyState, Outcome, Subscription

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Page, PageQuery, Stats

SORTS: Final = ("-created_at", "user", "state", "service", "-failures")
COLUMNS: Final = (
    Column("device", "device", 18, grows=3),
    Column("state", "state", 11, sort="state"),
    Column("service", "service", 15, priority=1, sort="service"),
    Column("key", "key", 10, priority=3),
    Column("success", "last success", 12, priority=2),
    Column("failures", "failures", 10, priority=4, sort="failures", right=True),
    Column("created", "subscribed", 12, priority=5, sort="created_at"),
)
"""Of a device, whosever it is."""


class SubscriptionsScreen(PaneScreen):
    """The subscriptions, with what can be done with one."""

    NAME: ClassVar[str] = "subscriptions"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"test", "remove", "restore", "restore_all"})
    BINDINGS: ClassVar[list[BindingType]] = [
        SHOWN_WHY,
        bind("T", "test", "Test", "subscriptions.test", "Send the test push to this device only", show=True),
        bind("d", "remove", "Remove", "subscriptions.remove", "Remove this subscription", show=True),
        bind("u", "restore", "Restore", "subscriptions.restore", "Send again to a device that was disabled", show=True),
        bind("U", "restore_all", "Restore all", "subscriptions.restore_all", "Restore all disabled devices shown here"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, KeyState] = {}
        self._listing: Listing[Subscription] = Listing(
            title="Subscriptions",
            name="subscriptions",
            columns=(Column("user", "user", 12, grows=3, sort="user"), *COLUMNS),
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
        self.begin_in(self._listing.rows)

    def show_stats(self, stats: Stats) -> None:
        """Tell how many are active: of those that have ended, which are listed too, the number is not known."""
        self._listing.set_total(None, f"{count(stats.subscriptions)} active")

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
                    self._listing.change(delivery.subscription, partial(_after_success, at=delivery.at))
                case _:
                    pass

    def on_command_done(self) -> None:
        """Show what has become of it: whoever ordered something wants to see it at once."""
        self._listing.load()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a subscription in full."""
        from pushdesk.console.screens.details import SubscriptionScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Subscription):
            self.app.push_screen(SubscriptionScreen(message.item))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        current = self._listing.current
        if action in {"test", "remove", "restore"} and current is None:
            return "No subscription is selected."
        if action == "restore" and current is not None and (reason := CANNOT.get(current.state)):
            return super().refusal(action) or reason
        if action == "restore_all" and not disabled(self._listing.rows.items):
            return super().refusal(action) or "None of these devices is disabled."
        if action == "test" and current is not None and (reason := NOT_SENT_TO.get(current.state)):
            return reason
        return super().refusal(action)

    def suggested_user(self) -> str:
        """Return the user of the row under the cursor."""
        return self._listing.current.user if self._listing.current else ""

    def subject(self) -> Subject | None:
        """Return the device under the cursor."""
        return Subject.of_subscription(self._listing.current) if self._listing.current else None

    def copied(self) -> str:
        """Return the subscription as it is written in logs; without one, the server's URL."""
        current = self._listing.current
        return f"{current.service.value}#{plain(current.fingerprint)}" if current else super().copied()

    def action_remove(self) -> None:
        """Ask, and remove the subscription under the cursor."""
        from pushdesk.console.screens.removing import ask_to_remove_device  # noqa: PLC0415 - not needed before it is asked for

        if (current := self._listing.current) is not None:
            ask_to_remove_device(self, current)

    def action_test(self) -> None:
        """Send the test push to the device under the cursor."""
        if (subject := self.subject()) is not None:
            give(self, partial(test, self.app.desk, subject))

    def action_restore(self) -> None:
        """Ask, and restore the device under the cursor."""
        if (current := self._listing.current) is not None:
            ask_to_restore(self, [current])

    def action_restore_all(self) -> None:
        """Ask, and restore all of this page that are disabled."""
        ask_to_restore(self, disabled(self._listing.rows.items))

    async def _fetch(self, query: PageQuery) -> Page[Subscription]:
        page = await self.app.desk.subscriptions(query)
        keys = await key_states(self.app.desk)
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
        return [Content(plain(one.user)), *device_cells(one, self._keys.get(one.key_id), self.app.now())]


def device_cells(one: Subscription, key: KeyState | None, now: datetime) -> list[Content]:
    """Return the cells of a device in `COLUMNS`.

    Args:
        one: The device.
        key: The state of the key that it was subscribed with; None if that is not known here.
        now: The time.
    """
    return [
        Content(device_of(one)),
        SUBSCRIPTIONS[one.state].content(),
        Content(f"{SERVICES[one.service]}#{plain(one.fingerprint)}"),
        (UNKNOWN_KEY if key is None else KEYS[key]).content(),
        Content(moment(one.last_success_at, now)),
        Content.styled(count(one.failures), BAD if one.failures else QUIET),
        Content.styled(moment(one.created_at, now), QUIET),
    ]


def _after_success(subscription: Subscription, *, at: datetime) -> Subscription:
    return msgspec.structs.replace(subscription, last_success_at=at, failures=0)
