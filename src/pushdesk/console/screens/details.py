"""Everything that may be shown of one subscription or one dispatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.figures import milliseconds, moment
from pushdesk.console.happenings import delivery_device, delivery_remark, device_of
from pushdesk.console.screens.deliveries import OF_SUBSCRIPTION
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.status import DISPATCHES, OUTCOMES, QUIET, SERVICES, SUBSCRIPTIONS, delivery_status
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.workers import begin
from pushdesk.desk import DeliveryChanged, SubscriptionChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import Delivery, PageQuery

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.timer import Timer

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Dispatch, Subscription

Fact = tuple[str, Content | str]
LATELY: Final = 200
"""Deliveries of a subscription that are shown."""
RELOAD_S: Final = 1.0
"""What happens is fetched at most this often."""


class DetailsScreen(Dialog[None]):
    """Facts above, deliveries below; both follow what happens."""

    class Loaded(Message):
        """What is shown came from the server."""

        def __init__(self, facts: list[Fact], deliveries: list[Delivery]) -> None:
            super().__init__()
            self.facts = facts
            self.deliveries = deliveries

    def __init__(self, title: str, *, empty: str, chosen: Delivery | None = None) -> None:
        super().__init__()
        self._title = title
        self._chosen = chosen
        self._empty = empty
        self._waiting: Timer | None = None
        self._stale = False
        self._facts = Static(Content.styled("loading…", QUIET), classes="facts")
        self._deliveries: Rows[Delivery] = Rows(
            (
                Column("at", "time", 12),
                Column("status", "outcome", 16, grows=1),
                Column("device", "device", 14, grows=2),
                Column("attempts", "tries", 5, priority=2, right=True),
                Column("next", "next try", 8, priority=1),
                Column("remark", "", 12, priority=3, grows=2),
            ),
            key=lambda delivery: delivery.id,
            cells=self._cells,
            name="deliveries",
        )
        self._line = Static(id="line")

    def compose(self) -> ComposeResult:
        """Compose the facts and the table."""
        with Vertical(classes="dialog -long") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content("esc closes")
            yield self._facts
            yield self._deliveries
            yield self._line

    def on_mount(self) -> None:
        """Fetch, and keep up with what happens."""
        self._deliveries.say_when_empty(Content.styled(self._empty, QUIET))
        self._deliveries.focus()
        self.watch(self.app, "events", self._follow, init=False)
        self._load()

    async def fetch(self) -> tuple[list[Fact], list[Delivery]]:
        """Return the facts and the deliveries, the newest first."""
        raise NotImplementedError

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event changes what is shown."""
        raise NotImplementedError

    def on_details_screen_loaded(self, message: Loaded) -> None:
        """Show what came."""
        lines = (Content.assemble((name.ljust(14), QUIET), value) for name, value in message.facts)
        self._facts.update(Content("\n").join(lines))
        is_first = not self._deliveries.items
        self._deliveries.show(message.deliveries)
        if is_first and self._chosen is not None:
            self._deliveries.go_to(self._chosen.id)

    def on_rows_moved(self) -> None:
        """Show the delivery under the cursor in full."""
        current = self._deliveries.current
        self._line.update(self._in_full(current) if current is not None else "")

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a delivery alone: there is room for the longest reason."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Delivery):
            title = f"{plain(message.item.user)} · {delivery_device(message.item)}"
            self.app.push_screen(WordsScreen(title, self._in_full(message.item)))

    def _in_full(self, delivery: Delivery) -> Content:
        told = [delivery]
        if (chosen := self._chosen) is not None and is_earlier(chosen, delivery):
            # The server keeps a delivery's last attempt only; the one that was chosen is shown as it was.
            told.insert(0, chosen)
        return Content("\n").join(full_line(each, self.app.now()) for each in told)

    def _follow(self, batch: tuple[AnyEvent, ...]) -> None:
        # All of them: what concerns a screen may change it.
        if not [event for event in batch if self.concerns(event)]:
            return
        if self._waiting is not None:
            self._stale = True
        else:
            self._load()

    def _waited(self) -> None:
        self._waiting = None
        if self._stale:
            self._load()

    def _load(self) -> None:
        self._stale = False
        self._waiting = self.set_timer(RELOAD_S, self._waited)
        begin(self, self._fetch, group="details", exclusive=True)

    async def _fetch(self) -> None:
        try:
            facts, deliveries = await self.fetch()
        except PushdeskError as error:
            facts, deliveries = [("", plain(str(error)))], []
        self.post_message(self.Loaded(facts, deliveries))

    def _cells(self, delivery: Delivery) -> list[Content]:
        now = self.app.now()
        following = moment(delivery.next_attempt_at, now) if delivery.next_attempt_at else ""
        return [
            Content.styled(moment(delivery.at, now), QUIET),
            delivery_status(delivery),
            Content(delivery_device(delivery)),
            Content(str(delivery.attempts)),
            Content(following),
            Content.styled(delivery_remark(delivery), QUIET),
        ]


