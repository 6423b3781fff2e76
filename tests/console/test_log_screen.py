"""The Log screen: what it tells of a line, what it leaves out, and what it says when lines were not told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.console.log_lines import NotTold, in_full, json_line, what_happened
from pushdesk.console.screens.words import WordsScreen
from pushdesk.console.widgets.rows import Rows
from pushdesk.errors import PushdeskError
from pushdesk.filters import LogFilter
from pushdesk.model import LogEntry, LogLevel, PageQuery
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console, empty_desk, logged_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp
    from pushdesk.model import Page
    from tests.console.conftest import Snap

WIDE = (120, 40)


class Slow(FakeDesk):
    """A server that has not listed its log yet."""

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        await asyncio.Event().wait()
        return await super().log(query)


class Broken(FakeDesk):
    """A server that cannot list its log, for a while."""

    broken = True

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        if self.broken:
            raise PushdeskError("The log [/x] could not be read.", code="internal")
        return await super().log(query)


async def show_log(app: PushdeskApp, pilot: Pilot[Any], *keys: str) -> None:
    await until(pilot, lambda: app.loaded)
    await pilot.press("7")
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


def lines_of(app: PushdeskApp) -> list[Any]:
    rows: Rows[Any] = app.screen.query_one("#log", Rows)
    return rows.items


# What it looks like.


@every_size
def test_log(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✗ critical", "! warning", "- info", "· debug", "delivery_not_accepted", "bo  service=fcm", "following"]
    snap(console(logged_desk()), size, press=["7"], says=says)


@each_size
def test_log_of_a_level_and_a_text(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Log · filter: warning 01997e3f", "! warning", "turn_not_summarised"]
    snap(console(logged_desk()), size, press=["7", "slash", *"01997e3f", "enter", "l", "l"], says=says)


@smallest_size
def test_log_paused(snap: Snap, size: tuple[int, int]) -> None:
    desk = logged_desk()
    snap(
        console(desk),
        size,
        press=["7", "p"],
        says=["paused, 0 new", "delivery_accepted"],
        act=lambda: [desk.write("request_answered") for _ in range(7)],
        then_says=["paused, 7 new"],
    )


@smallest_size
def test_log_with_lines_that_were_not_told(snap: Snap, size: tuple[int, int]) -> None:
    desk = logged_desk(6)

    def write() -> None:
        desk.write("request_answered", user="ada")
        for _ in range(12):
            desk.write("request_answered", told=False)
        desk.write("server_ended")

    snap(
        console(desk),
        size,
        press=["7"],
        says=["settle_failed"],
        act=write,
        then_says=["… 12 lines were not told; R lists them", "server_ended"],
    )


@smallest_size
def test_log_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["7"], says=["Nothing was written yet."])


@smallest_size
def test_a_level_that_nothing_reaches(snap: Snap, size: tuple[int, int]) -> None:
    desk = empty_desk()
    desk.write("server_listening")
    snap(console(desk), size, press=["7", "l", "l"], says=["Nothing matches warning", "esc shows everything again"])


@smallest_size
def test_log_that_is_not_there_yet(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(Slow()), size, press=["7"], says=["loading…"], waits=True)


@smallest_size
def test_log_that_could_not_be_listed(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(Broken()), size, press=["7"], says=["This could not be listed.", "R tries again"])


@each_size
def test_a_line_of_the_log_in_full(snap: Snap, size: tuple[int, int]) -> None:
    says = ["2026-11-22T12:03:30.000Z", "delivery_not_accepted", "reason", "unsubscribed", "01997e3f001122334455"]
    snap(console(logged_desk()), size, press=["7", *["up"] * 6, "enter"], says=says)


@smallest_size
def test_log_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(logged_desk()), size, press=["7"], says=["✗ critical", "! warning", "- info", "· debug"])


# What it does.


async def test_lines_are_added_as_they_are_written() -> None:
    desk = empty_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot)
        desk.write("key_exported", LogLevel.WARNING, key="7f3a92aa")
        await until_says(pilot, "! warning", "key_exported", "key=7f3a92aa")


async def test_l_goes_through_the_levels_and_keeps_the_text() -> None:
    app = console(logged_desk())
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "slash", *"_accepted", "enter")
        levels = []
        for _ in range(5):
            levels.append({line.level for line in lines_of(app)})
            await pilot.press("l")
            await settled(pilot)
        debug, info = LogLevel.DEBUG, LogLevel.INFO
        assert levels == [{debug, info}, {info}, set(), set(), {debug, info}]
        await until_says(pilot, "filter: info _accepted")


async def test_a_level_that_was_typed_is_gone_on_from() -> None:
    app = console(logged_desk())
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "slash", *"Warning", "enter")
        await until(pilot, lambda: {line.level for line in lines_of(app)} == set(list(LogLevel)[2:]))
        await pilot.press("l")
        await until_says(pilot, "filter: error")
        await pilot.press("slash", *"critical", "enter")
        await until_says(pilot, "filter: critical")
        await pilot.press("l")
        await until(pilot, lambda: "filter" not in text_of(app))
        await pilot.press("l", "escape")
        await until(pilot, lambda: "filter:" not in text_of(app))


async def test_what_comes_by_itself_is_filtered_as_what_is_listed_is() -> None:
    desk = logged_desk(0)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "slash", *"warning disk", "enter")
        for level in LogLevel:
            desk.write("settle_failed", level, reason="disk full")
            desk.write("settle_failed", level, reason="locked")
        await until(pilot, lambda: len(lines_of(app)) == 3)
        listed = (await desk.log(PageQuery(filter="warning disk"))).items
        assert lines_of(app) == list(listed[::-1])


async def test_the_filter_is_remembered_with_the_view(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    app = console(logged_desk(), state_file=file)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "l", "l", "l")
        await until_says(pilot, "filter: error")
    again = console(logged_desk(), state_file=file)
    async with again.run_test(size=WIDE) as pilot:
        await until_says(pilot, "filter: error", "settle_failed")


async def test_lines_that_were_not_told_are_said_to_be_missing_and_are_listed_anew() -> None:
    desk = logged_desk(3)
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show_log(app, pilot)
        desk.write("request_answered", number=0)
        desk.write("request_answered", number=1, told=False)
        desk.write("request_answered", number=2)
        await until_says(pilot, "… 1 line was not told; R lists them", "number=2")
        assert "number=1" not in text_of(app)
        await pilot.press("up", "enter")
        await until_says(pilot, "1 line was not told.", "log file")
        await pilot.press("escape", "y")
        assert toasts(app)[-1].startswith("Copied: http")
        await pilot.press("R")
        await until_says(pilot, "number=1")
        assert "not told" not in text_of(app)
        # What was listed meanwhile is not missing.
        desk.write("request_answered", number=3, told=False)
        await pilot.press("R")
        await until_says(pilot, "number=3")
        desk.write("request_answered", number=4)
        await until_says(pilot, "number=4")
        assert "not told" not in text_of(app)


async def test_a_server_that_counts_anew_has_left_nothing_out() -> None:
    desk = logged_desk(20)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot)
        desk.write("request_answered")
        desk.lose()
        await until_says(pilot, "reconnecting")
        desk._lines.clear()
        desk.come_back(anew=True)
        await until(pilot, lambda: lines_of(app) == [])
        desk.write("server_listening")
        await until_says(pilot, "server_listening")
        assert "not told" not in text_of(app)


async def test_enter_shows_a_line_in_full_and_y_copies_it_as_json() -> None:
    app = console(logged_desk(3))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show_log(app, pilot, "y")
        assert toasts(app) == ["Copied the line as JSON"]
        line = json.loads(app.clipboard)
        assert list(line)[:4] == ["time", "level", "logger", "event"]
        assert (line["time"], line["event"]) == ("2026-11-22T12:03:42.000Z", "delivery_not_accepted")
        assert line["request"] == "5f0c9a3e7d214b68"
        app.copy_to_clipboard("")
        await pilot.press("enter")
        await until_says(pilot, "request", "5f0c9a3e7d214b68")
        assert isinstance(app.screen, WordsScreen)
        await pilot.press("y")
        assert json.loads(app.clipboard) == line


@pytest.mark.parametrize("key", ["escape", "enter", "q"])
async def test_a_line_in_full_is_closed_by_any_of_its_keys(key: str) -> None:
    app = console(logged_desk(3))
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "enter")
        assert isinstance(app.screen, WordsScreen)
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert app.current_mode == "log"


async def test_without_a_line_nothing_is_shown_and_the_address_is_copied() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await show_log(app, pilot, "enter", "y")
        assert len(app.screen_stack) == 1
        assert toasts(app) == ["Copied: http://localhost:8484"]


async def test_a_paused_log_counts_and_goes_on() -> None:
    desk = logged_desk(3)
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "p")
        desk.write("server_ended")
        await until_says(pilot, "paused, 1 new")
        assert "server_ended" not in text_of(app)
        await pilot.press("f")
        await until_says(pilot, "server_ended", "following")


async def test_another_level_is_listed_at_once_while_the_log_is_paused() -> None:
    desk = logged_desk()
    app = console(desk)
    async with app.run_test(size=WIDE) as pilot:
        await show_log(app, pilot, "p")
        desk.write("server_ended", LogLevel.WARNING)
        await until_says(pilot, "paused, 1 new")
        await pilot.press("l", "l")
        await until(pilot, lambda: {line.level for line in lines_of(app)} == set(list(LogLevel)[2:]))
        await until_says(pilot, "filter: warning", "paused, 0 new", "server_ended")


async def test_a_log_that_could_not_be_listed_is_asked_for_again() -> None:
    desk = Broken()
    desk.write("server_listening")
    app = console(desk)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        await show_log(app, pilot)
        await until_says(pilot, "This could not be listed.", "R tries again")
        assert "The log [/x] could not be read." in "".join(toasts(app))
        desk.broken = False
        await pilot.press("R")
        await until_says(pilot, "server_listening")


def test_a_line_tells_who_first_and_what_it_belongs_to_last() -> None:
    fields = {"request": "5f0c", "user": "ada", "status": 410, "device": "0199", "reason": "[/x]"}
    entry = LogEntry(1, NOON, LogLevel.INFO, "delivery_not_accepted", "pushdesk", fields)
    said = "delivery_not_accepted  ada  status=410  reason=[/x]  device=0199  request=5f0c"
    assert what_happened(entry).plain == said


def test_a_line_in_full_has_every_field_whole() -> None:
    fields = {"where": ["a.py:1", "b.py:2"], "ok": True, "text": "one\ntwo", "long": "x" * 900}
    text = in_full(LogEntry(1, NOON, LogLevel.ERROR, "settle_failed", "pushdesk", fields), NOON).plain
    for said in ("✗ error", '["a.py:1", "b.py:2"]', "ok      true", "one\ntwo", "x" * 900):
        assert said in text


@pytest.mark.parametrize("text", ["\ud800", "[/x]", "\x1b[31m", 'quo"te'])
def test_what_is_copied_is_json_and_can_be_copied(text: str) -> None:
    entry = LogEntry(1, NOON + timedelta(milliseconds=7), LogLevel.INFO, "event", "pushdesk", {"text": text})
    line = json_line(entry)
    line.encode()
    assert json.loads(line)["time"] == "2026-11-22T12:03:44.007Z"
    assert json.loads(line)["text"] == text.replace("\ud800", "?")


def test_lines_that_were_not_told_are_counted() -> None:
    assert NotTold(3, 1, NOON).says == "… 1 line was not told"
    assert NotTold(3, 12, NOON).says == "… 12 lines were not told"


@pytest.mark.parametrize(
    ("wanted", "level", "part"),
    [
        ("", None, ""),
        ("timeout", None, "timeout"),
        ("warning", LogLevel.WARNING, ""),
        ("Warning timeout", LogLevel.WARNING, "timeout"),
        ("error  disk full", LogLevel.ERROR, "disk full"),
        ("errors", None, "errors"),
        ("disk error", None, "disk error"),
        ("^warning", None, "^warning"),
    ],
)
def test_a_filter_is_a_level_a_part_or_both(wanted: str, level: LogLevel | None, part: str) -> None:
    found = LogFilter.of(wanted)
    assert found == (level, part)
    assert LogFilter.of(str(found)) == found
