"""The users, and one of them: what is shown, what its keys do, and what they refuse."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.delivery import DeliveryScreen
from pushdesk.console.screens.details import SubscriptionScreen
from pushdesk.console.screens.form import TypedScreen
from pushdesk.console.screens.invite import InviteScreen
from pushdesk.console.screens.user import UserScreen
from pushdesk.console.screens.users import UsersScreen
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.model import Outcome, Service, SubscriptionState
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import heard, settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.verdicts import explained_desk

if TYPE_CHECKING:
    from datetime import datetime

    from textual.widgets import Input

    from pushdesk.model import Subscription

WIDE = (120, 40)
READ_ONLY = "This console was opened with --read-only."
LOST = "The connection is lost; it is tried again all the time."


def rows(app: PushdeskApp, name: str) -> Rows[Any]:
    return app.screen.query_one(f"#{name}", Rows)


async def test_users_change_in_their_rows_as_things_happen() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5", "✗ 12:01:44")
        bo = desk._subscriptions["sub-0002"]
        desk.deliver(bo, at=NOON + timedelta(seconds=7))
        await until_says(pilot, "✓ 12:03:51")
        desk.deliver(bo, Outcome.GONE, at=NOON + timedelta(seconds=9))
        await until_says(pilot, "✗ 12:03:53")
        desk.deliver(bo, Outcome.TRANSIENT, status=None, at=NOON + timedelta(seconds=11))
        await until_says(pilot, "✗ 12:03:55")
        await heard(pilot, app, desk.deliver(bo, Outcome.EXPIRED, attempts=0, at=NOON + timedelta(seconds=13)))
        assert "✗ 12:03:57" not in text_of(app)
        desk.subscribe("fay", created_at=NOON + timedelta(seconds=1))
        await until_says(pilot, "fay", "1 to 6 of 6")
        await desk.remove_user("fay")
        await until_says(pilot, "1 to 5 of 5")


async def test_only_what_is_exactly_the_users_is_shown_of_one_user() -> None:
    desk = FakeDesk()
    for name in ("ada", "adam", "ada-b", "Ada", "mada"):
        one = desk.subscribe(name, browser=f"Browser of {name}")
        for _ in range(3):
            desk.deliver(one, reason=f"to {name}")
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2", "s")
        await until_says(pilot, "user ▲", "1 to 5")
        await pilot.press("home", "down", "enter")
        await until_says(pilot, "Browser of ada ", "1 device, 1 active", "3 deliveries")
        assert isinstance(app.screen, UserScreen)
        assert {each.user for each in rows(app, "user-devices").items} == {"ada"}
        assert {each.user for each in rows(app, "user-deliveries").items} == {"ada"}
        assert "generation" in text_of(app)
        await pilot.press("escape")
        assert isinstance(app.screen, UsersScreen)


async def test_deliveries_of_one_user_are_found_behind_many_of_others() -> None:
    desk = FakeDesk()
    ada, adam = desk.subscribe("ada"), desk.subscribe("adam", created_at=NOON - timedelta(days=1))
    for index in range(3):
        desk.deliver(ada, at=NOON - timedelta(days=1, minutes=index))
    for index in range(450):
        desk.deliver(adam, at=NOON - timedelta(seconds=index))
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 2 of 2")
        await pilot.press("enter")
        await until_says(pilot, "3 deliveries")
        assert "latest" not in text_of(app)
        await pilot.press("escape", "down", "enter")
        await until_says(pilot, "the latest 100 deliveries")


async def test_one_user_follows_what_happens_to_them() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("enter")
        await until_says(pilot, "2 devices", "8 deliveries")
        desk.deliver(_subscription(desk, "sub-0001"), latency_ms=777.0)
        await until_says(pilot, "777 ms", "9 deliveries")
        desk.subscribe("ada", browser="Vivaldi")
        await until_says(pilot, "Vivaldi", "3 devices")
        desk.change("sub-0001", state=SubscriptionState.GONE)
        await until_says(pilot, "✗ gone")


async def test_whoever_goes_to_the_deliveries_of_one_user_begins_with_the_latest() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _open_ada(pilot, app)
        desk.deliver(_subscription(desk, "sub-0001"), latency_ms=777.0)
        await until_says(pilot, "9 deliveries")
        await pilot.press("tab")
        assert rows(app, "user-deliveries").cursor == 0
        desk.deliver(_subscription(desk, "sub-0001"), latency_ms=778.0)
        await until_says(pilot, "10 deliveries")
        assert rows(app, "user-deliveries").cursor == 1


async def test_what_happens_to_others_fetches_nothing_of_one_user() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("enter")
        await until_says(pilot, "8 deliveries")
        screen = app.screen
        assert isinstance(screen, UserScreen)
        await until(pilot, lambda: screen._resting is None)
        asked = len(desk.asked)
        for _ in range(3):
            await heard(pilot, app, desk.deliver(_subscription(desk, "sub-0003")))
        assert len(desk.asked) == asked


async def test_nothing_of_one_user_is_fetched_while_nobody_looks() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("enter")
        await until_says(pilot, "8 deliveries")
        await pilot.press("7")
        await settled(pilot)
        asked = len(desk.asked)
        await heard(pilot, app, desk.deliver(_subscription(desk, "sub-0001"), latency_ms=777.0))
        await settled(pilot)
        assert len(desk.asked) == asked
        await pilot.press("2")
        await until_says(pilot, "777 ms", "9 deliveries")


async def test_tab_goes_between_the_devices_and_the_deliveries_of_one_user() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await _open_ada(pilot, app)
        assert app.focused is rows(app, "user-devices")
        await pilot.press("tab")
        assert app.focused is rows(app, "user-deliveries")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DeliveryScreen))
        await pilot.press("escape", "shift+tab", "enter")
        await until(pilot, lambda: isinstance(app.screen, SubscriptionScreen))


async def test_one_device_of_one_user_can_be_tested() -> None:
    desk = busy_desk()
    desk.outcomes["sub-0005"] = Outcome.THROTTLED
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        await pilot.press("down", "T")
        await until(pilot, lambda: toasts(app) == ["ada, Chromium · Linux: ↻ 429 throttled"])
        assert desk.calls == [("test", ("ada", "sub-0005"))]


async def test_one_device_of_one_user_can_be_removed() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        await pilot.press("down", "d", "enter")
        await settled(pilot)
        assert desk.calls == []
        await pilot.press("d", "right", "enter")
        await until_says(pilot, "1 device")
        assert desk.calls == [("remove_subscriptions", ("sub-0005",))]
        await until(pilot, lambda: toasts(app) == ["Removed 1 subscription"])


@pytest.mark.parametrize("keys", [["d"], ["enter", "D"]], ids=["in the list", "on one user"])
async def test_a_user_is_removed_only_after_the_name_was_typed(keys: list[str]) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        for key in keys:
            await settled(pilot)
            await pilot.press(key)
        await until_says(pilot, "Remove ada?", "2 devices", "the name")
        await pilot.press("enter")
        await until_says(pilot, "Nothing is done before the name is typed.")
        await pilot.press(*"adam", "enter")
        await until_says(pilot, "That is not the name; nothing was done.")
        assert desk.calls == []
        await pilot.press("backspace", "enter")
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
        await until(pilot, lambda: toasts(app) == ["Removed ada with everything of theirs"])
        await until(pilot, lambda: len(rows(app, "users").items) == 4)
        assert desk.calls == [("remove_user", "ada")]


async def test_a_user_whose_name_cannot_be_typed_is_removed_by_another_word() -> None:
    desk = FakeDesk()
    desk.subscribe("a\u202eda")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 1 of 1")
        await pilot.press("d")
        await until_says(pilot, 'Confirm with the word "remove"')
        await pilot.press(*"remove", "enter")
        await until(pilot, lambda: desk.calls == [("remove_user", "a\u202eda")])


async def test_a_user_who_is_removed_elsewhere_is_left() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        await desk.remove_user("ada")
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
        assert toasts(app) == ["Removed ada with everything of theirs"]


async def test_closing_a_form_while_it_is_done_says_that_it_may_still_be() -> None:
    desk = busy_desk()
    app = console(desk)

    async def wait(user: str) -> None:
        desk.calls.append(("remove_user", user))
        await desk.answering.wait()

    desk.remove_user = wait  # type: ignore[method-assign]  # one that takes its time
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        desk.answering.clear()
        await pilot.press("d", *"ada", "enter")
        await until(pilot, lambda: desk.calls == [("remove_user", "ada")])
        await pilot.press("escape")
        assert not isinstance(app.screen, TypedScreen)
        await until(
            pilot, lambda: toasts(app) == ["Remove ada?: This is no longer waited for. It may still have been done."]
        )


async def test_closing_a_form_that_waits_for_nothing_says_nothing() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("d", *"ada", "escape")
        await pilot.pause()
        assert toasts(app) == []


async def test_what_the_cache_holds_of_a_user_gets_older_and_can_be_dropped() -> None:
    desk = busy_desk()
    clock = [NOON]

    def now() -> datetime:
        return clock[0]

    app = PushdeskApp(desk, url=URL, mode="embedded", now=now)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        await until_says(pilot, "generation 1 · 2 devices · 0 s old · read again after 180 s")
        clock[0] += timedelta(seconds=30)
        await until_says(pilot, "30 s old · read again after 150 s")
        await pilot.press("i")
        await until_says(pilot, "not cached")
        assert desk.calls == [("invalidate_cache", "ada")]
        assert toasts(app) == ["ada is dropped from the cache: the devices are read when they are next needed."]
        await pilot.press("i")
        assert toasts(app)[1:] == ["Nothing of the user is cached."]
        desk.deliver(_subscription(desk, "sub-0001"))
        await until_says(pilot, "generation 6 · 2 devices · 0 s old")
        clock[0] += timedelta(seconds=200)
        await until_says(pilot, "not cached")


async def test_a_cache_that_was_cleared_is_seen_on_one_user() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _open_ada(pilot, app)
        await until_says(pilot, "generation 1")
        await desk.clear_cache()
        await until_says(pilot, "not cached")


@pytest.mark.parametrize("keys", [[], ["enter"]], ids=["in the list", "on one user"])
async def test_a_test_and_an_invitation_are_for_the_user_who_is_looked_at(keys: list[str]) -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("down", *keys)
        await settled(pilot)
        for key, screen in (("t", ComposeScreen), ("e", InviteScreen)):
            await pilot.press(key)
            await until(pilot, partial(_is_shown, app, screen))
            field: Input = app.screen.query_one("#user")  # type: ignore[assignment]  # an Input in both
            assert field.value == "bo"
            await pilot.press("escape")


async def test_why_asks_about_what_is_under_the_cursor() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("w")
        await until_says(pilot, "Did ada get it?", "↻ throttled")
        await pilot.press("escape", "enter")
        await until_says(pilot, "8 deliveries")
        await pilot.press("w")
        await until_says(pilot, "Did ada, Firefox · Linux get it?", "✓ accepted")
        await pilot.press("escape", "tab", "w")
        await until_says(pilot, "Did ada, Chromium · Linux get it?", "↻ throttled")
        asked = [what for name, what in desk.calls if name == "explain"]
        assert asked == [("ada", "", ""), ("", "sub-0001", ""), ("", "", "delivery-0046")]


async def test_why_asks_about_the_user_who_has_no_device() -> None:
    desk = explained_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await _open_ada(pilot, app)
        await desk.remove_subscriptions(["sub-0001", "sub-0005"])
        await until_says(pilot, "No browser is subscribed.")
        await pilot.press("w")
        await until_says(pilot, "Did ada get it?")


async def test_copying_takes_the_users_name() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("down", "y")
        assert app.clipboard == "bo"
        await pilot.press("enter")
        await settled(pilot)
        await pilot.press("y")
        assert app.clipboard == "bo"


async def test_without_a_user_nothing_can_be_done_to_one() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("2")
        await settled(pilot)
        await pilot.press("d", "w", "enter")
        assert toasts(app) == ["No user is selected.", "No user, device or delivery is selected."]
        assert isinstance(app.screen, UsersScreen)


async def test_devices_are_tested_and_removed_where_they_are_listed() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        await pilot.press("tab", "T", "d")
        assert toasts(app) == ["No device is selected: tab goes to the devices."]


async def test_read_only_changes_nothing_of_users() -> None:
    desk = busy_desk()
    app = console(desk, read_only=True)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 5 of 5")
        await pilot.press("d", "t", "e")
        assert isinstance(app.screen, UsersScreen)
        await pilot.press("enter")
        await until_says(pilot, "8 deliveries")
        for key in "TdDite":
            await pilot.press(key)
            assert isinstance(app.screen, UserScreen)
        assert toasts(app) == [READ_ONLY]
        assert desk.calls == []


async def test_nothing_can_be_asked_or_done_while_the_connection_is_lost() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        desk.lose()
        await until_says(pilot, "↻ reconnecting")
        for key in "TdDiwR":
            await pilot.press(key)
            assert isinstance(app.screen, UserScreen)
        assert toasts(app) == [LOST]


async def test_a_command_that_got_no_answer_may_have_been_done() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)
        desk.refusals.append(UnreachableError("The server did not answer in time."))
        await pilot.press("T")
        await until(
            pilot,
            lambda: (
                toasts(app)
                == ["The server cannot be reached: The server did not answer in time. It may still have been done."]
            ),
        )


async def test_an_error_on_one_user_is_said_and_what_was_shown_stays() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await _open_ada(pilot, app)

        async def fail(query: object) -> None:
            del query
            raise PushdeskError("The database is locked.", code="database_error")

        desk.cache = fail  # type: ignore[assignment,method-assign]  # the last that is asked for
        await pilot.press("R")
        await until(pilot, lambda: "The database is locked." in "".join(toasts(app)))
        assert len(rows(app, "user-deliveries").items) == 8


async def test_devices_of_every_service_fit_into_a_small_terminal() -> None:
    desk = FakeDesk()
    for service in Service:
        for index in range(4):
            desk.subscribe("ada", service=service, platform=f"Platform {index}")
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until_says(pilot, "1 to 1 of")
        await pilot.press("enter")
        await until_says(pilot, "20 devices", "Nothing that was sent to them is kept.")
        await pilot.press("end")
        await until_says(pilot, "other#")


async def _open_ada(pilot: Any, app: PushdeskApp) -> None:
    await pilot.press("2")
    await until_says(pilot, "1 to 5 of 5")
    await pilot.press("enter")
    await until_says(pilot, "2 devices", "8 deliveries")
    assert isinstance(app.screen, UserScreen)


def _is_shown(app: PushdeskApp, screen: type[object]) -> bool:
    return isinstance(app.screen, screen)


def _subscription(desk: FakeDesk, name: str) -> Subscription:
    return desk._subscriptions[name]


async def test_the_clock_of_a_user_rests_while_something_is_over_it() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await until_says(pilot, "ada")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, UserScreen))
        user = app.screen
        assert isinstance(user, UserScreen)
        await until(pilot, lambda: user._ticking is not None and user._ticking._active.is_set())
        await pilot.press("question_mark")
        await until(pilot, lambda: user._ticking is not None and not user._ticking._active.is_set())
        await pilot.press("escape")
        await until(pilot, lambda: user._ticking is not None and user._ticking._active.is_set())