class SubscriptionScreen(DetailsScreen):
    """A subscription, and what was sent to it lately."""

    def __init__(self, subscription: Subscription) -> None:
        super().__init__(
            f"{plain(subscription.user)} · {device_of(subscription)}", empty="Nothing was sent to it lately."
        )
        self._subscription = subscription

    async def fetch(self) -> tuple[list[Fact], list[Delivery]]:
        """Return the subscription's facts and its latest deliveries."""
        one, now = self._subscription, self.app.now()
        page = await self.app.desk.deliveries(PageQuery(limit=LATELY, filter=f"{OF_SUBSCRIPTION}{one.id}"))
        facts: list[Fact] = [
            ("user", plain(one.user)),
            ("state", SUBSCRIPTIONS[one.state].content()),
            ("device", device_of(one)),
            ("subscription", f"{SERVICES[one.service]}#{plain(one.fingerprint)}"),
            ("VAPID key", plain(one.key_id)),
            ("subscribed", moment(one.created_at, now)),
            ("last success", moment(one.last_success_at, now)),
            ("last failure", moment(one.last_failure_at, now)),
            ("failures", f"{one.failures} in a row"),
        ]
        return facts, list(page.items)

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about this subscription."""
        match event:
            case SubscriptionChanged(subscription=subscription) if subscription.id == self._subscription.id:
                self._subscription = subscription
                return True
            case DeliveryChanged(delivery=delivery):
                return delivery.subscription == self._subscription.id
            case _:
                return False


class DispatchScreen(DetailsScreen):
    """The dispatch of a delivery, with all its deliveries; the cursor is on that one."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__("Dispatch", empty="It has no deliveries: nobody was subscribed.", chosen=delivery)
        self._dispatch = delivery.dispatch

    async def fetch(self) -> tuple[list[Fact], list[Delivery]]:
        """Return the dispatch's facts and deliveries."""
        dispatch, now = await self.app.desk.dispatch(self._dispatch), self.app.now()
        shown = list(dispatch.deliveries)
        facts: list[Fact] = [
            ("title", plain(dispatch.title)),
            ("user", plain(dispatch.user or "everybody")),
            ("state", DISPATCHES[dispatch.state].content()),
            ("kind", dispatch.kind.value),
            ("accepted", moment(dispatch.accepted_at, now)),
            ("id", plain(dispatch.id)),
            ("outcomes", _counts(dispatch)),
        ]
        if dispatch.next is not None:
            facts.append(("", f"the first {len(shown)} deliveries are shown"))
        return facts, shown

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about one of this dispatch's deliveries."""
        return isinstance(event, DeliveryChanged) and event.delivery.dispatch == self._dispatch


def is_earlier(attempt: Delivery, delivery: Delivery) -> bool:
    """Return whether an attempt is one of this delivery's, and another than its last."""
    return attempt.id == delivery.id and attempt.attempts < delivery.attempts


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
