"""The last line of every screen: what can be done here, in one line of any width."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
from textual.content import Content

from pushdesk.console.screens import SCREENS
from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.help import HelpScreen
from pushdesk.console.widgets.key_line import Hint, KeyLine, fit
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk, rotated_desk

if TYPE_CHECKING:
    from pushdesk.console.app import PushdeskApp


def hint(key: str, label: str, action: str = "", *, enabled: bool = True) -> Hint:
    return Hint(key, key, label, action or label.lower(), "", enabled=enabled)


HINTS = (hint("r", "Rotate"), hint("slash", "Filter"), hint("?", "Help"), hint("q", "Quit"))


@pytest.mark.parametrize(
    ("room", "labels", "gap"),
    [
        (41, ["Rotate", "Filter", "Help", "Quit"], 3),
        (40, ["Rotate", "Filter", "Help", "Quit"], 2),
        (38, ["Rotate", "Filter", "Help", "Quit"], 2),
        (37, ["Rotate", "more", "Quit"], 2),
        (23, ["more", "Quit"], 2),
        (22, ["more", "Quit"], 2),
        (1, ["more", "Quit"], 2),
    ],
)
def test_what_does_not_fit_is_left_out_from_the_end_and_said_to_be_more(room: int, labels: list[str], gap: int) -> None:
    shown, between = fit(HINTS, room)
    assert ([each.label for each in shown], between) == (labels, gap)


def test_what_does_nothing_now_is_left_out_before_what_can_be_done() -> None:
    hints = (hint("r", "Rotate"), hint("d", "Retire", enabled=False), hint("b", "Roll", enabled=False), *HINTS[1:])
    for room, labels in (
        (48, ["Rotate", "Retire", "Filter", "more", "Quit"]),
        (40, ["Rotate", "Filter", "more", "Quit"]),
        (37, ["Rotate", "more", "Quit"]),
    ):
        assert [each.label for each in fit(hints, room)[0]] == labels


@pytest.mark.parametrize("columns", [40, 80, 81, 100, 120, 200])
async def test_every_screen_tells_its_own_keys_first_and_how_to_quit_last_in_one_line(columns: int) -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(columns, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        for entry in SCREENS:
            await pilot.press(entry.key)
            await settled(pilot)
            line = text_of(app).splitlines()[-1]
            assert line.rstrip().endswith("q Quit")
            assert ("? more" in line) is ("? Help" not in line)
            assert Content(line).cell_length == columns
            if "Test send" in line and "Filter" in line:
                assert line.index("Filter") < line.index("Test send")


async def test_the_keys_of_the_screen_come_first() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        line = text_of(app).splitlines()[-1]
        labels = ("Details", "Why?", "Remove", "Filter", "Sort", "Test send", "Invite", "Command", "Help", "Quit")
        assert sorted(labels, key=line.index) == list(labels)


async def test_while_somebody_types_no_key_is_told_that_would_be_typed() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3", "slash")
        await until(pilot, lambda: text_of(app).splitlines()[-1].strip() == "⏎ Filter   esc Clear")


async def test_a_click_presses_the_key_and_one_that_cannot_be_pressed_says_why() -> None:
    app = console(empty_desk())
    async with app.run_test(size=(120, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        line = text_of(app).splitlines()[-1]
        await pilot.click(KeyLine, offset=(line.index("Remove"), 0))
        await until(pilot, lambda: toasts(app) == ["No subscription is selected."])
        await pilot.click(KeyLine, offset=(line.index("Test send") + 8, 0))
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))


async def test_what_is_not_possible_is_in_brackets_which_take_no_room() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(160, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6", " ⏎ Details ")
        possible = re.sub("[()]", " ", text_of(app).splitlines()[-1])
        await pilot.press("slash", *"nobody", "enter")
        await until_says(pilot, "(⏎ Details)", "(w Why?)", "(T Test)", "(d Remove)", " / Filter ")
        assert re.sub("[()]", " ", text_of(app).splitlines()[-1]) == possible


@pytest.mark.parametrize("place", ["1", "4"])
async def test_the_overview_and_the_cache_tell_that_it_can_be_asked_why(place: str) -> None:
    app = console(busy_desk())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(place)
        await until(pilot, lambda: " w Why? " in text_of(app).splitlines()[-1])


async def test_the_mouse_over_a_key_tells_what_it_does_or_why_it_does_nothing() -> None:
    app = console(empty_desk())
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        line = text_of(app).splitlines()[-1]
        keys = app.screen.query_one(KeyLine)
        await pilot.hover(KeyLine, offset=(line.index("Filter"), 0))
        await until(pilot, lambda: keys.tooltip == "Show what contains…")
        await pilot.hover(KeyLine, offset=(line.index("Remove"), 0))
        await until(pilot, lambda: keys.tooltip == "No subscription is selected.")
        await pilot.hover(KeyLine, offset=(118, 0))
        await until(pilot, lambda: keys.tooltip is None)


@pytest.mark.parametrize("columns", [80, 120])
async def test_under_a_dialog_are_its_keys_and_those_of_the_one_on_top_where_several_are(columns: int) -> None:
    app = console(busy_desk())
    async with app.run_test(size=(columns, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        for key, line in (
            ("e", "esc Close   ^s Submit"),
            ("t", "esc Close   ^s Send   ^t Test push"),
            ("d", "esc Close"),
        ):
            await pilot.press(key)
            await until(pilot, partial(_ends_with, app, line))
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen) and _last_line(app) == "esc Close")
            await pilot.press("escape")
            await until(pilot, partial(_ends_with, app, line))
            await pilot.press("escape")
            await until(pilot, lambda: "q Quit" in _last_line(app))


async def test_a_dialog_about_one_thing_has_one_line_of_keys() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        await pilot.press("enter")
        await until(pilot, lambda: "w Why?" in _last_line(app))
        assert len(app.screen.query(KeyLine)) == 1


async def test_a_question_says_that_escape_closes_it() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await until_says(pilot, "1 to 6")
        await pilot.press("d")
        await until_says(pilot, "esc closes")


async def test_a_filter_says_that_enter_filters() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3", "slash")
        await until_says(pilot, "part of a user's name; ^ and its beginning · enter filters")


def _ends_with(app: PushdeskApp, line: str) -> bool:
    return _last_line(app) == line


def _last_line(app: PushdeskApp) -> str:
    return text_of(app).splitlines()[-1].strip()
