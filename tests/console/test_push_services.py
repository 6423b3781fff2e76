"""The push services: how their lanes and brakes are told, and what an operator does about them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens import live_dialog
from pushdesk.console.screens.overview import OverviewScreen
from pushdesk.console.screens.push_service import ServiceScreen
from pushdesk.errors import PushdeskError
from pushdesk.model import BrakeOn, LaneState, Service, ServiceHealth, StoppedKey, SubscriptionState
from tests.console.fake_desk import NOON, URL
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, troubled_desk
from tests.console.sizes import each_size, smallest_size

if TYPE_CHECKING:
    from typing import Any

    from textual.pilot import Pilot

    from tests.console.conftest import Snap
    from tests.console.fake_desk import FakeDesk

WIDE = (120, 40)
STOPPED = StoppedKey("7f3a92aa", NOON, "It refuses the key.", NOON + timedelta(minutes=10))
HELD = BrakeOn(NOON, "51 subscriptions ended within 10 minutes.", 57)


@each_size
def test_overview_of_services_in_trouble(snap: Snap, size: tuple[int, int]) -> None:
    says = ["↻ ", "00:42", "trial", "! 3 held", "! 1 key stopped", "‖ paused", "Devices are held", "! leads there."]
    snap(console(troubled_desk()), size, says=says)


@each_size
@pytest.mark.parametrize("service", [Service.APPLE, Service.WNS])
def test_service_in_trouble(snap: Snap, size: tuple[int, int], service: Service) -> None:
    app = console(troubled_desk())
    says = {
        Service.APPLE: ["! on, 3 devices held · since 11:56:44, 7 min ago", "51 subscriptions ended", "That is not"],
        Service.WNS: ["! stopped · since 12:02:44", "trial 12:12:44, in", "It refuses the key 7f3a92aa"],
    }
    press = ["home", *["down"] * list(Service).index(service), "enter"]
    snap(app, size, press=["shift+tab", *press], says=says[service])


@smallest_size
def test_question_before_a_brake_is_released(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Releasing makes 3 devices of Apple active again", 'Confirm with the word "release".']
    snap(console(troubled_desk()), size, press=["exclamation_mark", "u"], says=says)


@pytest.mark.parametrize(
    ("health", "says"),
    [
        (ServiceHealth(Service.FCM, sent=9, accepted=9, state=LaneState.PAUSED), "‖ paused"),
        (
            ServiceHealth(Service.FCM, sent=9, accepted=9, state=LaneState.BROKEN, until=NOON + timedelta(seconds=20)),
            "✗ broken, trial in 00:20",
        ),
        (ServiceHealth(Service.FCM, sent=9, accepted=9, state=LaneState.BROKEN, reason="No answer."), "✗ broken: No"),
        (
            ServiceHealth(
                Service.FCM, sent=9, accepted=9, state=LaneState.THROTTLED, until=NOON + timedelta(seconds=20)
            ),
            "↻ resumes in 00:20",
        ),
        (ServiceHealth(Service.FCM, sent=9, failed=9, stopped=(STOPPED,)), "! 1 key stopped"),
        (ServiceHealth(Service.FCM, sent=9, accepted=9, brake=HELD), "! 57 held"),
        (ServiceHealth(Service.FCM, sent=9, accepted=9, brake=HELD, stopped=(STOPPED,)), "! 57 held  ! 1 key stopped"),
        (ServiceHealth(Service.FCM, state=LaneState.PAUSED, brake=HELD), "‖ paused  ! 57 held"),
    ],
)
async def test_what_keeps_anything_from_being_sent_is_said_before_how_it_is_answered(
    health: ServiceHealth, says: str
) -> None:
    desk = busy_desk()
    desk.set_stats(services=(health,))
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until_says(pilot, says)


async def test_the_time_until_a_trial_counts_down_until_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_dialog, "COUNTING_S", 0.01)
    clock = [NOON]
    desk = troubled_desk()
    app = PushdeskApp(desk, url=URL, mode="embedded", now=lambda: clock[0])
    async with app.run_test(size=WIDE) as pilot:
        await show(pilot, app, Service.MOZILLA)
        await until_says(pilot, "✗ broken · since 12:01:44, 2 min ago · trial 12:03:54, in 00:10")
        clock[0] += timedelta(seconds=4)
        await until_says(pilot, "in 00:06")
        desk.change_service(Service.MOZILLA, state=LaneState.OPEN, until=None, since=None, reason="")
        await until_says(pilot, "✓ healthy")


async def show(pilot: Pilot[Any], app: PushdeskApp, service: Service) -> None:
    """Show a push service from the overview."""
    await until(pilot, lambda: app.loaded and app.stats)
    overview = app.screen
    assert isinstance(overview, OverviewScreen)
    overview.show_service(service)
    await until(pilot, lambda: isinstance(app.screen, ServiceScreen) and not app.screen.has_class("-unknown"))


async def shown(pilot: Pilot[Any], desk: FakeDesk, service: Service) -> PushdeskApp:
    app = pilot.app
    assert isinstance(app, PushdeskApp)
    await show(pilot, app, service)
    assert app.desk is desk
    return app


@pytest.mark.parametrize(
    ("key", "service", "call", "said", "then"),
    [
        ("p", Service.MOZILLA, "pause_service", "Mozilla is paused: what is for it waits.", "‖ paused"),
        ("r", Service.OTHER, "resume_service", "other is resumed: ✓ open", "· idle"),
        ("x", Service.FCM, "reset_service", "FCM is reset: ✓ open", "✓ healthy"),
        ("x", Service.WNS, "reset_service", "WNS is reset: ✓ open", "✗ failing"),
    ],
)
async def test_a_lane_is_paused_resumed_and_reset_once_that_is_confirmed(
    key: str, service: Service, call: str, said: str, then: str
) -> None:
    desk = troubled_desk()
    async with console(desk).run_test(size=WIDE, notifications=True) as pilot:
        app = await shown(pilot, desk, service)
        await pilot.press(key, "enter")
        await settled(pilot)
        assert call not in dict(desk.calls)
        await pilot.press(key, "right", "enter")
        await until(pilot, lambda: (call, service) in desk.calls)
        await until(pilot, lambda: toasts(app) == [said])
        await until_says(pilot, then)


@pytest.mark.parametrize(
    ("key", "service", "reason"),
    [
        ("p", Service.OTHER, "It is paused already."),
        ("r", Service.FCM, "It is not paused."),
        ("x", Service.APPLE, "There is nothing wrong with it that could be forgotten."),
        ("u", Service.FCM, "Its brake is off: nothing is held."),
        ("c", Service.FCM, "Its brake is off: nothing is held."),
    ],
)
async def test_a_command_that_would_change_nothing_says_why(key: str, service: Service, reason: str) -> None:
    desk = troubled_desk()
    async with console(desk).run_test(size=WIDE, notifications=True) as pilot:
        app = await shown(pilot, desk, service)
        await pilot.press(key)
        await until(pilot, lambda: toasts(app) == [reason])


@pytest.mark.parametrize(
    ("key", "word", "said", "state"),
    [
        ("u", "release", "Apple: 3 devices are sent to again.", SubscriptionState.ACTIVE),
        ("c", "confirm", "Apple: 3 devices disabled. Each can be restored.", SubscriptionState.GONE),
    ],
)
async def test_a_brake_is_released_or_confirmed_with_its_word_only(
    key: str, word: str, said: str, state: SubscriptionState
) -> None:
    desk = troubled_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until_says(pilot, "Devices are held by the brake: Apple 3. The key ! leads there.")
        await pilot.press("exclamation_mark")
        await until_says(pilot, "Push service · Apple", "! on, 3 devices held")
        await pilot.press(key)
        await until_says(pilot, "3 devices of", f'Confirm with the word "{word}".')
        await pilot.press(*"nothing", "enter")
        await until_says(pilot, "That is not the word; nothing was done.")
        assert all(one.state is not state for one in desk._subscriptions.values() if one.user.startswith("held"))
        for _ in "nothing":
            await pilot.press("backspace")
        await pilot.press(*word, "enter")
        await until(pilot, lambda: toasts(app) == [said])
        await until(pilot, lambda: isinstance(app.screen, ServiceScreen) and "brake" not in text_of(app))
        assert {one.state for one in desk._subscriptions.values() if one.user.startswith("held")} == {state}


async def test_the_brake_is_told_on_other_screens_and_hidden_with_the_warnings() -> None:
    app = console(troubled_desk())
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "brake: Apple 3. The key ! leads there.", "1 warning: see Overview")
        await pilot.press("W")
        await until(pilot, lambda: "Devices are held" not in text_of(app))


async def test_what_matters_most_is_where_the_key_leads_and_nowhere_where_all_is_well() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded and app.stats)
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: toasts(app) == ["No push service needs anybody."])
        desk.change_service(Service.FCM, state=LaneState.THROTTLED)
        desk.change_service(Service.WNS, state=LaneState.PAUSED)
        await until_says(pilot, "‖ paused")
        await pilot.press("exclamation_mark")
        await until_says(pilot, "Push service · WNS")


async def test_a_service_that_cannot_be_fetched_says_why() -> None:
    desk = troubled_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: app.loaded and app.stats)
        desk.troubles.append(PushdeskError("The database is locked.", code="database_error"))
        await pilot.press("exclamation_mark")
        await until_says(pilot, "The database is locked.", "R tries again")
        await pilot.press("R")
        await until_says(pilot, "! on, 3 devices held")
