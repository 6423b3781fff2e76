"""One broadcast: how far it is with each push service, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message

from pushdesk.console.broadcast_commands import ask_to_abort, ask_to_pause, ask_to_resume, needless
from pushdesk.console.broadcast_figures import WIDE_BAR, broadcast_facts, progress
from pushdesk.console.figures import count
from pushdesk.console.keys import bind
from pushdesk.console.lookups import broadcast_found
from pushdesk.console.screens.live_dialog import LiveDialog
from pushdesk.console.service_figures import service_state
from pushdesk.console.status import QUIET, SERVICES
from pushdesk.console.widgets.columns import Column
from pushdesk.console.widgets.facts import Facts
from pushdesk.console.widgets.rows import HEADER, Rows
from pushdesk.desk import BroadcastChanged
from pushdesk.errors import PushdeskError
from pushdesk.model import BroadcastPart, ServiceHealth

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Broadcast

STATE: Final = 15
"""Cells for how a push service is."""


class BroadcastScreen(LiveDialog):
    """A broadcast. What is told of it while it is sent is shown as it comes."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"pause", "resume", "abort"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "broadcasts.pause", "Send nothing more of it until it is resumed", show=True),
        bind("r", "resume", "Resume", "broadcasts.resume", "Go on with a broadcast that is paused", show=True),
        bind("x", "abort", "Abort", "broadcasts.abort", "Send nothing more of a broadcast, ever", show=True),
    ]

    class Loaded(Message):
        """The broadcast came from the server."""

        def __init__(self, broadcast: Broadcast) -> None:
            super().__init__()
            self.broadcast = broadcast

    def __init__(self, broadcast: Broadcast) -> None:
        super().__init__("Broadcast", scrolls=True)
        self._broadcast = broadcast
        self._facts = Facts(indent=10)
        self._parts: Rows[BroadcastPart] = Rows(
            (
                Column("service", "service", 8),
                Column("progress", "progress", WIDE_BAR // 2 + 6),
                Column("done", "sent to", 10, right=True),
                Column("planned", "devices", 10, right=True),
                Column("state", "push service", STATE, priority=1, grows=1),
            ),
            key=lambda part: part.service.value,
            cells=self._cells,
            name="parts",
        )

    def compose_body(self) -> ComposeResult:
        """Compose the facts, and a line for each push service."""
        yield self._facts
        yield self._parts

    def on_mount(self) -> None:
        """Follow how the push services are, too."""
        self.watch(self.app, "stats", self._parts.redraw, init=False)

    def concerns(self, event: AnyEvent) -> bool:
        """Show what is told of this broadcast; nothing has to be fetched for it."""
        if isinstance(event, BroadcastChanged) and event.broadcast.id == self._broadcast.id:
            self._show(event.broadcast)
        return False

    async def fetch(self) -> None:
        """Fetch the broadcast."""
        try:
            self.post_message(self.Loaded(await broadcast_found(self.app.desk, self._broadcast)))
        except PushdeskError as error:
            self.post_message(self.Failed(error))

    def on_broadcast_screen_loaded(self, message: Loaded) -> None:
        """Show the broadcast."""
        self._show(message.broadcast)
        if self.come():
            self._parts.focus()

    def on_rows_chosen(self, message: Rows.Chosen) -> None:
        """Show a push service, which may keep it waiting."""
        from pushdesk.console.screens.push_service import ServiceScreen  # noqa: PLC0415 - not needed before it is asked for

        if isinstance(message.item, BroadcastPart):
            self.app.push_screen(ServiceScreen(message.item.service))

    def tick(self) -> None:
        """Show the times anew."""
        self._facts.show(broadcast_facts(self._broadcast, self.app.now()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out what is asked of users and devices."""
        return False if action == "why" else super().check_action(action, parameters)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        return super().refusal(action) or needless(action, self._broadcast)

    def copied(self) -> str:
        """Return the facts, and a line for each push service."""
        lines = (" · ".join(cell.plain for cell in self._cells(part) if cell) for part in self._parts.items)
        return "\n".join((self._facts.text, "", *lines))

    def action_pause(self) -> None:
        """Ask, and pause it."""
        ask_to_pause(self, self._broadcast)

    def action_resume(self) -> None:
        """Ask, and go on with it."""
        ask_to_resume(self, self._broadcast)

    def action_abort(self) -> None:
        """Ask, and end it."""
        ask_to_abort(self, self._broadcast)

    def _show(self, broadcast: Broadcast) -> None:
        self._broadcast = broadcast
        self.tick()
        waits = "It is counted once it is due." if broadcast.send_at else "There was nobody to send it to."
        self._parts.say_when_empty(Content.styled(waits, QUIET))
        self._parts.styles.height = HEADER + max(len(broadcast.parts), 1)
        self._parts.show(broadcast.parts)
        self.refresh_refusals()

    def _cells(self, part: BroadcastPart) -> list[Content]:
        services = self.app.stats.services if self.app.stats is not None else ()
        health = next((each for each in services if each.service is part.service), ServiceHealth(part.service))
        room = self._parts.width_of("state")
        return [
            Content(SERVICES[part.service]),
            progress(part.done, part.planned, cells=WIDE_BAR // 2),
            Content(count(part.done)),
            Content(count(part.planned)),
            service_state(health, self.app.now(), room=room, why=False) if room else Content(""),
        ]
