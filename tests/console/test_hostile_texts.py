"""Texts from outside in every field: shown as text, or not at all."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from pushdesk.console.text import plain, plain_lines
from pushdesk.errors import PushdeskError
from pushdesk.model import KeyState, Outcome, Service, ServiceHealth
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console

HOSTILE = {
    "markup": "[/x][red]boo[/red][@click=app.quit]press[/]",
    "escape": "\x1b[31mred\x1b[0m\x1b]0;title\x07\x1b]8;;http://evil\x1b\\link\x9b2J\x00\r\n\x07",
    "override": "\u202egnirts\u202c\u2066x\u2069\u200f",
    "huge": "W\u0301\U0001f469\u200d\U0001f4bb" * 20_000,
    "surrogate": "a\ud800b",
}


def hostile_desk(text: str) -> FakeDesk:
    desk = FakeDesk()
    one = desk.subscribe(text, browser=text, platform=text, fingerprint=text, key_id=text)
    desk.deliver(one, Outcome.REFUSED, reason=text, device=text, next_attempt_at=NOON)
    desk.hold_key(text, KeyState.RETIRING, retiring_at=NOON, before={Service.MOZILLA: 2})
    desk.set_stats(
        storage=text,
        version=text,
        key_id=text,
        url=text,
        warnings=(text,),
        services=(ServiceHealth(Service.FCM, sent=1, last_error=text, last_error_at=NOON),),
    )
    return desk


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("markup", (80, 24)),
        ("escape", (120, 40)),
        ("override", (80, 24)),
        ("huge", (80, 24)),
        ("huge", (120, 40)),
        ("surrogate", (120, 40)),
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
            "3",
            "enter",
            "escape",
            "5",
            "enter",
            "escape",
            "6",
            "enter",
            "escape",
            "t",
            "escape",
        ):
            await pilot.press(keys)
            await settled(pilot)
            _assert_harmless(text_of(app))
        for key in ("3", "d", "escape", "e", "ctrl+s", "escape", "T", "y", "colon", "escape"):
            await pilot.press(key)
            await settled(pilot)
            _assert_harmless(text_of(app))
        desk.refusals.append(PushdeskError(text, hint=text))
        await pilot.press("T")
        await until(pilot, lambda: len(toasts(app)) == 3)
        for toast in toasts(app):
            _assert_harmless(toast)
        await pilot.press("1")
        await settled(pilot)
        _assert_harmless(text_of(app))


def _assert_harmless(text: str) -> None:
    for character in text:
        assert character == "\n" or character.isprintable() or character in "\u200d\xa0", repr(character)


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
        ("\U0001f469\u200d\U0001f4bb Zoë 漢字", "\U0001f469\u200d\U0001f4bb Zoë 漢字"),
    ],
)
def test_a_text_is_cleaned(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_long_text_is_cut() -> None:
    assert plain("x" * 10_000_000, longest=10) == "xxxxxxxxx…"


def test_line_breaks_can_be_kept() -> None:
    assert plain_lines("a\r\nb\x1b[2J\nc") == "a\nb\nc"
