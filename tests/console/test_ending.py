"""Screens whose end comes while another one is over them: it closes them, not the other one, and closes them once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from textual.screen import ModalScreen

from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.form import FormScreen, TypedScreen
from pushdesk.console.screens.help import HelpScreen
from pushdesk.console.screens.invite import InvitationScreen, InviteScreen
from pushdesk.console.screens.token_forms import NewTokenMadeScreen
from pushdesk.console.screens.user import UserScreen
from pushdesk.console.screens.users import UsersScreen
from tests.console.looking import settled, toasts, until, until_says
from tests.console.scenes import busy_desk, console

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp
    from tests.console.fake_desk import FakeDesk

WIDE = (120, 40)


def slow(desk: FakeDesk, command: str) -> asyncio.Event:
    """Let a command be done at once, and answered only when it may be."""
    done, may_answer = getattr(desk, command), asyncio.Event()

    async def do(*args: Any, **options: Any) -> Any:
        result = await done(*args, **options)
        await may_answer.wait()
        return result

    setattr(desk, command, do)
    return may_answer


async def commanded(pilot: Pilot[Any], desk: FakeDesk, command: str) -> None:
    await until(pilot, lambda: command in [name for name, _ in desk.calls])


async def open_ada(pilot: Pilot[Any]) -> None:
    await pilot.press("2")
    await until_says(pilot, "1 to 5 of 5")
    await pilot.press("enter")
    await until_says(pilot, "2 devices", "8 deliveries")


async def show(app: PushdeskApp, pilot: Pilot[Any], *keys: str) -> None:
    await until(pilot, lambda: app.loaded)
    for key in keys:
        await settled(pilot)
        await pilot.press(key)


@pytest.mark.parametrize("key", ["D", "f1"])
async def test_a_user_who_is_removed_elsewhere_is_left_once_nothing_is_over_them(key: str) -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await open_ada(pilot)
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, ModalScreen))
        over, user = app.screen, app.screen_stack[-2]
        await desk.remove_user("ada")
        await until(pilot, lambda: isinstance(user, UserScreen) and user._is_gone)
        await settled(pilot)
        assert app.screen is over
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
        assert len(app.screen_stack) == 1
        await until(pilot, lambda: toasts(app) == ["Removed ada with everything of theirs"])


async def test_removing_the_user_who_is_looked_at_ends_its_own_dialog_first() -> None:
    desk = busy_desk()
    may_answer = slow(desk, "remove_user")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await open_ada(pilot)
        user = app.screen
        assert isinstance(user, UserScreen)
        await pilot.press("D", *"ada", "enter")
        await until(pilot, lambda: user._is_gone)
        assert isinstance(app.screen, TypedScreen)
        may_answer.set()
        await until(pilot, lambda: isinstance(app.screen, UsersScreen))
        assert len(app.screen_stack) == 1
        await until(pilot, lambda: toasts(app) == ["Removed ada with everything of theirs"])


@pytest.mark.parametrize("over", ["f1", "ctrl+p", "ctrl+c"])
async def test_a_notification_that_was_sent_meanwhile_closes_its_form_afterwards(over: str) -> None:
    desk = busy_desk()
    may_answer = slow(desk, "test")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        desk.set_stats(in_flight=1)
        await until(pilot, lambda: app.stats and app.stats.in_flight)
        await show(app, pilot, "t")
        await pilot.press(*"ada", "ctrl+t")
        await commanded(pilot, desk, "test")
        await pilot.press(over)
        await until(pilot, lambda: not isinstance(app.screen, ComposeScreen))
        shown = app.screen
        may_answer.set()
        await until(pilot, lambda: toasts(app) == ["ada, 2 devices: ✓ 2 accepted"])
        assert app.screen is shown
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.is_running


@pytest.mark.parametrize(
    ("keys", "command", "made"),
    [
        (["e", *"ada", "ctrl+s"], "invite", InvitationScreen),
        (["6", "tab", "n", *"shop", "ctrl+s"], "create_token", NewTokenMadeScreen),
    ],
)
async def test_what_was_made_meanwhile_takes_the_place_of_its_form(
    keys: list[str], command: str, made: type[ModalScreen[None]]
) -> None:
    desk = busy_desk()
    may_answer = slow(desk, command)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show(app, pilot, keys[0])
        await pilot.press(*keys[1:])
        await commanded(pilot, desk, command)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        form = app.screen_stack[-2]
        assert isinstance(form, FormScreen)
        may_answer.set()
        await until(pilot, lambda: form.is_ending)
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape", "ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, made))
        assert len(app.screen_stack) == 2
        await pilot.press("escape")
        await settled(pilot)
        assert len(app.screen_stack) == 1
        assert [name for name, _ in desk.calls].count(command) == 1


async def test_a_form_that_asked_for_a_word_ends_once_with_it() -> None:
    desk = busy_desk()
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show(app, pilot, "6", "x")
        await until(pilot, lambda: isinstance(app.screen, FormScreen))
        form = app.screen
        assert isinstance(form, FormScreen)

        async def perform(confirm: str = "") -> str:
            await desk.rotate_key(confirm=confirm)
            return "done"

        form.perform = perform  # type: ignore[method-assign]  # no file is to be written
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, TypedScreen))
        await pilot.press(*"rotate", "enter")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert [name for name, _ in desk.calls] == ["rotate_key", "rotate_key"]
        await until(pilot, lambda: toasts(app) == ["Written to done, for your eyes only: keep it secret."])


async def test_two_escapes_close_one_dialog() -> None:
    app = console(busy_desk())
    async with app.run_test(size=WIDE) as pilot:
        await open_ada(pilot)
        user = app.screen
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, InviteScreen))
        form = app.screen
        assert isinstance(form, InviteScreen)
        form.action_close()
        form.action_close()
        await settled(pilot)
        assert app.screen is user
