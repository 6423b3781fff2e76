"""How a server was looked at survives a restart of the console and a lost connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pushdesk.console.app import PushdeskApp
from pushdesk.console.widgets.rows import Rows
from pushdesk.model import Scope
from tests.console.fake_desk import NOON, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console

if TYPE_CHECKING:
    from pathlib import Path

WIDE = (120, 40)
LISTED = ["2", "3", "4", "5", "7"]
"""The keys of the screens that have a list with a filter."""


def crowded_desk() -> FakeDesk:
    desk = busy_desk()
    for number in range(250):
        desk.subscribe(f"crowd-{number:03}")
    return desk


@pytest.mark.parametrize("key", LISTED)
async def test_a_filter_is_there_again_after_a_restart(tmp_path: Path, key: str) -> None:
    file = tmp_path / "console.json"
    app = console(busy_desk(), state_file=file)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press(key)
        await settled(pilot)
        await pilot.press("slash", "a", "d", "enter")
        await until_says(pilot, "filter: ad")
    again = console(busy_desk(), state_file=file)
    async with again.run_test(size=WIDE) as pilot:
        await until_says(pilot, "filter: ad")
        await pilot.press("slash", "end", "a", "enter")
        await until_says(pilot, "filter: ada")
        await pilot.press("escape")
        await until(pilot, lambda: "filter:" not in text_of(again))
    once_more = console(busy_desk(), state_file=file)
    async with once_more.run_test(size=WIDE) as pilot:
        await until(pilot, lambda: once_more.loaded)
        await settled(pilot)
        assert "filter:" not in text_of(once_more)


async def test_each_server_has_a_view_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "console.json"

    def attached(url: str) -> PushdeskApp:
        desk = busy_desk()
        desk.set_stats(url=url)
        return PushdeskApp(desk, url=url, mode="attached", now=lambda: NOON, state_file=file)

    first = attached("https://one.example")
    async with first.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("slash", "a", "d", "a", "enter", "s")
        await until_says(pilot, "filter: ada", "user ▲")
    second = attached("https://two.example")
    async with second.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Happening now")
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ", "subscribed ▼")
    third = attached("https://one.example")
    async with third.run_test(size=WIDE) as pilot:
        await until_says(pilot, "filter: ada", "user ▲")


@pytest.mark.parametrize("quits", [("q", "q"), ("q", "right", "enter")])
async def test_the_focus_is_where_it_was(tmp_path: Path, quits: tuple[str, ...]) -> None:
    file = tmp_path / "console.json"
    app = console(busy_desk(), state_file=file)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Happening now")
        assert app.focused is not None
        first = app.focused.id
        await pilot.press("tab")
        await until(pilot, lambda: isinstance(app.focused, Rows) and app.focused.id != first)
        second = app.focused.id
        await pilot.press(*quits)
    again = console(busy_desk(), state_file=file)
    async with again.run_test(size=WIDE) as pilot:
        await until_says(pilot, "Happening now")
        await until(pilot, lambda: again.focused is not None and again.focused.id == second)


@pytest.mark.parametrize("anew", [False, True])
async def test_page_filter_sort_and_cursor_survive_a_lost_connection(*, anew: bool) -> None:
    desk = crowded_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 100 ·")
        await pilot.press("slash", *"crowd", "enter", "s")
        await until_says(pilot, "user ▲", "filter: crowd", "crowd-000")
        await pilot.press("right_square_bracket")
        await until_says(pilot, "101 to 200", "crowd-100")
        await pilot.press("down", "down")
        rows = app.screen.query_one(Rows)
        assert rows.current is not None
        chosen = rows.current.user
        assert chosen == "crowd-102"
        desk.lose()
        await until_says(pilot, "↻ reconnecting", "crowd-102")
        await pilot.press("R")
        assert toasts(app) == ["The connection is lost; it is tried again all the time."]
        desk.come_back(anew=anew)
        await until(pilot, lambda: "reconnecting" not in text_of(app))
        await settled(pilot)
        await until_says(pilot, "user ▲", "filter: crowd", "101 to 200")
        assert rows.current is not None
        assert rows.current.user == chosen
        assert app.focused is rows


async def test_a_console_that_was_opened_to_look_refuses_every_command_with_the_reason() -> None:
    app = PushdeskApp(busy_desk(), url=URL, mode="attached", now=lambda: NOON, read_only=True)
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "READ-ONLY")
        await pilot.press("t")
        await pilot.press("e")
        assert toasts(app) == ["This console was opened with --read-only."]
        await pilot.press("3")
        await until_says(pilot, "1 to 6 of 6 · ")
        await pilot.press("d", "T", "s")
        await until_says(pilot, "user ▲")
        assert toasts(app) == ["This console was opened with --read-only."]
        await pilot.press("question_mark")
        await until_says(pilot, "(not now: This console was opened")


async def test_a_token_that_may_only_look_dims_commands_until_another_server_process_says_otherwise() -> None:
    desk = busy_desk()
    desk.allowed = frozenset({Scope.READ})
    app = console(desk, mode="attached")
    async with app.run_test(size=WIDE) as pilot:
        await until_says(pilot, "READ-ONLY")
        await pilot.press("t")
        assert toasts(app) == ["Your access token allows to look, not to change anything."]
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk.allowed = frozenset(Scope)
        desk.come_back()
        await until(pilot, lambda: "READ-ONLY" not in text_of(app))
        await pilot.press("t")
        await until_says(pilot, "To user")
