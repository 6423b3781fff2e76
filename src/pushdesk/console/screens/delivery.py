"""One delivery in full: every attempt, what was answered, and what happens next."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.device_commands import give, send_again
from pushdesk.console.figures import count, duration, milliseconds, moment
from pushdesk.console.happenings import delivery_device
from pushdesk.console.keys import bind
from pushdesk.console.prospects import prospect
from pushdesk.console.screens.live_dialog import LiveDialog, labelled
from pushdesk.console.status import OUTCOMES, QUIET, delivery_status, service_name
from pushdesk.console.subject import Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.facts import Facts
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.desk import DeliveryChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import Attempt

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, DeliveryRecord

MOST_ROWS: Final = 8
"""Attempts that are seen at once."""


class DeliveryScreen(LiveDialog):
    """A delivery; a table of its attempts, the answer to the one under the cursor below.

    Args:
        delivery: As it was at the attempt on which the cursor is to be.
    """

    CHANGES: ClassVar[frozenset[str]] = frozenset({"send_again"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("r", "send_again", "Send again", "deliveries.resend", "Send it to this device once more", show=True),
        bind("D", "dispatch", "Dispatch", "deliveries.dispatch", "All deliveries of the same dispatch", show=True),
    ]

    class Loaded(Message):
        """The delivery came from the server."""

        def __init__(self, record: DeliveryRecord) -> None:
            super().__init__()
            self.record = record

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(f"{plain(delivery.user)} · {delivery_device(delivery)}", scrolls=True)
        self._chosen = delivery
        self._record: DeliveryRecord | None = None
        self._facts = Facts(indent=14)
        self._attempts: Rows[Attempt] = Rows(
            (
                Column("number", "try", 3, right=True),
                Column("at", "time", 12),
                Column("status", "outcome", 16),
                Column("latency", "latency", 7, right=True),
                Column("reason", "answer", 12, grows=1),
            ),
            key=lambda attempt: str(attempt.number),
            cells=self._cells,
            name="attempts",
        )
        self._answer = Static(id="answer-in-full")

    def compose_body(self) -> ComposeResult:
        """Compose the facts, the attempts, and the answer."""
        yield self._facts
        yield self._attempts
        yield self._answer

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event is about this delivery."""
        return isinstance(event, DeliveryChanged) and event.delivery.id == self._chosen.id

    async def fetch(self) -> None:
        """Fetch the delivery."""
        try:
            self.post_message(self.Loaded(await self.app.desk.delivery(self._chosen.id)))
        except PushdeskError as error:
            self.post_message(self.Failed(error))

    def on_delivery_screen_loaded(self, message: Loaded) -> None:
        """Show the delivery; a cursor that was on the last attempt stays on the last."""
        self._record = record = message.record
        was_last = self._attempts.cursor >= len(self._attempts.items) - 1
        self._say_facts()
        self._attempts.say_when_empty(Content.styled("It was not tried yet.", QUIET))
        self._attempts.styles.height = HEADER + min(max(len(record.attempts), 1), MOST_ROWS)
        self._attempts.show(record.attempts)
        self.count_down(record.delivery.next_attempt_at)
        if self.come():
            self._attempts.go_to(str(self._chosen.attempts or 1))
            self._attempts.focus()
        elif was_last:
            self._attempts.action_last()

    def on_rows_moved(self) -> None:
        """Show the answer to the attempt under the cursor."""
        current = self._attempts.current
        self._answer.update(
            labelled(f"Answer to attempt {current.number}", _answer(current)) if current is not None else ""
        )

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show an attempt alone: there is room for the longest answer."""
        from pushdesk.console.screens.words import WordsScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, Attempt):
            text = Content.assemble(_line(message.item, moment(message.item.at, self.app.now())), "\n\n")
            self.app.push_screen(WordsScreen(self._title, text.append(_answer(message.item))))

    def tick(self) -> None:
        """Show how long it is until the next attempt."""
        self._say_facts()

    def subject(self) -> Subject:
        """Return this delivery."""
        return Subject.of_delivery(self._chosen)

    def copied(self) -> str:
        """Return the facts, and every attempt with its answer."""
        now = self.app.now()
        lines = (
            f"{_line(each, moment(each.at, now)).plain}\n{_answer(each).plain}".rstrip()
            for each in self._attempts.items
        )
        return "\n\n".join((f"{self._title}\n{self._facts.text}", *lines))

    def action_send_again(self) -> None:
        """Send it to this device once more."""
        give(self, partial(send_again, self.app.desk, self.subject()))

    def action_dispatch(self) -> None:
        """Show the dispatch with all its deliveries."""
        from pushdesk.console.screens.details import DispatchScreen  # noqa: PLC0415 - not needed before it is asked for

        self.app.push_screen(DispatchScreen(self._chosen.dispatch, self._chosen.id))

    def _say_facts(self) -> None:
        if self._record is None:
            return
        record, now = self._record, self.app.now()
        delivery, dispatch = record.delivery, record.dispatch
        services = self.app.stats.services if self.app.stats is not None else ()
        kept = f"kept for {duration(record.ttl_s)}, until {moment(record.expires_at, now)}"
        topic = f"topic {plain(record.topic)}" if record.topic else "no topic"
        self._facts.show(
            [
                ("outcome", delivery_status(delivery)),
                ("what is next", prospect(delivery, record.expires_at, now, services)),
                (
                    dispatch.kind.value,
                    f"“{plain(dispatch.title, longest=100)}”, accepted {moment(dispatch.accepted_at, now)}",
                ),
                ("asked for", f"{topic}, urgency {record.urgency.value}, {kept}, {count(record.size)} bytes"),
                ("sent to", f"{service_name(delivery.service)}, subscription {plain(delivery.subscription)}"),
                ("delivery", f"{plain(delivery.id)} of dispatch {plain(dispatch.id)}"),
            ]
        )

    def _cells(self, attempt: Attempt) -> list[Content]:
        return [
            Content(str(attempt.number)),
            Content.styled(moment(attempt.at, self.app.now()), QUIET),
            delivery_status(attempt),
            Content(milliseconds(attempt.latency_ms)),
            Content.styled(plain(attempt.reason), QUIET),
        ]


def _line(attempt: Attempt, at: str) -> Content:
    status = delivery_status(attempt)
    return Content.assemble(
        (at, QUIET), " · ", status, f" · attempt {attempt.number} · ", milliseconds(attempt.latency_ms)
    )


def _answer(attempt: Attempt) -> Content:
    """Return what was answered: the reason, then the headers, or that there are none."""
    headers = [Content.assemble((f"{plain(name)}: ", QUIET), plain(value)) for name, value in attempt.headers.items()]
    if not headers and attempt.status is not None:
        headers = [Content.styled("It came without headers that say more.", QUIET)]
    said = plain(attempt.reason) or OUTCOMES[attempt.outcome].word
    return Content("\n").join([Content(said), *headers])
