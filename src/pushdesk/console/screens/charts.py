"""What screens with charts have in common: the history of the server, fetched when there can be something new."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from textual.message import Message

from pushdesk.console.feed import Connection
from pushdesk.console.keys import bind
from pushdesk.console.past import SPANS, check, is_told, next_span, then_idle
from pushdesk.console.screens.pane import PaneScreen
from pushdesk.console.subject import SHOWN_WHY
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError
from pushdesk.local_time import in_zone
from pushdesk.model import Span

if TYPE_CHECKING:
    from datetime import datetime

    from textual.binding import BindingType
    from textual.timer import Timer

    from pushdesk.model import History

VIEW: Final = "charts"
"""Under which it is remembered how long the charts look back: all of them as long."""
NO_HISTORY: Final = "This server keeps no history."
TOO_OLD: Final = f"{NO_HISTORY} It is older than this console."
NOT_FETCHED: Final = "The history could not be fetched."
RETRY_S: Final = 5.0
"""After how long a history that could not be fetched is asked for again."""


class ChartsScreen(PaneScreen):
    """A screen with charts of the past.

    A subclass overrides `show_history`. A history is fetched when the screen is shown, and again for each of its steps
    as long as the state of the server changes. Nothing is asked of a server that does nothing: its charts go on.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        bind(
            "h",
            "span",
            "History",
            "charts.span",
            "Charts of the last 5 minutes, the last hour or the last day",
            show=True,
        ),
        SHOWN_WHY,
    ]

    class HistoryLoaded(Message):
        """A history came from the server."""

        def __init__(self, history: History) -> None:
            super().__init__()
            self.history = history

    class HistoryFailed(Message):
        """A history did not come."""

        def __init__(self, error: PushdeskError) -> None:
            super().__init__()
            self.error = error

    def __init__(self) -> None:
        super().__init__()
        self.span = self._remembered_span()
        self.history: History | None = None
        self._stepping: Timer | None = None
        self._step_s = 0.0
        self._loaded_at: datetime | None = None
        self._idle_steps = 0
        """How many steps are shown that were not asked for."""
        self._is_asking = False
        self._is_changed = False
        """Whether the state of the server has changed since the history was asked for."""
        self._was_changed = False
        """Whether it had changed in the step before: what happened then may be in a step that was not over."""
        self._is_without_history = False
        self._failed = ""
        """What was last told of why there is none."""

    @property
    def past(self) -> History | None:
        """The history, once a step of it is over: before that, what there was since the start is all of it."""
        return self.history if self.history is not None and is_told(self.history) else None

    def over_time(self, title: str) -> str:
        """Return the title of a chart, with how long it looks back and, where that is not about now, from when."""
        history = self.history
        if history is None:
            return title
        title = f"{title} · {SPANS[history.span]}"
        if history.span is Span.MINUTES:
            return title
        if self.has_class("-narrow"):
            # The figure beside it says more.
            return title
        if self.past is None:
            return f"{title}, not yet told"
        return f"{title} to {in_zone(history.end, self.app.now().tzinfo):%H:%M}"

    def show_history(self, history: History) -> None:
        """Show the charts anew; called only while this screen is shown."""

    def say_no_history(self, text: str) -> None:
        """Say in place of the charts why there are none."""

    def on_mount(self) -> None:
        """Watch what changes the charts."""
        self.watch(self.app, "stats", self._watch_change, init=False)
        self.watch(self.app, "connection", self._watch_reconnection, init=False)

    def on_screen_resume(self) -> None:
        """Fetch the history, unless it was only a dialog that was over it."""
        remembered = self._remembered_span()
        if remembered is not self.span or (self._stepping is None and not self._is_asking):
            self.span = remembered
            self.look_back()

    def load(self) -> None:
        """Fetch what this screen shows, the history too."""
        super().load()
        self.look_back()

    def look_back(self) -> None:
        """Fetch the history."""
        if self.app.connection is not Connection.LIVE or not self.is_shown:
            return
        self._is_asking = True
        self._is_changed, self._was_changed = False, self._is_changed
        begin(self, partial(self._fetch_history, self.span), group="history", exclusive=True)

    async def _fetch_history(self, span: Span) -> None:
        try:
            history = await self.app.desk.history(span)
            check(history)
        except PushdeskError as error:
            self.post_message(self.HistoryFailed(error))
        else:
            self.post_message(self.HistoryLoaded(history))

    def on_charts_screen_history_loaded(self, message: HistoryLoaded) -> None:
        """Show the history, and go on with it."""
        history = message.history
        if history.span is not self.span:
            return
        self._step_every(history.step_s)
        self._is_asking, self._is_without_history, self._failed = False, False, ""
        self._loaded_at, self._idle_steps = self.app.now(), 0
        self.history = history
        self.show_history(history)
        self.refresh_refusals()

    def on_charts_screen_history_failed(self, message: HistoryFailed) -> None:
        """Say that there is none; what was shown stays."""
        error = message.error
        self._is_asking = False
        self._is_without_history = error.code == "not_found"
        if self._is_without_history:
            self._stop_stepping()
            self.history = None
            self.say_no_history(NO_HISTORY)
        else:
            self._step_every(RETRY_S)
            self._is_changed = True
            if self.history is None:
                self.say_no_history(NOT_FETCHED)
            if self._failed != error.detail:
                self.app.report(error)
            self._failed = error.detail
        self.refresh_refusals()

    def on_chart_picked(self) -> None:
        """Look back for another time, when a chart was clicked."""
        self.action_span()

    def refusal(self, action: str) -> str | None:
        """Return why an action cannot be done now."""
        if action != "span":
            return super().refusal(action)
        # It asks the server, like a refresh.
        return super().refusal("refresh") or (TOO_OLD if self._is_without_history else None)

    def action_span(self) -> None:
        """Look back for another time."""
        self.span = next_span(self.span)
        view = self.app.view(VIEW)
        self.app.remember_view(VIEW, msgspec.structs.replace(view, span=self.span.value))
        self.look_back()

    def _watch_change(self) -> None:
        self._is_changed = True

    def _watch_reconnection(self) -> None:
        if self.app.connection is Connection.LIVE and self.app.loaded:
            self.look_back()

    def _step_over(self) -> None:
        if self.app.connection is not Connection.LIVE or not self.is_shown:
            # Whoever looks again, or connects again, fetches.
            self._stop_stepping()
        elif self._is_changed or self._was_changed or self.history is None:
            self.look_back()
        else:
            self._go_on(self.history)

    def _go_on(self, history: History) -> None:
        if self._loaded_at is None or self.app.stats is None:
            return
        due = round((self.app.now() - self._loaded_at).total_seconds() / history.step_s) - self._idle_steps
        if due <= 0:
            return
        for _ in range(min(due, history.steps)):
            history = then_idle(history, self.app.stats.queue)
        self._idle_steps += due
        self.history = history
        self.show_history(history)

    def _remembered_span(self) -> Span:
        remembered = self.app.view(VIEW).span
        return Span(remembered) if remembered in set(Span) else Span.MINUTES

    def _step_every(self, seconds: float) -> None:
        if self._stepping is None or self._step_s != seconds:
            self._stop_stepping()
            self._step_s = seconds
            self._stepping = self.set_interval(seconds, self._step_over)

    def _stop_stepping(self) -> None:
        if self._stepping is not None:
            self._stepping.stop()
            self._stepping = None
