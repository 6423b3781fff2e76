"""Disabled devices are restored, one or all that are shown, and what came of each is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.console.screens.restoring import RestoreScreen
from pushdesk.console.screens.subscriptions import SubscriptionsScreen
from pushdesk.errors import PushdeskError
from pushdesk.model import Restoration, RestoreResult, SubscriptionState
from tests.console.fake_desk import FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console
from tests.console.sizes import smallest_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.console.conftest import Snap

WIDE = (120, 40)
ENDED = "The key that it was made with has ended."


class RefusingDesk(FakeDesk):
    """A server that restores all but what it is told not to."""

    refused: frozenset[str] = frozenset()

    async def restore_subscriptions(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        restored = await super().restore_subscriptions([each for each in ids if each not in self.refused])
        return (*restored, *(Restoration(each, RestoreResult.KEY_ENDED, ENDED) for each in ids if each in self.refused))


def desk_with_disabled() -> RefusingDesk:
    """Return a server with two disabled devices of ada's and one that is sent to."""
    desk = RefusingDesk()
    desk.subscribe("ada")
    desk.subscribe("ada", browser="Chrome", state=SubscriptionState.GONE)
    other = desk.subscribe("ada", browser="Safari", platform="macOS", state=SubscriptionState.KEY_MISMATCH)
    desk.refused = frozenset({other.id})
    return desk


@smallest_size
def test_what_came_of_each(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✓ restored  ada Chrome · Linux", "✗ key has ended  ada Safari · macOS", "1 device restored, 1 not."]
    snap(console(desk_with_disabled()), size, press=["3", "U", "tab", "enter"], says=says)


async def test_a_device_is_restored_once_that_is_confirmed() -> None:
    desk = desk_with_disabled()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("down", "u")
        await until_says(pilot, "1 device: sent to again", "✗ gone  ada Chrome · Linux")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SubscriptionsScreen))
        assert desk.calls == []
        await pilot.press("u", "tab", "enter")
        await until(pilot, lambda: toasts(app) == ["Restored 1 device"])
        assert [name for name, _ in desk.calls] == ["restore_subscriptions"]
        await until(pilot, lambda: text_of(app).count("✓ active") == 2)


async def test_all_devices_of_a_user_that_are_disabled_are_restored_and_each_is_told_of() -> None:
    desk = desk_with_disabled()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("2")
        await settled(pilot)
        await pilot.press("enter")
        await until_says(pilot, "3 devices, 1 active")
        await pilot.press("U")
        await until_says(pilot, "2 devices: sent to again")
        await pilot.press("ctrl+s")
        await until_says(pilot, "✓ restored  ada Chrome · Linux", "✗ key has ended  ada Safari · macOS  The key")
        await pilot.press("ctrl+s")
        await until_says(pilot, "It is done.")
        assert [name for name, _ in desk.calls] == ["restore_subscriptions"]
        await pilot.press("escape")
        await until_says(pilot, "3 devices, 2 active")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (SubscriptionState.ACTIVE, "This device is sent to: there is nothing to restore."),
        (SubscriptionState.HELD, "This device is held by its push service's brake: ! leads there."),
    ],
)
async def test_a_device_that_is_not_disabled_is_not_restored(state: SubscriptionState, reason: str) -> None:
    desk = FakeDesk()
    desk.subscribe("ada", state=state)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("u")
        await until(pilot, lambda: toasts(app) == [reason])
        app.clear_notifications()
        await pilot.press("enter", "u")
        await until(pilot, lambda: toasts(app) == [reason])
        await pilot.press("escape", "U")
        await until(pilot, lambda: "None of these devices is disabled." in toasts(app))


async def test_a_refusal_is_said_and_can_be_tried_again() -> None:
    desk = desk_with_disabled()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        desk.refusals.append(PushdeskError("The database is locked.", code="database_error"))
        await pilot.press("down", "u", "ctrl+s")
        await until_says(pilot, "The database is locked.")
        assert isinstance(app.screen, RestoreScreen)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: toasts(app) == ["Restored 1 device"])
