"""The form of a notification: write it, see it, send it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual.message import Message

from pushdesk.console.figures import moment, plural
from pushdesk.console.keys import bind
from pushdesk.console.screens.compose_fields import NotificationFields
from pushdesk.console.screens.notification_form import NotificationForm
from pushdesk.console.status import BAD, OUTCOMES
from pushdesk.console.text import plain
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchState, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.binding import BindingType

    from pushdesk.model import Delivery, Dispatch, Notification

WAIT_S: Final = 5.0
"""How long the outcome is waited for; after that it is seen among the deliveries."""
NO_USER: Final = "Whom is it for?"


class ComposeScreen(NotificationForm):
    """A notification for a user, or the test push."""

    SENDING: ClassVar[dict[str, str]] = {"send": "Send", "test": "Test push"}
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+s", "send", "Send", "compose.send", "Send the notification", show=True),
        bind("ctrl+t", "test", "Test push", "compose.test", "Send the test push to all the user's devices", show=True),
    ]

    class Sent(Message):
        """The server accepted what was sent."""

        def __init__(self, user: str, outcomes: Mapping[Outcome, int], *, devices: int, is_done: bool = True) -> None:
            super().__init__()
            self.user = user
            self.outcomes = outcomes
            self.devices = devices
            self.is_done = is_done

    class Scheduled(Message):
        """The server keeps it until it is due."""

        def __init__(self, user: str, dispatch: Dispatch) -> None:
            super().__init__()
            self.user = user
            self.dispatch = dispatch

    def __init__(self, user: str = "") -> None:
        # A name that cannot be shown as it is cannot be typed either.
        fields = NotificationFields(user if plain(user) == user else "")
        super().__init__(fields, title="Test send", keys="ctrl+s sends · ctrl+t sends the test push")

    def action_send(self) -> None:
        """Send the notification, if it is complete."""
        if self.begin_sending(self._no_user or self.missing()):
            begin(self, partial(self._send, self.fields.user, self.fields.notification), group="send")

    def action_test(self) -> None:
        """Send the test push."""
        if self.begin_sending(self._no_user):
            begin(self, partial(self._test, self.fields.user), group="send")

    def on_compose_screen_sent(self, message: Sent) -> None:
        """Close, and say what became of it; where there was nobody, leave what was typed: the name may be wrong."""
        user = plain(message.user)
        if message.devices == 0 and message.is_done:
            self.give_back()
            self.answer(f"{user} has no devices: nobody was sent to.", BAD)
            return
        said = ", ".join(
            f"{OUTCOMES[outcome].glyph} {number} {OUTCOMES[outcome].word}"
            for outcome, number in message.outcomes.items()
            if number
        )
        bad = any(number and outcome is not Outcome.ACCEPTED for outcome, number in message.outcomes.items())
        # How many devices there are is known once it was its turn.
        whom = f"{user}, {plural(message.devices, 'device')}" if message.devices else user
        self.app.notify(f"{whom}: {said or 'queued'}", severity="warning" if bad else "information")
        self.end(None)

    def on_compose_screen_scheduled(self, message: Scheduled) -> None:
        """Close, and say for when it is."""
        when = moment(message.dispatch.send_at, self.app.now())
        self.app.notify(f"{plain(message.user)}: scheduled for {when}; it is among the broadcasts until then.")
        self.end(None)

    @property
    def _no_user(self) -> str:
        return "" if self.fields.user else NO_USER

    async def _send(self, user: str, notification: Notification) -> None:
        wait_s = WAIT_S if notification.send_at is None else 0.0
        try:
            dispatch = await self.app.desk.notify(user, notification, wait_s=wait_s)
        except PushdeskError as error:
            self.post_message(self.Refused(error))
            return
        if dispatch.state is DispatchState.SCHEDULED:
            self.post_message(self.Scheduled(user, dispatch))
        else:
            is_done = dispatch.state is DispatchState.DONE
            self.post_message(self.Sent(user, dispatch.counts, devices=_devices(dispatch), is_done=is_done))

    async def _test(self, user: str) -> None:
        try:
            deliveries = await self.app.desk.test(user)
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Sent(user, outcomes_of(deliveries), devices=len(deliveries)))


def _devices(dispatch: Dispatch) -> int:
    return max(sum(dispatch.counts.values()), len(dispatch.deliveries))


def outcomes_of(deliveries: tuple[Delivery, ...]) -> dict[Outcome, int]:
    """Return how many deliveries ended how."""
    counts: dict[Outcome, int] = {}
    for delivery in deliveries:
        counts[delivery.outcome] = counts.get(delivery.outcome, 0) + 1
    return counts
