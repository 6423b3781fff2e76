"""Commands: each is given once at a time, none fails silently, and none is given when it may not be any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from textual.widgets import Button, Input, Static

from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.form import TypedScreen
from pushdesk.console.screens.invite import InviteScreen
from pushdesk.console.screens.keys import KeysScreen
from pushdesk.console.screens.users import UsersScreen
from pushdesk.console.screens.verdict import VerdictScreen
from pushdesk.errors import UnreachableError
from pushdesk.model import Outcome, Remedy, Scope, VerdictCode
from tests.console.looking import settled, toasts, until, until_says
from tests.console.scenes import busy_desk, caching_desk, console, let_in, rotated_desk
from tests.console.test_ending import open_ada, show, slow
from tests.console.verdicts import ACCEPTED, OF_ADA, explained_desk

if TYPE_CHECKING:
    from pushdesk.console.app import PushdeskApp
    from pushdesk.model import Dispatch
    from tests.console.fake_desk import FakeDesk

WIDE = (120, 40)
SAID = "The server cannot be reached: It did not answer in time. It may still have been done."


def times(desk: FakeDesk, command: str) -> int:
    return [name for name, _ in desk.calls].count(command)


def answer_of(app: PushdeskApp) -> str:
    return str(app.screen.query_one("#answer", Static).content)


async def test_an_order_that_is_under_way_is_not_given_again_and_asks_nothing_elsewhere() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, "6")
        await until_says(pilot, "VAPID keys", "7f3a92aa")
        rotate = desk.rotate_key
        may_answer = slow(desk, "cache")
        slow_rotate_asked: list[str] = []

        async def wait(*, confirm: str = "") -> object:
            slow_rotate_asked.append(confirm)
            await may_answer.wait()
            return await rotate(confirm=confirm)

        desk.rotate_key = wait  # type: ignore[assignment,method-assign]  # one that takes its time
        await pilot.press("r", "r")
        await until(pilot, lambda: toasts(app) == ["The last command is still under way."])
        assert slow_rotate_asked == [""]
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
        may_answer.set()
        await until(pilot, lambda: "Nothing was done" in toasts(app)[-1])
        assert isinstance(app.screen, UsersScreen)
        await pilot.press("6")
        await until(pilot, lambda: isinstance(app.screen, KeysScreen))
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, TypedScreen))
        assert len(app.screen_stack) == 2


@pytest.mark.parametrize(("keys", "command"), [(["5"], "resend"), (["2", "enter"], "test")])
async def test_what_is_being_sent_is_not_sent_twice(keys: list[str], command: str) -> None:
    desk = busy_desk()
    may_answer = slow(desk, command)
    key = "r" if command == "resend" else "T"
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        if command == "test":
            await open_ada(pilot)
        else:
            await show(app, pilot, *keys)
            await settled(pilot)
        await pilot.press(key, key, key)
        await until(pilot, lambda: toasts(app) == ["It is being sent."])
        may_answer.set()
        await until(pilot, lambda: len(toasts(app)) == 2)
        assert times(desk, command) == 1
        await pilot.press(key)
        await until(pilot, lambda: times(desk, command) == 2)


async def test_what_was_sent_again_is_said_to_be_though_its_outcome_cannot_be_seen() -> None:
    desk = busy_desk()
    desk.settles = False
    app = console(desk)

    async def fail(dispatch: str) -> Dispatch:
        raise UnreachableError(f"No answer about {dispatch}.")

    desk.dispatch = fail  # type: ignore[method-assign]  # what is looked at afterwards
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, "5")
        await settled(pilot)
        await pilot.press("r")
        await until(pilot, lambda: [each for each in toasts(app) if "sent again: queued" in each])
        assert len(toasts(app)) == 1


async def test_what_was_sent_again_in_vain_is_a_warning() -> None:
    desk = busy_desk()
    desk.verdicts["delivery-0048"] = structs.replace(
        ACCEPTED, code=VerdictCode.EXPIRED, remedy=Remedy.SEND_AGAIN, user="eve", delivery="delivery-0048"
    )
    desk.outcomes["sub-0006"] = Outcome.GONE
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, "5", "w")
        await until_says(pilot, "r Send it again")
        await pilot.press("r")
        await until(pilot, lambda: toasts(app))
        assert [each.severity for each in app._notifications] == ["warning"]


@pytest.mark.parametrize("read_only", [True, False])
async def test_the_button_of_what_helps_cannot_be_pressed_where_it_may_not(*, read_only: bool) -> None:
    desk = explained_desk()
    app = console(desk, read_only=read_only)
    async with app.run_test(size=WIDE) as pilot:
        await show(app, pilot, "3", "w")
        await until_says(pilot, "T Send the test push")
        button = app.screen.query_one("#remedy", Button)
        if not read_only:
            assert not button.disabled
            desk.lose()
        await until_says(pilot, "Not now")
        assert button.disabled


@pytest.mark.parametrize(
    ("keys", "command"),
    [(["6", "down", "d"], "retire_key"), (["6", "tab", "d", "right", "enter"], "revoke_token"), (["4", "d"], "cache")],
)
async def test_a_command_without_an_answer_says_so_wherever_it_is_given(keys: list[str], command: str) -> None:
    desk = let_in(rotated_desk()) if command != "cache" else caching_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, *keys[:-1])
        await settled(pilot)
        desk.refusals.append(UnreachableError("It did not answer in time."))
        await pilot.press(keys[-1])
        await until(pilot, lambda: toasts(app) == [SAID])


async def test_closing_while_it_is_sent_and_no_answer_to_it_say_that_it_may_have_been() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, "t")
        desk.refusals.append(UnreachableError("It did not answer in time."))
        await pilot.press(*"ada", "ctrl+t")
        await until(pilot, lambda: answer_of(app).endswith("It may still have been done."))
        slow(desk, "test")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: times(desk, "test") == 2)
        await pilot.press("escape")
        said = "Test send: This is no longer waited for. It may still have been done."
        await until(pilot, lambda: toasts(app) == [said])
        assert not isinstance(app.screen, ComposeScreen)


@pytest.mark.parametrize("key", ["t", "e"])
@pytest.mark.parametrize("lost", [True, False])
async def test_an_open_form_is_not_sent_once_it_may_not_be(key: str, *, lost: bool) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(app, pilot, key)
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen | InviteScreen))
        await pilot.press(*"ada")
        if key == "t":
            app.screen.query_one("#title", Input).value = "Tea"
        if lost:
            desk.lose()
            await until(pilot, lambda: app.connection.name == "LOST")
        else:
            app.scopes = frozenset({Scope.READ})
        why = "The connection is lost; it is tried again all the time." if lost else app.read_only
        for submit in ["ctrl+s", "ctrl+t"] if key == "t" else ["ctrl+s"]:
            await pilot.press(submit)
            await until(pilot, lambda: answer_of(app) == why)
        assert desk.calls == []


async def test_the_user_and_a_device_in_turn_leave_no_more_than_their_two_verdicts() -> None:
    desk = explained_desk()
    desk.verdicts["ada"] = OF_ADA
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(app, pilot, "2", "w")
        await until(pilot, lambda: isinstance(app.screen, VerdictScreen))
        first = app.screen
        for _ in range(2):
            await settled(pilot)
            await pilot.press("enter")
            await until(pilot, lambda: app.screen is not first)
            await settled(pilot)
            await pilot.press("w")
            await until(pilot, lambda: app.screen is first)
        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
