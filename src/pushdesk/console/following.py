"""Screens about one thing that goes on: what they show is fetched again when something happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.screen import ScreenResultType

from pushdesk.console.refusals import RefusingScreen
from pushdesk.console.workers import begin

if TYPE_CHECKING:
    from textual.timer import Timer

    from pushdesk.console.app import PushdeskApp
    from pushdesk.desk import AnyEvent

RELOAD_S: Final = 1.0
"""What happens is fetched at most this often."""


class FollowingScreen(RefusingScreen[ScreenResultType]):
    """Fetches anew for what concerns it, at most once in `RELOAD_S`; while nobody looks, not before somebody does.

    It has no look of its own. Its subclass hands it what happens through `follow`.
    """

    app: PushdeskApp

    _resting: Timer | None = None
    _is_behind = False

    def concerns(self, event: AnyEvent) -> bool:
        """Return whether an event changes what is shown."""
        raise NotImplementedError

    async def fetch(self) -> None:
        """Fetch what is shown, and post it to itself."""
        raise NotImplementedError

    def follow(self, batch: tuple[AnyEvent, ...]) -> None:
        """Fetch anew if any of this concerns it."""
        # All of them are looked at: what concerns a screen may change it.
        if [event for event in batch if self.concerns(event)]:
            self.fetch_soon()

    def fetch_soon(self) -> None:
        """Fetch anew, once the last time is long enough ago and somebody looks."""
        self._is_behind = True
        self._catch_up()

    def fetch_now(self) -> None:
        """Fetch anew."""
        self._is_behind = False
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(RELOAD_S, self._rested)
        begin(self, self.fetch, group="details", exclusive=True)

    def on_screen_resume(self) -> None:
        """Fetch what happened while nobody looked."""
        self._catch_up()

    def _rested(self) -> None:
        self._resting = None
        self._catch_up()

    def _catch_up(self) -> None:
        if self._is_behind and self._resting is None and self.app.is_looked_at(self):
            self.fetch_now()
