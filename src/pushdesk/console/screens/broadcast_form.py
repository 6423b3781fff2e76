"""Writing a broadcast: what is to be shown and to whom, then what that would be, then a word."""

from __future__ import annotations

import asyncio
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final
from uuid import uuid4

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.broadcast_figures import plan_text
from pushdesk.console.figures import moment, plural
from pushdesk.console.keys import bind
from pushdesk.console.screens.compose_fields import NotificationFields, field, line
from pushdesk.console.screens.form import CONFIRM_REQUIRED, TypedScreen
from pushdesk.console.screens.notification_form import NotificationForm
from pushdesk.console.status import BAD, BUSY
from pushdesk.console.text import plain
from pushdesk.console.widgets.tick import Tick
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.model import Dispatch
from pushdesk.user_file import UserFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pushdesk.model import BroadcastPlan, Notification

WORD: Final = "broadcast"
"""What is typed to confirm one; the same as on the command line."""
LONGEST_PATH: Final = 4096


class BroadcastFields(NotificationFields):
    """What is broadcast, and to whom: all users, or those of a file on this machine."""

    def __init__(self) -> None:
        super().__init__("")

    def compose_recipient(self) -> ComposeResult:
        """Compose the lines for whom it is."""
        yield line("To", field("file", "all users; or a file of names", LONGEST_PATH))
        yield Tick("skip lines that are no name", name="skip")

    @property
    def file(self) -> str:
        """The file of users; empty for all users."""
        return self._text("file").strip()

    @property
    def skips_bad(self) -> bool:
        """Whether lines of it that cannot be users' ids are left out."""
        return bool(self._is_ticked("skip"))


class BroadcastFormScreen(NotificationForm):
    """A notification for all users, or for those of a list. What it would be is shown before anything is sent."""

    SENDING: ClassVar[dict[str, str]] = {"plan": "Plan"}
    UNDER_WAY: ClassVar[str] = "looking what it would be…"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind("ctrl+s", "plan", "Plan", "broadcasts.plan", "Show to how many it would go, before it does", show=True),
    ]

    class Planned(Message):
        """The server said what it would be."""

        def __init__(self, plan: BroadcastPlan, notification: Notification) -> None:
            super().__init__()
            self.plan = plan
            self.notification = notification

    def __init__(self) -> None:
        self._of = BroadcastFields()
        super().__init__(self._of, title="Broadcast", keys="ctrl+s shows what it would be")
        self._listed: UserFile | None = None

    def on_unmount(self) -> None:
        """Forget the list."""
        self._forget()

    def action_plan(self) -> None:
        """Ask what it would be, if it is complete."""
        if self.begin_sending(self.missing()):
            plan = partial(self._plan, self.fields.notification, self._of.file, skips_bad=self._of.skips_bad)
            begin(self, plan, group="send")

    def on_broadcast_form_screen_planned(self, message: Planned) -> None:
        """Show what it would be, and have the word typed."""
        self.give_back()
        self.answer("", BAD)
        if not message.plan.subscriptions and message.notification.send_at is None:
            self.answer("There is no device that it would be sent to.", BAD)
            return

        def answered(dispatch: Dispatch | None) -> None:
            if dispatch is None:
                return
            when = "" if dispatch.send_at is None else f" for {moment(dispatch.send_at, self.app.now())}"
            self.app.notify(f"{plain(dispatch.title)}: {'scheduled' if when else 'accepted'}{when}")
            self.end(None)

        self.app.push_screen(PlanScreen(message.plan, message.notification, self._listed), answered)

    async def _plan(self, notification: Notification, file: str, *, skips_bad: bool) -> None:
        self._forget()
        try:
            if file:
                self._listed = await asyncio.to_thread(read_users, file)
                if not skips_bad:
                    self._listed.bad.check()
            plan = await self.app.desk.plan_broadcast(notification, users_of(self._listed))
        except PushdeskError as error:
            self.post_message(self.Refused(error))
        else:
            self.post_message(self.Planned(plan, notification))

    def _forget(self) -> None:
        if self._listed is not None:
            self._listed.close()
            self._listed = None


class PlanScreen(TypedScreen[Dispatch]):
    """What a broadcast would be; with the word typed, it becomes one."""

    def __init__(self, plan: BroadcastPlan, notification: Notification, listed: UserFile | None) -> None:
        wanted = PushdeskError(
            "What was sent cannot be taken back.", code=CONFIRM_REQUIRED, hint=f'Confirm with the word "{WORD}".'
        )
        super().__init__("Send this broadcast?", "Send", wanted, self._send)
        self._plan = plan
        self._notification = notification
        self._listed = listed
        self._key = uuid4().hex
        """So that a repeat after an answer that was lost sends nothing twice."""

    def compose_fields(self) -> ComposeResult:
        """Compose the plan, before the word."""
        whom = "all users" if self._plan.users is None else plural(self._plan.users - self._plan.unknown, "user")
        about = Content.assemble((plain(self._notification.title), "bold"), f" to {whom}")
        if self._notification.send_at is not None:
            when = moment(self._notification.send_at, self.app.now())
            about = Content.assemble(about, (f" at {when}; who is subscribed then gets it", BUSY))
        with VerticalScroll(id="plan"):
            yield Static(Content.assemble(about, "\n\n", plan_text(self._plan)))
        yield from super().compose_fields()

    async def _send(self, word: str) -> Dispatch:
        if word != WORD:
            raise self._wanted
        return await self.app.desk.broadcast(self._notification, users_of(self._listed), idempotency_key=self._key)


def read_users(name: str) -> UserFile:
    """Return the users of a file.

    Raises:
        PushdeskError: `bad_field` if it cannot be read or is no file; `too_large` for one that names too many.
    """
    try:
        path = Path(name).expanduser()
        # Of a pipe, the other end may never come.
        is_file = stat.S_ISREG(path.stat().st_mode)
    except (OSError, RuntimeError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise PushdeskError(f"{plain(name)} cannot be read: {plain(why)}.", code="bad_field") from None
    if not is_file:
        raise PushdeskError(f"{plain(name)} is not a file.", code="bad_field")
    return UserFile.read(str(path), option="")


def users_of(listed: UserFile | None) -> AsyncIterator[str] | None:
    """Return a list of users from its beginning; None for all users."""
    return None if listed is None else listed.users()
