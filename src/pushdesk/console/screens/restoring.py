"""Sending again to devices that were disabled, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from pushdesk.console.device_commands import CommandDone
from pushdesk.console.figures import plural
from pushdesk.console.happenings import device_of
from pushdesk.console.screens.form import SUBMIT, FormScreen
from pushdesk.console.status import BAD, GOOD, QUIET, SUBSCRIPTIONS, Look
from pushdesk.console.text import plain
from pushdesk.model import Restoration, RestoreResult, SubscriptionState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from textual.app import ComposeResult

    from pushdesk.console.refusals import RefusingScreen
    from pushdesk.model import Subscription

MOST: Final = 500
"""Devices that are restored at once."""
CANNOT: Final = {
    SubscriptionState.ACTIVE: "This device is sent to: there is nothing to restore.",
    SubscriptionState.HELD: "This device is held by its push service's brake: ! leads there.",
}
"""Why a device in this state is not restored."""
RESULTS: Final = {
    RestoreResult.RESTORED: Look("✓", "restored", GOOD),
    RestoreResult.ALREADY_ACTIVE: Look("✓", "was active", GOOD),
    RestoreResult.NOT_FOUND: Look("✗", "not there", BAD),
    RestoreResult.HELD: Look("!", "held", BAD),
    RestoreResult.KEY_ENDED: Look("✗", "key has ended", BAD),
    RestoreResult.TOO_MANY_DEVICES: Look("✗", "too many devices", BAD),
}


def disabled(devices: Iterable[Subscription]) -> list[Subscription]:
    """Return those of some devices that can perhaps be restored."""
    return [one for one in devices if one.state not in CANNOT][:MOST]


def ask_to_restore(screen: RefusingScreen[Any], devices: Sequence[Subscription]) -> None:
    """Ask, restore some devices, and show what came of each."""

    def answered(results: tuple[Restoration, ...] | None) -> None:
        if results is not None:
            screen.post_message(CommandDone())

    if devices:
        screen.app.push_screen(RestoreScreen(devices), answered)


class RestoreScreen(FormScreen[tuple[Restoration, ...]]):
    """Asks whether to restore devices; then says what came of each, in place of what was asked."""

    def __init__(self, devices: Sequence[Subscription]) -> None:
        super().__init__(title="Restore?", do="Restore")
        self._devices = devices
        self._results: tuple[Restoration, ...] | None = None
        self._list = Static()

    def compose_fields(self) -> ComposeResult:
        """Compose what it means, and the devices."""
        yield Static(
            f"{plural(len(self._devices), 'device')}: sent to again, as if no push service had said that they have "
            "ended. The next answer says what is true of them.",
            classes="help",
        )
        with VerticalScroll(classes="listed"):
            yield self._list

    def on_mount(self) -> None:
        """Show the devices; begin where nothing is done."""
        self._list.update(
            Content("\n").join(
                Content.assemble(SUBSCRIPTIONS[one.state].content(), "  ", _name(one)) for one in self._devices
            )
        )
        self.query_one("#cancel", Button).focus()

    def missing(self) -> str:
        """Return that it is done already."""
        return "It is done." if self._results is not None else ""

    async def perform(self, confirm: str = "") -> tuple[Restoration, ...]:
        """Restore them."""
        del confirm
        return await self.app.desk.restore_subscriptions([one.id for one in self._devices])

    def finish(self, result: tuple[Restoration, ...]) -> None:
        """Say what came of each; close where all were restored."""
        self._results = result
        restored = sum(each.result is RestoreResult.RESTORED for each in result)
        if restored == len(self._devices):
            self.app.notify(f"Restored {plural(restored, 'device')}")
            self.end(result)
            return
        by_id = {each.id: each for each in result}
        self._list.update(Content("\n").join(_came_of(by_id.get(one.id), one) for one in self._devices))
        self.answer(f"{plural(restored, 'device')} restored, {len(self._devices) - restored} not.", BAD)
        self.query_one("#cancel", Button).label = "Close"
        self.query_one(f"#{SUBMIT}", Button).disabled = True

    def action_close(self) -> None:
        """Close, with what came of it."""
        if self._results is None:
            super().action_close()
        else:
            self.end(self._results)


def _name(one: Subscription) -> Content:
    return Content.assemble((plain(one.user), "bold"), f" {device_of(one)}")


def _came_of(found: Restoration | None, one: Subscription) -> Content:
    look = RESULTS[found.result if found is not None else RestoreResult.NOT_FOUND]
    reason = plain(found.reason) if found is not None else ""
    return Content.assemble(look.content(), "  ", _name(one), (f"  {reason}" if reason else "", QUIET))
