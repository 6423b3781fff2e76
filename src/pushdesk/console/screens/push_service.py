"""One push service: how it is, what is wrong with it, and what an operator can do about that."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console import service_commands
from pushdesk.console.figures import moment, plural
from pushdesk.console.keys import bind
from pushdesk.console.screens.asking import ask, ask_for_word
from pushdesk.console.screens.form import CONFIRM_REQUIRED
from pushdesk.console.screens.live_dialog import LiveDialog
from pushdesk.console.service_figures import next_change, service_facts
from pushdesk.console.status import QUIET, SERVICES, service_name
from pushdesk.console.text import plain_lines
from pushdesk.console.widgets.facts import Facts
from pushdesk.errors import PushdeskError
from pushdesk.model import LaneState, ServiceHealth

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.console.device_commands import Said
    from pushdesk.desk import AnyEvent, Desk
    from pushdesk.model import Service

LONGEST_ERROR: Final = 4000
"""Characters of an error that are shown."""


class ServiceScreen(LiveDialog):
    """A push service. It follows the state of the server, which tells how each of them is."""

    CHANGES: ClassVar[frozenset[str]] = frozenset({"pause", "resume", "reset", "release", "confirm"})
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("p", "pause", "Pause", "services.pause", "Send nothing there until it is resumed", show=True),
        bind("r", "resume", "Resume", "services.resume", "Send there again", show=True),
        bind("x", "reset", "Reset", "services.reset", "Forget what was wrong, and try again at once", show=True),
        bind("u", "release", "Release", "services.release", "Send again to what its brake holds", show=True),
        bind("c", "confirm", "Confirm", "services.confirm", "Disable what its brake holds: it has ended", show=True),
    ]

    class Loaded(Message):
        """How it is came from the server."""

        def __init__(self, health: ServiceHealth) -> None:
            super().__init__()
            self.health = health

    def __init__(self, service: Service) -> None:
        super().__init__(f"Push service · {SERVICES[service]}", scrolls=True)
        self._service = service
        self._health = ServiceHealth(service)
        self._facts = Facts(indent=14)
        self._error = Static(classes="paragraph")

    def compose_body(self) -> ComposeResult:
        """Compose the facts, and the last error."""
        yield self._facts
        yield self._error

    def on_mount(self) -> None:
        """Begin where the keys scroll, and follow the state of the server."""
        self.query_one(".dialog").focus()
        self.watch(self.app, "stats", self._follow_stats, init=False)

    def concerns(self, event: AnyEvent) -> bool:
        """Return that no event has to be followed: the state of the server tells it all."""
        del event
        return False

    async def fetch(self) -> None:
        """Fetch how it is."""
        try:
            stats = await self.app.desk.stats()
        except PushdeskError as error:
            self.post_message(self.Failed(error))
        else:
            self.post_message(self.Loaded(self._mine(stats.services)))

    def on_service_screen_loaded(self, message: Loaded) -> None:
        """Show how it is."""
        self._health = message.health
        self._show()
        self.come()

    def tick(self) -> None:
        """Show how long it still takes."""
        self._facts.show(service_facts(self._health, self.app.now()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out what is asked of users and devices."""
        return False if action == "why" else super().check_action(action, parameters)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        return super().refusal(action) or self._needless(action)

    def copied(self) -> str:
        """Return what is shown, as text."""
        return "\n".join(part for part in (self._title, "", self._facts.text, str(self._error.content)) if part)

    def action_pause(self) -> None:
        """Ask, and pause it."""
        text = Content.assemble(
            "Nothing is sent to ",
            (service_name(self._service), "bold"),
            " until it is resumed, also after a restart. What is under way ends; what is for it waits, and expires by "
            "its TTL.",
        )
        command = partial(service_commands.pause, self.app.desk, self._service)
        ask(self, title="Pause this push service?", text=text, do="Pause", command=command)

    def action_resume(self) -> None:
        """Ask, and resume it."""
        waiting = plural(self._health.waiting, "delivery waits", "deliveries wait")
        text = Content.assemble(
            "It is sent to ", (service_name(self._service), "bold"), f" again. {waiting} for it at this moment."
        )
        command = partial(service_commands.resume, self.app.desk, self._service)
        ask(self, title="Resume this push service?", text=text, do="Resume", command=command)

    def action_reset(self) -> None:
        """Ask, and forget what was wrong."""
        text = Content.assemble(
            "What was wrong with ",
            (service_name(self._service), "bold"),
            " is forgotten: throttling, faults, refused keys. It is tried again at once; a pause stays.",
        )
        command = partial(service_commands.reset, self.app.desk, self._service)
        ask(self, title="Reset this push service?", text=text, do="Reset", command=command)

    def action_release(self) -> None:
        """Have the word typed, and send again to what its brake holds."""
        costs = "Releasing makes {} active again. What was not sent to them meanwhile is not sent."
        self._decide("release", "Release what is held?", costs, service_commands.release)

    def action_confirm(self) -> None:
        """Have the word typed, and disable what its brake holds."""
        costs = (
            "Confirming that they have ended disables {}, until their browsers subscribe again or they are restored."
        )
        self._decide("confirm", "Confirm that they have ended?", costs, service_commands.confirm)

    def _decide(
        self, word: str, title: str, costs: str, command: Callable[[Desk, Service, str], Coroutine[Any, Any, Said]]
    ) -> None:
        held = self._health.brake.held if self._health.brake is not None else 0
        whose = f"{plural(held, 'device')} of {service_name(self._service)}"
        wanted = PushdeskError(costs.format(whose), code=CONFIRM_REQUIRED, hint=f'Confirm with the word "{word}".')
        give = partial(command, self.app.desk, self._service)
        ask_for_word(self, title=title, do=word.capitalize(), wanted=wanted, command=give)

    def _needless(self, action: str) -> str | None:
        """Return why a command would do nothing."""
        health = self._health
        is_paused = health.state is LaneState.PAUSED
        is_well = health.state is LaneState.OPEN and not health.stopped and health.retry_at is None
        needless = {
            "pause": is_paused and "It is paused already.",
            "resume": not is_paused and "It is not paused.",
            "reset": is_well and "There is nothing wrong with it that could be forgotten.",
            "release": health.brake is None and "Its brake is off: nothing is held.",
            "confirm": health.brake is None and "Its brake is off: nothing is held.",
        }
        return needless.get(action) or None

    def _follow_stats(self) -> None:
        if self.app.stats is None or self.has_class("-unknown"):
            return
        health = self._mine(self.app.stats.services)
        if health != self._health:
            self._health = health
            self._show()

    def _mine(self, services: Iterable[ServiceHealth]) -> ServiceHealth:
        return next((each for each in services if each.service is self._service), ServiceHealth(self._service))

    def _show(self) -> None:
        now = self.app.now()
        self.tick()
        self._error.display = bool(self._health.last_error)
        self._error.update(
            Content.assemble(
                (f"Last error, {moment(self._health.last_error_at, now)}\n", QUIET),
                plain_lines(self._health.last_error, longest=LONGEST_ERROR),
            )
        )
        self.count_down(next_change(self._health, now))
        self.refresh_refusals()
