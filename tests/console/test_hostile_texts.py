"""Texts from outside in every field: shown as text, or not at all."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from pushdesk.console.text import plain, plain_lines
from pushdesk.errors import PushdeskError
from tests.console.hostile import HOSTILE, assert_harmless, hostile_desk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("markup", (80, 24)),
        ("escape", (120, 40)),
        ("override", (80, 24)),
        ("huge", (80, 24)),
        ("huge", (120, 40)),
        ("surrogate", (120, 40)),
        ("combining", (80, 24)),
        ("invisible", (80, 24)),
    ],
)
async def test_no_screen_is_moved_by_them(name: str, size: tuple[int, int]) -> None:
    text = HOSTILE[name]
    desk = hostile_desk(text)
    app = console(desk)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        for keys in (
            "1",
            "question_mark",
            "escape",
            "2",
            "enter",
            "escape",
            "4",
            "enter",
            "escape",
            "7",
            "enter",
            "escape",
            "3",
            "enter",
            "escape",
            "5",
            "enter",
            "escape",
            "6",
            "enter",
            "escape",
            "tab",
            "enter",
            "escape",
            "d",
            "escape",
            "f1",
            "escape",
            "t",
            "escape",
        ):
            await pilot.press(keys)
            await settled(pilot)
            assert_harmless(text_of(app))
        for key in ("3", "d", "escape", "e", "ctrl+s", "escape", "T", "y", "colon", "escape"):
            await pilot.press(key)
            await settled(pilot)
            assert_harmless(text_of(app))
        desk.refusals.append(PushdeskError(text, hint=text))
        await pilot.press("T")
        await until(pilot, lambda: len(toasts(app)) == 3)
        for toast in toasts(app):
            assert_harmless(toast)
        await pilot.press("1")
        await settled(pilot)
        assert_harmless(text_of(app))


async def test_markup_is_shown_as_it_was_written() -> None:
    app = console(hostile_desk("[/x][b]bo[/b]"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until_says(pilot, "[/x][b]bo[/")
        await pilot.press("t")
        await until_says(pilot, "[/x][b]bo[/b]")
        assert "[/x]" in str(app.screen.query_one("#preview", Static).content)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a\x1b[1;31mb\x1b[0mc", "abc"),
        ("a\x1b]8;;http://evil\x1b\\link\x1b]8;;\x07", "alink"),
        ("a\x9b31mb", "ab"),
        ("a\x1bPq#0\x1b\\b", "ab"),
        ("a\x1b(0b", "ab"),
        ("a\x1b", "a"),
        ("line\r\nline\u2028line\tend", "line line line end"),
        ("abc\u202edef\u2066", "abcdef"),
        ("nul\x00bell\x07", "nulbell"),
        ("a\ud800b", "a\ufffdb"),
        ("soft\u00adhyphen\u3164filler", "softhyphenfiller"),
        ("a" + "\u0301" * 3000 + "b", "a" + "\u0301" * 3 + "b"),
        ("\U0001f469\u200d\U0001f4bb Zoë 漢字", "\U0001f469\u200d\U0001f4bb Zoë 漢字"),
    ],
)
def test_a_text_is_cleaned(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_text_is_cut() -> None:
    assert plain("x" * 10_000_000, longest=10) == "xxxxxxxxx…"


def test_line_breaks_can_be_kept() -> None:
    assert plain_lines("a\r\nb\x1b[2J\nc") == "a\nb\nc"
