"""What the forms of a notification have in common: its fields, and beside them what a device will show."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, Static
from textual.worker import WorkerState

from pushdesk.console.device_commands import PERHAPS_DONE, said_of_failing
from pushdesk.console.previews import ignored_by, preview, size_of
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.pane import cannot_change
from pushdesk.console.status import BAD, BUSY
from pushdesk.console.text import plain
from pushdesk.errors import PushdeskError
from pushdesk.field_reasons import reason
from pushdesk.message import build_message
from pushdesk.model import Notification

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.worker import Worker

    from pushdesk.console.screens.compose_fields import NotificationFields

DISPATCH: Final = "0" * 26
"""Stands for the id that the dispatch is going to have: all are as long as this one."""


class Beside(VerticalScroll):
    """What is shown beside the fields; it is gone to only where it is longer than there is room for."""

    def allow_focus(self) -> bool:
        """Return whether there is anything to scroll."""
        return super().allow_focus() and self.max_scroll_y > 0


class NotificationForm(Dialog[None]):
    """A notification that is written and seen.

    A subclass has actions that send it, of which `SENDING` tells, and says in `missing` what keeps it from being sent.

    Args:
        fields: What is filled in.
        title: What the form is for.
        keys: What its keys do.
    """

    SENDING: ClassVar[dict[str, str]]
    """Its actions that send something, with what their buttons say; the first is what the form is for."""
    UNDER_WAY: ClassVar[str] = "sending…"

    class Refused(Message):
        """The server refused what was sent."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, fields: NotificationFields, *, title: str, keys: str) -> None:
        super().__init__()
        self.fields = fields
        self._title = title
        self._keys = keys
        self._busy = False

    def compose(self) -> ComposeResult:
        """Compose the fields, and beside them what a device will show."""
        with Vertical(classes="dialog -form") as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = Content(f"{self._keys} · esc closes")
            with Horizontal(id="form"):
                yield self.fields
                with Beside(id="shown"):
                    yield Static(id="preview")
                    yield Static(id="size")
                    yield Static(id="ignored")
            yield Static(id="answer")
            with Horizontal(classes="buttons"):
                for place, (action, label) in enumerate(self.SENDING.items()):
                    yield Button(label, id=action, variant="default" if place else "primary", compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Begin with the first field: what is in it is selected, so that typing takes its place."""
        self.query(Input).first().focus()
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
        action = event.button.id or ""
        await self.run_action(action if action in self.SENDING else "close")

    def action_close(self) -> None:
        """Close the form. What is under way is no longer waited for, which is not to undo it."""
        if self._busy and not self.is_ending:
            self.app.notify(f"This is no longer waited for. {PERHAPS_DONE}", severity="warning", title=self._title)
        super().action_close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dim sending while something is being sent."""
        del parameters
        return None if self._busy and action in self.SENDING else True

    def on_notification_form_refused(self, message: Refused) -> None:
        """Say why, and leave what was typed."""
        self.give_back()
        self.answer(said_of_failing(message.error), BAD)
        # It is said in the form already, and a toast would cover the buttons.
        self.app.report(message.error, toast=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Give the form back when sending failed in a way that nobody foresaw."""
        if event.state is WorkerState.ERROR:
            self.give_back()
            self.answer("It could not be sent.", BAD)

    def begin_sending(self, missing: str) -> bool:
        """Return whether something can be sent now; else it is said why not.

        Args:
            missing: What keeps it from being sent, besides what keeps anything from being changed.
        """
        if refusal := cannot_change(self.app) or missing:
            self.answer(refusal, BAD)
            return False
        self._set_busy(True)
        self.answer(self.UNDER_WAY, BUSY)
        return True

    def give_back(self) -> None:
        """Let what was typed be changed and sent again."""
        self._set_busy(False)

    def answer(self, text: str, style: str) -> None:
        """Say something below the fields."""
        self.query_one("#answer", Static).update(Content.styled(plain(text), style))

    def missing(self) -> str:
        """Return what keeps the notification from being sent; empty if nothing does."""
        notification = self.fields.notification
        if not notification.title:
            return "It needs a title."
        if problem := self.fields.problem:
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
            self.answer("", BAD)
        self._preview()

    def _preview(self) -> None:
        notification = self.fields.notification
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

    def _set_busy(self, busy: bool) -> None:  # noqa: FBT001 - a setter's one value
        self._busy = busy
        self.refresh_bindings()
        for name in self.SENDING:
            self.query_one(f"#{name}", Button).disabled = busy
