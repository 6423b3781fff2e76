"""The form of a notification: write it, see it, send it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static
from textual.worker import WorkerState

from pushdesk.console.device_commands import PERHAPS_DONE, said_of_failing
from pushdesk.console.figures import plural
from pushdesk.console.keys import bind
from pushdesk.console.previews import ignored_by, preview, size_of
from pushdesk.console.screens.compose_fields import NotificationFields
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.pane import cannot_change
from pushdesk.console.status import BAD, BUSY, OUTCOMES
from pushdesk.console.text import plain
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.field_reasons import reason
from pushdesk.message import build_message
from pushdesk.model import Notification, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.worker import Worker

    from pushdesk.model import Delivery, Dispatch

WAIT_S: Final = 5.0
"""How long the outcome is waited for; after that it is seen among the deliveries."""
NO_USER: Final = "Whom is it for?"
DISPATCH: Final = "0" * 26
"""Stands for the id that the dispatch is going to have: all are as long as this one."""


class Beside(VerticalScroll):
    """What is shown beside the fields; it is gone to only where it is longer than there is room for."""

    def allow_focus(self) -> bool:
        """Return whether there is anything to scroll."""
        return super().allow_focus() and self.max_scroll_y > 0


class ComposeScreen(Dialog[None]):
    """A notification for a user, or the test push."""

    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+s", "send", "Send", "compose.send", "Send the notification", show=True),
        bind("ctrl+t", "test", "Test push", "compose.test", "Send the test push to all the user's devices", show=True),
    ]

    class Sent(Message):
        """The server accepted what was sent."""

        def __init__(self, user: str, outcomes: Mapping[Outcome, int], *, devices: int) -> None:
            super().__init__()
            self.user = user
            self.outcomes = outcomes
            self.devices = devices

    class Refused(Message):
        """The server refused what was sent."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, user: str = "") -> None:
        super().__init__()
        # A name that cannot be shown as it is cannot be typed either.
        self._fields = NotificationFields(user if plain(user) == user else "")
        self._busy = False

    def compose(self) -> ComposeResult:
        """Compose the fields, and beside them what a device will show."""
        with Vertical(classes="dialog -form") as frame:
            frame.border_title = Content("Test send")
            frame.border_subtitle = Content("ctrl+s sends · ctrl+t sends the test push · esc closes")
            with Horizontal(id="form"):
                yield self._fields
                with Beside(id="shown"):
                    yield Static(id="preview")
                    yield Static(id="size")
                    yield Static(id="ignored")
            yield Static(id="answer")
            with Horizontal(classes="buttons"):
                yield Button("Send", id="send", variant="primary", compact=True)
                yield Button("Test push", id="test", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Begin with whom it is for: a name that was suggested is selected, so that typing takes its place."""
        self.query_one("#user", Input).focus()
        self._preview()

    def on_input_changed(self) -> None:
        """Show what was typed."""
        self._changed()

    def on_text_area_changed(self) -> None:
        """Show what was typed."""
        self._changed()

    def on_select_changed(self) -> None:
        """Show what was chosen."""
        self._changed()

    def on_checkbox_changed(self) -> None:
        """Show what was ticked."""
        self._changed()

    def on_input_submitted(self) -> None:
        """Go on to the next field: `enter` in the middle of a form is not yet a decision to send."""
        self.focus_next()

    async def on_button_pressed(self, event: Button.Pressed) -> None:
        """Do what the button says."""
        await self.run_action({"send": "send", "test": "test"}.get(event.button.id or "", "close"))

    def action_send(self) -> None:
        """Send the notification, if it is complete."""
        notification = self._fields.notification
        if missing := cannot_change(self.app) or self._missing(notification):
            self._answer(missing, BAD)
            return
        self._begin()
        begin(self, partial(self._send, self._fields.user, notification), group="send")

    def action_test(self) -> None:
        """Send the test push."""
        if missing := cannot_change(self.app) or ("" if self._fields.user else NO_USER):
            self._answer(missing, BAD)
            return
        self._begin()
        begin(self, partial(self._test, self._fields.user), group="send")

    def action_close(self) -> None:
        """Close the form. What is under way is no longer waited for, which is not to undo it."""
        if self._busy and not self.is_ending:
            self.app.notify(f"This is no longer waited for. {PERHAPS_DONE}", severity="warning", title="Test send")
        super().action_close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dim sending while something is being sent."""
        del parameters
        return None if self._busy and action in {"send", "test"} else True

    def on_compose_screen_sent(self, message: Sent) -> None:
        """Close, and say what became of it."""
        user, devices = plain(message.user), plural(message.devices, "device")
        if message.devices == 0:
            self.app.notify(f"{user} has no devices: nobody was sent to.", severity="warning")
        else:
            said = ", ".join(
                f"{OUTCOMES[outcome].glyph} {number} {OUTCOMES[outcome].word}"
                for outcome, number in message.outcomes.items()
                if number
            )
            bad = any(number and outcome is not Outcome.ACCEPTED for outcome, number in message.outcomes.items())
            self.app.notify(f"{user}, {devices}: {said or 'queued'}", severity="warning" if bad else "information")
        self.end(None)

    def on_compose_screen_refused(self, message: Refused) -> None:
        """Say why, and leave what was typed."""
        self._end()
        self._answer(said_of_failing(message.error), BAD)
        # It is said in the form already, and a toast would cover the buttons.
        self.app.report(message.error, toast=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Give the form back when sending failed in a way that nobody foresaw."""
        if event.state is WorkerState.ERROR:
            self._end()
            self._answer("It could not be sent.", BAD)

    def _missing(self, notification: Notification) -> str:
        if not self._fields.user:
            return NO_USER
        if not notification.title:
            return "It needs a title."
        if problem := self._fields.problem:
            return problem
        try:
            msgspec.convert(msgspec.to_builtins(notification), Notification)
            self._message(notification)
        except msgspec.ValidationError as error:
            _, _, path = str(error).partition(" - at `$.")
            return f"{path.rstrip('`')}: {reason(error)}."
        except PushdeskError as error:
            return str(error)
        return ""

    def _message(self, notification: Notification) -> bytes:
        return build_message(notification, dispatch=DISPATCH, access_url=plain(self.app.url))

    def _changed(self) -> None:
        # What was said of the form was said of another one.
        if not self._busy:
            self._answer("", BAD)
        self._preview()

    def _preview(self) -> None:
        notification = self._fields.notification
        try:
            message = self._message(notification)
        except PushdeskError as error:
            leads_to = notification.url or ""
            size = Content.styled(f"✗ {plain(str(error))}", BAD)
        else:
            leads_to = msgspec.json.decode(message)["notification"]["navigate"]
            size = size_of(len(message))
        self.query_one("#size", Static).update(size)
        self.query_one("#preview", Static).update(preview(notification, leads_to=leads_to, access_url=self.app.url))
        self.query_one("#ignored", Static).update(ignored_by(notification))

    def _answer(self, text: str, style: str) -> None:
        self.query_one("#answer", Static).update(Content.styled(plain(text), style))

    def _begin(self) -> None:
        self._busy = True
        self.refresh_bindings()
        for name in ("#send", "#test"):
            self.query_one(name, Button).disabled = True
        self._answer("sending…", BUSY)

    def _end(self) -> None:
        self._busy = False
        self.refresh_bindings()
        for name in ("#send", "#test"):
            self.query_one(name, Button).disabled = False

    async def _send(self, user: str, notification: Notification) -> None:
        try:
            dispatch = await self.app.desk.notify(user, notification, wait_s=WAIT_S)
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Sent(user, dispatch.counts, devices=_devices(dispatch)))

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
