"""Inviting a browser: the form, the invitation with its QR code, and what is left when it is closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import segno
from rich.color import Color
from textual.widgets import Input

from pushdesk.console.qr import CELLS
from pushdesk.console.screens.invite import InvitationScreen, InviteScreen
from pushdesk.console.widgets.qr_code import QrCode
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.model import Invitation, PageQuery
from tests.console.fake_desk import CODE, URL, FakeDesk
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console, empty_desk

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.console.app import PushdeskApp

LINK = f"{URL}/enroll#{CODE}"
HALVES = {cell: pair for pair, cell in CELLS.items()}
BLACK, WHITE = Color.parse("#000000").triplet, Color.parse("#ffffff").triplet


def desk_of(*users: str) -> FakeDesk:
    """Return a server with a device of each of these users, the last one the newest."""
    desk = FakeDesk()
    for user in users:
        desk.subscribe(user)
    return desk


def scanned(app: PushdeskApp) -> list[list[bool]]:
    """Return the modules of the QR code on the screen, as a camera sees them: dark or light."""
    code = app.screen.query_one(QrCode)
    rows: list[list[bool]] = []
    for strip in app.screen._compositor.render_strips()[code.region.y : code.region.bottom]:
        upper: list[bool] = []
        lower: list[bool] = []
        for segment in strip.crop(code.region.x, code.region.right):
            assert segment.style is not None
            ink, paper = segment.style.color, segment.style.bgcolor
            assert (ink and ink.triplet, paper and paper.triplet) == (BLACK, WHITE)
            assert not segment.style.reverse
            for cell in segment.text:
                upper.append(HALVES[cell][0])
                lower.append(HALVES[cell][1])
        rows += [upper, lower]
    return rows


def wanted(link: str, border: int) -> list[list[bool]]:
    return [[bool(each) for each in row] for row in segno.make_qr(link, error="l").matrix_iter(border=border)]


@pytest.mark.parametrize(
    ("theme", "no_color"),
    [("pushdesk-dark", ""), ("pushdesk-light", ""), ("ansi-dark", ""), ("pushdesk-dark", "1"), ("ansi-light", "1")],
)
async def test_the_qr_code_on_the_screen_is_the_link(
    theme: str, no_color: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    app = console(desk_of("ada", "bo"))
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "enter", "enter")
        await until_says(pilot, "for ada", CODE)
        modules = scanned(app)
        code = wanted(LINK, border=4)
        assert modules[: len(code)] == code
        assert not any(any(row) for row in modules[len(code) :])


async def test_an_invitation_says_for_whom_until_when_and_how() -> None:
    desk = desk_of("ada", "bo")
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e")
        assert isinstance(app.screen, InviteScreen)
        await pilot.press(*"ada", "tab", *"90m", "ctrl+s")
        await until_says(pilot, "for ada", "until 13:33:44", CODE, "link", "! Not https")
        assert desk.calls == [("invite", ("ada", 5400))]
        assert toasts(app) == []


async def test_the_row_under_the_cursor_says_who_is_invited() -> None:
    app = console(desk_of("ada", "bo"))
    async with app.run_test() as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 2 of 2 · ")
        await pilot.press("down", "e")
        assert app.screen.query_one("#user", Input).value == "ada"
        await pilot.press(*"eve")
        assert app.screen.query_one("#user", Input).value == "eve"


async def test_the_palette_invites_too() -> None:
    app = console(empty_desk())
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("colon", *"invite")
        await until_says(pilot, "Invite a user's browser")
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, InviteScreen))


async def test_nobody_is_invited_before_the_server_answers() -> None:
    app = console(FakeDesk(reachable=False))
    async with app.run_test(notifications=True) as pilot:
        await pilot.press("e")
        assert not isinstance(app.screen, InviteScreen)
        assert toasts(app) == ["The server does not answer yet."]


async def test_a_form_that_is_not_complete_asks_for_nothing() -> None:
    desk = desk_of("ada", "bo")
    app = console(desk)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e")
        for submitted_by in ("ctrl+s", "enter"):
            await pilot.press(submitted_by)
            await until_says(pilot, "A user is needed")
            assert app.screen.query_one("#user", Input).has_focus
            await pilot.press(*"ada", "backspace", "backspace", "backspace")
            await until(pilot, lambda: "A user is needed" not in text_of(app))
        await pilot.press(*"ada")
        for typed in ("", "24", "0", "59s", "31d", "one day", "-1h", "٣h", "1e3s"):
            app.screen.query_one("#expires", Input).value = typed
            await until(pilot, lambda: "How long" not in text_of(app))
            await pilot.press("ctrl+s")
            await until_says(pilot, "How long it is valid must be a duration")
        assert desk.calls == []


@pytest.mark.parametrize(
    "error",
    [
        PushdeskError("A user's id has no [/x] slash.", code="bad_field", fields=("user",)),
        UnreachableError("The server has no [/x] slash."),
    ],
)
async def test_a_refusal_leaves_what_was_written(error: PushdeskError) -> None:
    desk = desk_of("ada", "bo")
    desk.refusals.append(error)
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"a/b", "ctrl+s")
        await until_says(pilot, "has no [/x] slash.")
        assert app.screen.query_one("#user", Input).value == "a/b"
        assert toasts(app) == []
        await pilot.press("ctrl+s")
        await until_says(pilot, "A user's id has no slash.")
        await pilot.press("escape")
        await until_says(pilot, "✗ error")


async def test_two_presses_make_one_invitation() -> None:
    class Slow(FakeDesk):
        def __init__(self) -> None:
            super().__init__()
            self.may_answer = asyncio.Event()

        async def invite(self, user: str, expires_s: int = 86400) -> Invitation:
            made = await super().invite(user, expires_s)
            await self.may_answer.wait()
            return made

    desk = Slow()
    app = console(desk)
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "ctrl+s", "ctrl+s", "ctrl+s")
        await until_says(pilot, "one moment…")
        desk.may_answer.set()
        await until_says(pilot, CODE)
        await pilot.press("escape")
        await settled(pilot)
        assert desk.calls == [("invite", ("ada", 86400))]
        assert not isinstance(app.screen, InviteScreen)


@pytest.mark.parametrize("key", ["escape", "q"])
async def test_closing_leaves_nothing_behind(key: str, tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    desk = desk_of("ada", "bo")
    app = console(desk, state_file=file)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("3")
        await settled(pilot)
        await pilot.press("e", "ctrl+s")
        await until_says(pilot, CODE)
        await pilot.press("y")
        assert app.clipboard == LINK
        assert toasts(app) == ["Copied the link"]
        await pilot.press(key)
        await until(pilot, lambda: not isinstance(app.screen, InvitationScreen))
        for screen in ("1", "3", "5", "6"):
            await pilot.press(screen)
            await settled(pilot)
            assert CODE not in text_of(app)
            assert "enroll#" not in text_of(app)
        assert not app.failures
        assert CODE not in "".join(toasts(app))
        assert (await desk.log(PageQuery())).items == ()
    assert CODE not in file.read_text()


async def test_the_buttons_copy_and_close() -> None:
    app = console(desk_of("ada", "bo"))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "ctrl+s")
        await until_says(pilot, CODE)
        # One that was meant for the form.
        await pilot.press("enter")
        await pilot.click("#copy")
        assert app.clipboard == LINK
        await pilot.click("#close")
        assert not isinstance(app.screen, InvitationScreen)


async def test_a_terminal_that_is_too_small_says_so_and_shows_the_code_once_it_is_larger() -> None:
    app = console(desk_of("ada", "bo"))
    async with app.run_test(size=(60, 19)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "ctrl+s")
        await until_says(pilot, CODE, "too small for", "71", "columns and")
        assert not app.screen.query_one(QrCode).display
        await pilot.resize_terminal(71, 20)
        await until(pilot, lambda: app.screen.query_one(QrCode).display)
        assert "too small" not in text_of(app)
        code = wanted(LINK, border=2)
        assert scanned(app)[: len(code)] == code
        await pilot.resize_terminal(70, 20)
        await until_says(pilot, "too small for")


@pytest.mark.parametrize("size", [(100, 24), (120, 40)])
async def test_where_there_is_room_the_link_is_one_line_that_the_mouse_can_copy(size: tuple[int, int]) -> None:
    app = console(desk_of("ada", "bo"))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "ctrl+s")
        await until_says(pilot, CODE, LINK)
        assert app.screen.query_one(QrCode).display


async def test_a_link_that_is_too_long_for_any_code_is_shown_without_one() -> None:
    desk = desk_of("ada", "bo")
    desk.set_stats(url="https://" + "a" * 4000 + ".example.org")
    app = console(desk)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("e", *"ada", "ctrl+s")
        await until_says(pilot, CODE, "too long for a QR code", "Close")


async def test_a_name_that_cannot_be_typed_is_not_suggested() -> None:
    desk = FakeDesk()
    desk.subscribe("a\u202eb\x1b[31m")
    app = console(desk)
    async with app.run_test() as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 1 of 1 · ")
        await pilot.press("e")
        assert app.screen.query_one("#user", Input).value == ""


@pytest.mark.parametrize(
    "user",
    ["[red]bo[@click=app.quit]", "漢" * 128, "x\u0323\u0302\u0301" * 32],
    ids=["markup", "wide", "combining"],
)
async def test_a_name_is_shown_as_it_was_written_and_no_longer_than_there_is_room(user: str) -> None:
    app = console(desk_of(user))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_says(pilot, "1 to 1 of 1 · ")
        await pilot.press("e", "ctrl+s")
        await until_says(pilot, user[:12], CODE, "Close")
        code = wanted(LINK, border=4)
        assert scanned(app)[: len(code)] == code
