"""The live log of deliveries: a line for each, with its latest attempt, the newest at the bottom."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content

from pushdesk.console.device_commands import give, send_again
from pushdesk.console.figures import milliseconds, moment
from pushdesk.console.happenings import delivery_device
from pushdesk.console.keys import bind
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.status import QUIET, SERVICES, delivery_status
from pushdesk.console.subject import SHOWN_WHY, Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.paged import nothing_found
from pushdesk.console.widgets.tail import Tail
from pushdesk.desk import DeliveryChanged
from pushdesk.filters import passes
from pushdesk.model import Delivery, Outcome

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.widgets.rows import Rows
    from pushdesk.desk import AnyEvent

OF_SUBSCRIPTION: Final = "subscription:"
"""How a filter begins that is meant for one subscription."""


class DeliveriesScreen(PaneScreen):
    """What is delivered, and what is not, as it happens."""

    NAME: ClassVar[str] = "deliveries"
    CHANGES: ClassVar[frozenset[str]] = frozenset({"send_again"})
    BINDINGS: ClassVar[list[BindingType]] = [
        SHOWN_WHY,
        bind("r", "send_again", "Send again", "deliveries.resend", "Send it to this device once more", show=True),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._tail: Tail[Delivery] = Tail(
            title="Deliveries",
            name="deliveries",
            columns=(
                Column("at", "time", 12),
                Column("status", "outcome", 16),
                Column("user", "user", 12, grows=1),
                Column("device", "device", 18, priority=1, grows=1),
                Column("service", "service", 8, priority=3),
                Column("latency", "latency", 7, priority=2, right=True),
                Column("attempts", "try", 3, priority=5, right=True),
                Column("reason", "reason", 12, priority=4, grows=4),
            ),
            key=lambda delivery: delivery.id,
            cells=self._cells,
            fetch=self.app.desk.deliveries,
            passes=passes_filter,
            filter_hint="part of a user's name, or an outcome such as gone",
            empty=_empty,
        )

    def compose_body(self) -> ComposeResult:
        """Compose the log."""
        yield self._tail

    def on_mount(self) -> None:
        """Begin with what the server has kept."""
        self.begin_in(self._tail.rows)

    def load(self) -> None:
        """Fetch the newest."""
        self._tail.load()

    def show_events(self, batch: tuple[AnyEvent, ...]) -> None:
        """Add what was delivered."""
        self._tail.take([event.delivery for event in batch if isinstance(event, DeliveryChanged)])

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a delivery in full."""
        if isinstance(message.item, Delivery):
            self.show_delivery(message.item)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action == "send_again" and self._tail.current is None:
            return "No delivery is selected."
        return super().refusal(action)

    def subject(self) -> Subject | None:
        """Return the delivery under the cursor."""
        return Subject.of_delivery(self._tail.current) if self._tail.current else None

    def suggested_user(self) -> str:
        """Return the user of the line under the cursor."""
        return self._tail.current.user if self._tail.current else ""

    def copied(self) -> str:
        """Return the id of the dispatch under the cursor; without one, the server's URL."""
        return plain(self._tail.current.dispatch) if self._tail.current else super().copied()

    def action_send_again(self) -> None:
        """Send the delivery under the cursor again."""
        if (subject := self.subject()) is not None:
            give(self, partial(send_again, self.app.desk, subject))

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


def passes_filter(delivery: Delivery, text: str) -> bool:
    """Return whether a delivery passes a filter, as `Desk.deliveries` has it."""
    if text in set(Outcome):
        return delivery.outcome.value == text
    if text.startswith(OF_SUBSCRIPTION):
        return delivery.subscription == text.removeprefix(OF_SUBSCRIPTION)
    return passes(delivery.user, text)


def _empty(wanted: str) -> Content:
    if wanted:
        return nothing_found("Nothing matches", wanted)
    return Content.assemble(("Nothing was sent yet.\n", "bold"), ("Press t to send a test.", QUIET))
