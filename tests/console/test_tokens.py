"""The access tokens on the Keys screen: what is told of them, how one is made, and how one ends."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from textual.widgets import Input, Static

from pushdesk.console.screens.confirm import ConfirmScreen
from pushdesk.console.screens.token_forms import NewTokenMadeScreen, NewTokenScreen
from pushdesk.console.screens.tokens import cost
from pushdesk.console.widgets.rows import Rows
from pushdesk.console.widgets.tick import Tick
from pushdesk.errors import PushdeskError
from pushdesk.model import AccessToken, Scope
from tests.console.fake_desk import NOON
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import console, empty_desk, let_in, rotated_desk

if TYPE_CHECKING:
    from typing import Any

    from textual.pilot import Pilot

    from pushdesk.console.app import PushdeskApp

SECRET = "_made-up"
"""How what is secret of a made-up server's tokens ends."""


async def show_tokens(app: PushdeskApp, pilot: Pilot[Any], *keys: str) -> None:
    await until(pilot, lambda: app.loaded)
    await pilot.press("6", "tab")
    await until(pilot, lambda: app.screen.query_one("#access-tokens", Rows).has_focus)
    await settled(pilot)
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


async def test_tokens_are_listed_with_what_they_allow_and_when_they_were_last_used() -> None:
    app = console(let_in(rotated_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await show_tokens(app, pilot)
        lines = text_of(app).splitlines()
        first = next(number for number, line in enumerate(lines) if "last used" in line) + 1
        laptop, shop, grafana = lines[first : first + 3]
        assert "mira's laptop" in laptop
        assert "read, admin" in laptop
        assert "never" in laptop
        assert "shop checkout, production" in shop
        assert "12:03:04" in shop
        assert "2026-05-06" in grafana
        assert f"{0x31:026x}" in grafana


async def test_tab_goes_between_the_tables_and_each_has_its_own_commands() -> None:
    app = console(let_in(rotated_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await show_tokens(app, pilot)
        await until_says(pilot, "n New token")
        assert "Rotate" not in text_of(app).splitlines()[-1]
        await pilot.press("shift+tab")
        await until_says(pilot, "r Rotate")
        assert "New token" not in text_of(app).splitlines()[-1]
        await pilot.press("tab", "d")
        await until_says(pilot, "Revoke this access token?")


async def test_a_key_of_the_other_table_says_where_it_is_of_use() -> None:
    desk = let_in(rotated_desk())
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_tokens(app, pilot, "r")
        await until(pilot, lambda: toasts(app) == ["Rotate is a key of the table VAPID keys: tab goes there."])
        await pilot.press("shift+tab", "n")
        await until(
            pilot, lambda: toasts(app)[1:] == ["New token is a key of the table Access tokens: tab goes there."]
        )
        assert len(app.screen_stack) == 1
        await pilot.press("slash", *"rn")
        await settled(pilot)
        assert len(toasts(app)) == 2
        assert desk.calls == []


async def test_tokens_are_sorted_and_filtered_on_the_server() -> None:
    app = console(let_in(rotated_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await show_tokens(app, pilot, "s")
        await until_says(pilot, "name ▲")
        assert [token.name for token in _tokens(app)] == ["grafana", "mira's laptop", "shop checkout, production"]
        await pilot.press("slash", *"shop", "enter")
        await until_says(pilot, "Access tokens · filter: shop", "1 to 1")
        await pilot.press("slash", *"zz", "enter")
        await until_says(pilot, "No token's name contains")


async def test_a_token_is_made_and_shown_once_and_nothing_repeats_it() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_tokens(app, pilot, "n")
        assert isinstance(app.screen, NewTokenScreen)
        await pilot.press("ctrl+s")
        await until_says(pilot, "It needs a name, by which it is known later.")
        await pilot.press(*"shop", "tab", "space", "ctrl+s")
        await until_says(pilot, "Choose what it allows.")
        await pilot.press("tab", "space")
        await until(pilot, lambda: "Choose what it allows." not in text_of(app))
        await pilot.press("ctrl+s")
        await until_says(pilot, SECRET, "for    shop", "allows read", "nobody can show it again")
        screen = app.screen
        assert isinstance(screen, NewTokenMadeScreen)
        await pilot.press("enter")
        assert app.screen is screen
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard.endswith(SECRET))
        assert toasts(app) == ["Copied the token"]
        await pilot.press("escape")
        await until_says(pilot, "shop", "read", "never")
        assert SECRET not in text_of(app)
        assert SECRET not in repr(vars(screen))
        await pilot.press("7")
        await settled(pilot)
        assert SECRET not in text_of(app)
        assert [call for call in desk.calls if call[0] == "create_token"] == [("create_token", "shop")]


async def test_the_buttons_under_a_new_token_do_what_they_say() -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await show_tokens(app, pilot, "n", *"shop", "ctrl+s")
        await until_says(pilot, SECRET)
        await pilot.click("#copy")
        await until(pilot, lambda: toasts(app) == ["Copied the token"])
        await pilot.click("#close")
        await until(pilot, lambda: len(app.screen_stack) == 1)


@pytest.mark.parametrize("columns", [99, 120])
async def test_a_new_token_is_one_line_that_the_mouse_can_copy(columns: int) -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(columns, 24)) as pilot:
        await show_tokens(app, pilot, "n", *"shop", "ctrl+s")
        await until_says(pilot, SECRET)
        shown = app.screen.query_one("#token", Static)
        # As long as those that the server makes: pdk_, an id, 64 digits.
        assert shown.content_size.width >= len("pdk_") + 26 + len("_") + 64


async def test_a_token_that_the_server_refuses_leaves_the_form() -> None:
    desk = rotated_desk()
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_tokens(app, pilot, "n", *"shop")
        desk.refusals.append(PushdeskError("The disk [/x] is full.", code="disk_full", hint="Make room."))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: _answer(app) == "The disk [/x] is full. Make room.")
        assert app.screen.query_one("#name", Input).value == "shop"
        assert toasts(app) == []
        assert [box.value for box in app.screen.query(Tick)] == [True, False, False]


async def test_a_token_is_revoked_after_a_question_whose_focus_does_nothing() -> None:
    desk = let_in(rotated_desk())
    app = console(desk)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await show_tokens(app, pilot, "d")
        assert isinstance(app.screen, ConfirmScreen)
        await until_says(pilot, "mira's laptop ends at once", "It was never used.", "manage this server")
        await pilot.press("enter")
        await settled(pilot)
        assert desk.calls == []
        await pilot.press("d", "right", "enter")
        await until(pilot, lambda: toasts(app) == ["Revoked mira's laptop: whoever shows it is refused."])
        await until(pilot, lambda: [token.name for token in _tokens(app)] == ["shop checkout, production", "grafana"])
        assert desk.calls == [("revoke_token", f"{0x33:026x}")]


async def test_what_happens_to_tokens_elsewhere_is_seen() -> None:
    desk = let_in(rotated_desk())
    app = console(desk)
    async with app.run_test(size=(120, 40)) as pilot:
        await show_tokens(app, pilot)
        made = await desk.create_token("backup job", [Scope.READ])
        await until_says(pilot, "backup job", "1 to 4")
        await desk.revoke_token(made.access.id)
        await until(pilot, lambda: "backup job" not in text_of(app))


async def test_y_copies_the_id_of_a_token_and_enter_shows_it_in_full() -> None:
    app = console(let_in(rotated_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await show_tokens(app, pilot, "y")
        assert app.clipboard == f"{0x33:026x}"
        await pilot.press("enter")
        await until_says(pilot, "admin: everything", "when it was made; only its")


async def test_without_a_token_there_is_none_to_revoke() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await show_tokens(app, pilot, "d")
        assert toasts(app) == ["No access token is selected."]
        await until_says(pilot, "There are no access tokens.", "n makes one")


@pytest.mark.parametrize("keys", ["rdbvix", "\tnd"], ids=["VAPID keys", "access tokens"])
async def test_who_may_only_look_changes_nothing_and_is_told_why(keys: str) -> None:
    desk = let_in(rotated_desk())
    app = console(desk, read_only=True)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        for key in keys:
            await pilot.press("tab" if key == "\t" else key)
        await settled(pilot)
        assert toasts(app) == ["This console was opened with --read-only."]
        assert len(app.screen_stack) == 1
        assert desk.calls == []


@pytest.mark.parametrize(
    ("scopes", "used", "said"),
    [
        ((Scope.NOTIFY,), None, ["It was never used.", "send nothing any more"]),
        ((Scope.READ,), NOON - timedelta(minutes=3), ["last used 3 min ago", "see nothing any more"]),
        ((Scope.ADMIN,), NOON - timedelta(seconds=3), ["last used just now", "are shut out"]),
    ],
)
def test_revoking_says_what_stops(scopes: tuple[Scope, ...], used: Any, said: list[str]) -> None:
    text = cost(AccessToken("id", "[/x]", scopes, NOON, used), NOON).plain
    assert all(each in text for each in ("[/x] ends at once", *said))


def _tokens(app: PushdeskApp) -> list[AccessToken]:
    rows: Rows[AccessToken] = app.screen.query_one("#access-tokens", Rows)
    return rows.items


def _answer(app: PushdeskApp) -> str:
    return str(app.screen.query_one("#answer", Static).content)
