"""Everything that may be shown of one subscription or one dispatch."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.broadcast_commands import ask_to_cancel
from pushdesk.console.device_commands import give, send_again, test
from pushdesk.console.figures import milliseconds, moment
from pushdesk.console.happenings import delivery_device, device_of
from pushdesk.console.keys import bind
from pushdesk.console.lookups import device_found, key_states
from pushdesk.console.screens.deliveries import OF_SUBSCRIPTION
from pushdesk.console.screens.live_dialog import LiveDialog, labelled
from pushdesk.console.screens.removing import ask_to_remove_device
from pushdesk.console.screens.restoring import CANNOT, ask_to_restore
from pushdesk.console.status import (
    BUSY,
    DISPATCHES,
    KEYS,
    NOT_SENT_TO,
    OUTCOMES,
    QUIET,
    SERVICES,
    SUBSCRIPTIONS,
    UNKNOWN_KEY,
    delivery_status,
)
from pushdesk.console.subject import Subject
from pushdesk.console.text import plain
from pushdesk.console.timeline import Moment, timeline
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.facts import Facts
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.desk import DeliveryChanged, DispatchChanged, KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.errors import PushdeskError
from pushdesk.model import Delivery, DispatchState, PageQuery

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.facts import Fact
    from pushdesk.desk import AnyEvent
    from pushdesk.model import Attempt, Dispatch, KeyState, Subscription

LATELY: Final = 200
"""Deliveries of a subscription that are shown."""
ENDED: Final = frozenset({DispatchState.DONE, DispatchState.CANCELLED})
NOBODY: Final = "It has no deliveries: nobody was subscribed."
NO_DELIVERIES: Final = {
    DispatchState.SCHEDULED: "It is not due yet: it is sent to whoever is subscribed then.",
    DispatchState.QUEUED: "It is its turn soon.",
    DispatchState.CANCELLED: "It was taken back before anything was sent.",
}
"""Why a dispatch has no deliveries."""
TOLD: Final = 20
"""Deliveries of a subscription whose attempts are shown one by one, if there was more than one; the latest."""


class SubscriptionScreen(LiveDialog):
    """A subscription, and what became of it from the day it was made."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"test", "remove", "restore"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("T", "test", "Test", "subscriptions.test", "Send the test push to this device only", show=True),
        bind("d", "remove", "Remove", "subscriptions.remove", "Remove this subscription", show=True),
        bind("u", "restore", "Restore", "subscriptions.restore", "Send again to a device that was disabled", show=True),
    ]

    class Loaded(Message):
        """What is shown came from the server."""

        def __init__(
            self, subscription: Subscription | None, key: KeyState | None, moments: list[Moment], *, is_gone: bool
        ) -> None:
            super().__init__()
            self.subscription = subscription
            self.is_gone = is_gone
            self.key = key
            self.moments = moments

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(f"{plain(subscription.user)} · {device_of(subscription)}")
        self._subscription = subscription
        self._is_removed = False
        self._attempts: dict[tuple[str, int], tuple[Attempt, ...]] = {}
        self._facts = Facts(indent=15)
        self._moments: Rows[Moment] = Rows(
            (
                Column("time", "time", 12),
                Column("status", "what happened", 18),
                Column("latency", "latency", 7, priority=1, right=True),
                Column("remark", "", 12, grows=1),
            ),
            key=lambda line: line.key,
            cells=self._cells,
            name="timeline",
        )
        self._line = Static(id="line")

    def compose_body(self) -> ComposeResult:
        """Compose the facts and the timeline."""
        yield self._facts
        yield self._moments
        yield self._line

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about this subscription."""
        match event:
            case SubscriptionChanged(subscription=subscription) if subscription.id == self._subscription.id:
                self._subscription = subscription
                return True
            case SubscriptionRemoved(id=removed) if removed == self._subscription.id:
                self._is_removed = True
                return True
            case DeliveryChanged(delivery=delivery):
                return delivery.subscription == self._subscription.id
            case KeyChanged(key=key):
                return key.id == self._subscription.key_id
            case _:
                return False

    async def fetch(self) -> None:
        """Fetch the subscription, its key, and what was sent to it lately."""
        desk, one = self.app.desk, self._subscription
        try:
            (found, are_all), keys, page = await asyncio.gather(
                device_found(desk, one),
                key_states(desk),
                desk.deliveries(PageQuery(limit=LATELY, filter=f"{OF_SUBSCRIPTION}{one.id}")),
            )
            attempts = await self._fetch_attempts(page.items)
        except PushdeskError as error:
            self.post_message(self.Failed(error))
            return
        is_gone = found is None and are_all
        moments = timeline(found or one, page.items, attempts)
        self.post_message(self.Loaded(found, keys.get(one.key_id), moments, is_gone=is_gone))

    def on_subscription_screen_loaded(self, message: Loaded) -> None:
        """Show what came."""
        if message.subscription is not None:
            self._subscription = message.subscription
            self._is_removed = False
        elif message.is_gone:
            # Nobody may have told: the connection was lost, or it was told while an older answer was under way.
            self._is_removed = True
        one, now = self._subscription, self.app.now()
        key = UNKNOWN_KEY if message.key is None else KEYS[message.key]
        state = SUBSCRIPTIONS[one.state].content()
        self._facts.show(
            [
                ("state", Content("- removed") if self._is_removed else state),
                ("subscription", f"{SERVICES[one.service]}#{plain(one.fingerprint)}"),
                ("VAPID key", Content.assemble(plain(one.key_id), "  ", key.content())),
                ("subscribed", moment(one.created_at, now)),
                ("last success", moment(one.last_success_at, now)),
                ("last failure", _failed(one, now)),
            ]
        )
        self._moments.styles.max_height = _height(len(message.moments))
        self._moments.show(message.moments)
        if self.come():
            self._moments.focus()

    def on_rows_moved(self) -> None:
        """Show the line under the cursor in full."""
        current = self._moments.current
        self._line.update(labelled("In full", self._in_full(current)) if current is not None else "")

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a delivery with all its attempts."""
        from pushdesk.console.screens.delivery import DeliveryScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Moment) and message.item.delivery is not None:
            self.app.push_screen(DeliveryScreen(message.item.delivery))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in self.CHANGES and self._is_removed:
            return "This subscription was removed."
        if action == "test" and (reason := NOT_SENT_TO.get(self._subscription.state)):
            return reason
        if action == "restore" and (reason := CANNOT.get(self._subscription.state)):
            return super().refusal(action) or reason
        return super().refusal(action)

    def subject(self) -> Subject:
        """Return this subscription."""
        return Subject.of_subscription(self._subscription)

    def copied(self) -> str:
        """Return the facts, and the timeline."""
        lines = (self._in_full(each).plain.replace("\n", " · ") for each in self._moments.items)
        return "\n".join((self._title, "", self._facts.text, "", *lines))

    def action_test(self) -> None:
        """Send the test push to this device."""
        give(self, partial(test, self.app.desk, self.subject()))

    def action_remove(self) -> None:
        """Ask, and remove this subscription."""
        ask_to_remove_device(self, self._subscription)

    def action_restore(self) -> None:
        """Ask, and restore this subscription."""
        ask_to_restore(self, [self._subscription])

    async def _fetch_attempts(self, deliveries: tuple[Delivery, ...]) -> dict[str, tuple[Attempt, ...]]:
        """Return the attempts at the latest deliveries that had several; those that are known are not asked for."""
        wanted = [one for one in deliveries if one.attempts > 1][:TOLD]
        asked = [one for one in wanted if (one.id, one.attempts) not in self._attempts]
        records = await asyncio.gather(*(self.app.desk.delivery(one.id) for one in asked), return_exceptions=True)
        for one, record in zip(asked, records, strict=True):
            # One that is not known, to an older server or any more, is shown by its last attempt.
            if not isinstance(record, BaseException):
                self._attempts[one.id, one.attempts] = record.attempts
            elif not isinstance(record, PushdeskError):
                raise record
        return {one.id: self._attempts.get((one.id, one.attempts), ()) for one in wanted}

    def _in_full(self, line: Moment) -> Content:
        now = self.app.now()
        if line.attempt is not None:
            return full_line(line.attempt, now)
        return Content.assemble((moment(line.time, now), QUIET), " · ", line.status, "\n", line.remark)

    def _cells(self, line: Moment) -> list[Content]:
        return [
            Content.styled(moment(line.time, self.app.now()), QUIET),
            line.status,
            Content(milliseconds(line.attempt.latency_ms) if line.attempt is not None else ""),
            Content.styled(line.remark, QUIET),
        ]


