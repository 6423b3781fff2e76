"""What the dialogs about one thing have in common: they follow what happens to it, and have commands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from pushdesk.console.following import FollowingScreen
from pushdesk.console.keys import bind
from pushdesk.console.screens.dialog import Dialog
from pushdesk.console.screens.pane import cannot_change, not_connected
from pushdesk.console.status import BAD, QUIET, STRONG
from pushdesk.console.subject import NO_SUBJECT, SHOWN_WHY, Subject
from pushdesk.console.text import plain
from pushdesk.console.widgets.bars import SEPARATED
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import UnreachableError

if TYPE_CHECKING:
    from datetime import datetime

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from pushdesk.console.device_commands import CommandDone
    from pushdesk.errors import PushdeskError

COUNTING_S: Final = 1.0
"""How often a countdown is shown anew."""
FAR_S: Final = 3600.0
"""A countdown that is longer than this is shown anew every `FAR_COUNTING_S` only."""
FAR_COUNTING_S: Final = 60.0


class LiveDialog(Dialog[None], FollowingScreen[None]):
    """A dialog about one thing.

    A subclass composes what is between the frame and shows what `fetch` brought, beginning with `come`. What
    `fetch` could not bring it posts as `Failed`.

    Args:
        title: What it is about; fit to be shown.
        scrolls: Whether it is as high as what is in it, and scrolls as a whole; else it is as high as may be.
    """

    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Actions that change something on the server."""
    BINDINGS: ClassVar[list[BindingType]] = [
        SHOWN_WHY,
        bind("y", "copy", "Copy", "pane.copy", "Copy what is shown", show=True),
        bind("R", "refresh", "Refresh", "pane.refresh", "Fetch it anew"),
        bind("question_mark", "app.help", "Help", "help.open", "What every key does", show=True, display="?"),
    ]

    class Failed(Message):
        """What is shown did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, title: str, *, scrolls: bool = False) -> None:
        super().__init__()
        self._title = title
        self._scrolls = scrolls
        self._trouble = Static(Content.styled("loading…", QUIET), id="trouble")
        self._counting: Timer | None = None
        self._counts_to: datetime | None = None

    def compose(self) -> ComposeResult:
        """Compose the frame."""
        frame = VerticalScroll(classes="dialog -high") if self._scrolls else Vertical(classes="dialog -long")
        frame.border_title = Content(self._title)
        with frame:
            yield self._trouble
            yield from self.compose_body()

    def compose_body(self) -> ComposeResult:
        """Compose what is shown once it is known."""
        raise NotImplementedError

    def copied(self) -> str:
        """Return what is shown, as text."""
        raise NotImplementedError

    def subject(self) -> Subject | None:
        """Return what `w` asks about."""
        return None

    def tick(self) -> None:
        """Show the countdown anew."""

    def on_mount(self) -> None:
        """Fetch, and keep up with what happens."""
        self.add_class("-unknown")
        # The frame of the one below would stick out.
        self.set_class(isinstance(self.app.screen_stack[-2], Dialog), "-on-dialog")
        self.watch(self.app, "events", self.follow, init=False)
        self.watch(self.app, "connection", self._watch_connection)
        self.watch(self.app, "scopes", self.refresh_refusals, init=False)
        self.watch(self.app, "loaded", self.fetch_soon, init=False)
        self.watch(self.app, "minute", self._minute_over, init=False)
        self.fetch_now()

    def on_screen_resume(self) -> None:
        """Go on with the countdown, which may have come to its end meanwhile."""
        if self._counts_to is not None:
            self._count()

    def on_screen_suspend(self) -> None:
        """Let the countdown rest: nobody looks at it."""
        self._stop_counting()

    def on_descendant_focus(self) -> None:
        """Show what can be done there."""
        self.refresh_refusals()

    def on_rows_moved(self) -> None:
        """Show what can be done with the row under the cursor."""
        self.refresh_refusals()

    def on_command_done(self, message: CommandDone) -> None:
        """Show what has become of it: whoever ordered something wants to see it at once."""
        message.stop()
        self.fetch_now()

    def on_live_dialog_failed(self, message: Failed) -> None:
        """Say why there is nothing; what was known stays, unless it is no more."""
        error = message.error
        if not self.has_class("-unknown") and error.code != "not_found":
            self.app.report(error)
            return
        away = isinstance(error, UnreachableError)
        self.add_class("-unknown")
        self._trouble.update(
            Content.assemble(
                (f"✗ {plain(error.kind.title)}\n\n", f"bold {BAD}"),
                plain(str(error), longest=2000),
                ("\n\nIt is fetched once the server answers." if away else "\n\nR tries again", QUIET),
            )
        )
        self.count_down(None)
        self.refresh_refusals()

    def come(self) -> bool:
        """Show what is known in place of what was said of its absence; returns whether it is for the first time."""
        was_unknown = self.has_class("-unknown")
        self.remove_class("-unknown")
        self.refresh_refusals()
        return was_unknown

    def count_down(self, until: datetime | None) -> None:
        """Show the countdown anew until a time, while it is on top; then what has become of it is fetched."""
        self._stop_counting()
        left = (until - self.app.now()).total_seconds() if until is not None else 0.0
        self._counts_to = until if left > 0 else None
        if self._counts_to is not None and self.app.screen is self:
            self._counting = self.set_timer(FAR_COUNTING_S if left > FAR_S else COUNTING_S, self._count)

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action in self.CHANGES:
            return cannot_change(self.app)
        if action == "why" and self.subject() is None:
            return NO_SUBJECT
        if action == "copy" and self.has_class("-unknown"):
            return "There is nothing to copy yet."
        return not_connected(self.app) if action in {"why", "refresh"} else None

    def action_why(self) -> None:
        """Ask why what is shown did not get what was sent."""
        from pushdesk.console.screens.verdict import VerdictScreen  # noqa: PLC0415 - it is one of these itself

        if (subject := self.subject()) is not None:
            self.app.push_screen(VerdictScreen(subject))

    def action_copy(self) -> None:
        """Copy through the terminal (OSC 52)."""
        self.app.copy_to_clipboard(self.copied())
        self.app.notify("Copied what is shown")

    def action_refresh(self) -> None:
        """Fetch it anew."""
        self.fetch_now()

    def _count(self) -> None:
        if self._counts_to is not None and self._counts_to <= self.app.now():
            self.fetch_soon()
        self.count_down(self._counts_to)
        self.tick()

    def _minute_over(self) -> None:
        """Let what is told of times grow older."""
        self.tick()
        for rows in self.query(Rows):
            rows.redraw()

    def _stop_counting(self) -> None:
        if self._counting is not None:
            self._counting.stop()
            self._counting = None

    def _watch_connection(self) -> None:
        said = SEPARATED.get(self.app.connection)
        self.set_class(said is not None, "-lost")
        self.query_one(".dialog").border_subtitle = Content("esc closes") if said is None else said
        self.refresh_refusals()


def labelled(label: str, said: Content) -> Content:
    """Return what is said of a row that is under the cursor, below what it is."""
    return Content.assemble((label, f"bold {STRONG}"), "\n", said)