class DispatchScreen(LiveDialog):
    """A dispatch with all its deliveries.

    Args:
        dispatch: Its id.
        delivery: That of one of them, on which the cursor is to be.
    """

    CHANGES: ClassVar[frozenset[str]] = frozenset({"send_again", "cancel"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("r", "send_again", "Send again", "deliveries.resend", "Send it to this device once more", show=True),
        bind("x", "cancel", "Take back", "dispatches.cancel", "Take it back: it is not sent", show=True),
    ]

    class Loaded(Message):
        """The dispatch came from the server."""

        def __init__(self, dispatch: Dispatch) -> None:
            super().__init__()
            self.dispatch = dispatch

    def __init__(self, dispatch: str, delivery: str = "") -> None:
        super().__init__("Dispatch")
        self._dispatch_id = dispatch
        self._chosen = delivery
        self._dispatch: Dispatch | None = None
        self._facts = Facts(indent=10)
        self._deliveries: Rows[Delivery] = Rows(
            (
                Column("at", "time", 12),
                Column("status", "outcome", 16, grows=1),
                Column("device", "device", 18, grows=2),
                Column("attempts", "try", 3, priority=2, right=True),
                Column("latency", "latency", 7, priority=2, right=True),
                Column("next", "next try", 8, priority=1),
                Column("reason", "reason", 12, priority=3, grows=2),
            ),
            key=lambda delivery: delivery.id,
            cells=self._cells,
            name="deliveries",
        )
        self._line = Static(id="line")

    def compose_body(self) -> ComposeResult:
        """Compose the facts and the table."""
        yield self._facts
        yield self._deliveries
        yield self._line

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about this dispatch or one of its deliveries."""
        match event:
            case DeliveryChanged(delivery=delivery):
                return delivery.dispatch == self._dispatch_id
            case DispatchChanged(dispatch=dispatch):
                return dispatch.id == self._dispatch_id
            case _:
                return False

    async def fetch(self) -> None:
        """Fetch the dispatch."""
        try:
            self.post_message(self.Loaded(await self.app.desk.dispatch(self._dispatch_id)))
        except PushdeskError as error:
            self.post_message(self.Failed(error))

    def on_dispatch_screen_loaded(self, message: Loaded) -> None:
        """Show the dispatch."""
        self._dispatch = dispatch = message.dispatch
        now = self.app.now()
        facts: list[Fact] = [
            ("title", plain(dispatch.title)),
            ("user", plain(dispatch.user or "everybody")),
            ("state", DISPATCHES[dispatch.state].content()),
            ("kind", dispatch.kind.value),
            ("accepted", moment(dispatch.accepted_at, now)),
            ("id", plain(dispatch.id)),
            ("outcomes", _counts(dispatch)),
        ]
        if dispatch.send_at is not None:
            facts.insert(5, ("send at", Content.styled(moment(dispatch.send_at, now), BUSY)))
        if dispatch.next is not None:
            facts.append(("", f"the first {len(dispatch.deliveries)} deliveries are shown"))
        self._facts.show(facts)
        self._deliveries.say_when_empty(Content.styled(NO_DELIVERIES.get(dispatch.state, NOBODY), QUIET))
        self._deliveries.styles.max_height = _height(len(dispatch.deliveries))
        self._deliveries.show(dispatch.deliveries)
        if self.come():
            self._deliveries.go_to(self._chosen)
            self._deliveries.focus()

    def on_rows_moved(self) -> None:
        """Show the delivery under the cursor in full."""
        current = self._deliveries.current
        self._line.update(labelled("In full", full_line(current, self.app.now())) if current is not None else "")

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a delivery with all its attempts."""
        from pushdesk.console.screens.delivery import DeliveryScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Delivery):
            self.app.push_screen(DeliveryScreen(message.item))

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "send_again" and self._deliveries.current is None:
            return "No delivery is selected."
        if action == "cancel" and (self._dispatch is None or self._dispatch.state in ENDED):
            return super().refusal(action) or "There is nothing left that could be taken back."
        return super().refusal(action)

    def subject(self) -> Subject | None:
        """Return the delivery under the cursor."""
        current = self._deliveries.current
        return Subject.of_delivery(current) if current is not None else None

    def copied(self) -> str:
        """Return the facts, and a line for each delivery."""
        now = self.app.now()
        lines = (
            f"{delivery_device(each)} · {full_line(each, now).plain}".replace("\n", " · ")
            for each in self._deliveries.items
        )
        return "\n".join((self._facts.text, "", *lines))

    def action_cancel(self) -> None:
        """Ask, and take it back."""
        if self._dispatch is not None:
            ask_to_cancel(self, self._dispatch)

    def action_send_again(self) -> None:
        """Send the delivery under the cursor again."""
        if (subject := self.subject()) is not None:
            give(self, partial(send_again, self.app.desk, subject))

    def _cells(self, delivery: Delivery) -> list[Content]:
        now = self.app.now()
        following = moment(delivery.next_attempt_at, now) if delivery.next_attempt_at else ""
        return [
            Content.styled(moment(delivery.at, now), QUIET),
            delivery_status(delivery),
            Content(delivery_device(delivery)),
            Content(str(delivery.attempts)),
            Content(milliseconds(delivery.latency_ms)),
            Content(following),
            Content.styled(plain(delivery.reason), QUIET),
        ]


def _failed(one: Subscription, now: datetime) -> str:
    last = moment(one.last_failure_at, now)
    return f"{last}, {one.failures} in a row" if one.failures else last


def _height(rows: int) -> int:
    return HEADER + max(rows, 1)


def full_line(delivery: Delivery, now: datetime) -> Content:
    """Return all that may be said of an attempt: what came of it in a line, the whole reason below."""
    parts = [
        Content.styled(moment(delivery.at, now), QUIET),
        delivery_status(delivery),
        Content(f"attempt {delivery.attempts}" if delivery.attempts else "not tried yet"),
    ]
    if delivery.latency_ms is not None:
        parts.append(Content(milliseconds(delivery.latency_ms)))
    if delivery.next_attempt_at is not None:
        parts.append(Content(f"next try {moment(delivery.next_attempt_at, now)}"))
    line = Content(" · ").join(parts)
    return Content.assemble(line, "\n", plain(delivery.reason)) if delivery.reason else line


def _counts(dispatch: Dispatch) -> Content:
    marks = (
        Content.assemble(OUTCOMES[outcome].content(), f" {number}")
        for outcome, number in dispatch.counts.items()
        if number
    )
    return Content("   ").join(marks) if any(dispatch.counts.values()) else Content("none yet")
