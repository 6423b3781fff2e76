"""Themes: which there are, which one is taken, and that every state is told without colours in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.theme import BUILTIN_THEMES

from pushdesk.config import ConsoleConfig
from pushdesk.console.app import PushdeskApp
from pushdesk.console.themes import DARK, LIGHT
from pushdesk.console.widgets.rows import Rows
from pushdesk.setting_values import THEMES
from tests.console.fake_desk import NOON, URL
from tests.console.looking import settled, text_of, until
from tests.console.scenes import busy_desk, console, empty_desk, let_in, logged_desk, rotated_desk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console.conftest import Snap


def opened(file: Path, theme: str) -> PushdeskApp:
    return PushdeskApp(empty_desk(), url=URL, mode="embedded", now=lambda: NOON, state_file=file, theme=theme)


def test_the_themes_that_can_be_configured_are_those_that_there_are() -> None:
    assert set(THEMES) == {DARK.name, LIGHT.name, *BUILTIN_THEMES}
    assert set(console(empty_desk()).available_themes) == set(THEMES)
    assert ConsoleConfig().theme == DARK.name


async def test_what_was_chosen_wins_until_another_theme_is_configured(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    for configured, begins_with, chosen in (
        ("nord", "nord", None),
        ("nord", "nord", "dracula"),
        ("nord", "dracula", None),
        ("gruvbox", "gruvbox", None),
        ("nord", "nord", "gruvbox"),
        ("nord", "gruvbox", None),
        (DARK.name, DARK.name, None),
    ):
        app = opened(file, configured)
        async with app.run_test() as pilot:
            await until(pilot, lambda app=app: app.loaded)  # type: ignore[misc]  # bound to this turn's
            assert app.theme == begins_with
            if chosen is not None:
                app.theme = chosen
            await pilot.press("3", "1")
            await settled(pilot)


async def test_a_theme_that_there_is_no_more_gives_way_to_the_configured_one(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    file.write_text('{"version": 2, "theme": "gone", "configured_theme": "nord"}', encoding="utf-8")
    assert opened(file, "nord").theme == "nord"


@pytest.mark.parametrize("theme", THEMES)
async def test_every_screen_says_the_same_in_every_theme(theme: str) -> None:
    app = console(let_in(rotated_desk()))
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        text = text_of(app)
        assert all(said in text for said in ("✓ current", "↻ retiring", "✗ revoked", "░░  81 %"))


@pytest.mark.parametrize("theme", THEMES)
async def test_the_row_under_the_cursor_is_told_apart_in_every_theme(theme: str) -> None:
    app = console(let_in(rotated_desk()))
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6", "down")
        await settled(pilot)
        rows = app.screen.query_one("#vapid-keys", Rows)
        plain, marked = (next(iter(rows.render_line(1 + row))).style for row in (0, 1))
        assert plain is not None
        assert marked is not None
        assert marked.bgcolor != plain.bgcolor or marked.reverse


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
async def test_without_colours_a_terminal_keeps_its_own_two(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console(let_in(rotated_desk()))
    app.theme = theme
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        styles = [part.style for strip in app.screen._compositor.render_strips() for part in strip if part.style]
        colours = {colour.name for style in styles for colour in (style.color, style.bgcolor) if colour is not None}
        assert colours == {"default"}
        assert any(style.reverse for style in styles)


@pytest.mark.parametrize(
    ("press", "says"),
    [
        (["6"], ["✓ current", "x Export"]),
        (["3", "t"], ["To user", "[ ] silent"]),
        (["6", "colon", *"revo"], ["Revoke (Access tokens)"]),
        (["6", "tab", "d"], ["Revoke this access token?", "Cancel"]),
    ],
    ids=["keys", "form", "palette", "question"],
)
def test_what_is_chosen_is_seen_without_colours_in_a_terminals_own(
    snap: Snap, press: list[str], says: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = console(let_in(rotated_desk()))
    app.theme = "ansi-dark"
    snap(app, (80, 24), press=press, says=says)


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark", "ansi-light"])
def test_keys_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(let_in(rotated_desk()))
    app.theme = theme
    snap(app, (80, 24), press=["6"], says=["✓ current", "↻ retiring", "✗ revoked"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark", "ansi-light"])
def test_log_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(logged_desk())
    app.theme = theme
    snap(app, (80, 24), press=["7"], says=["✗ critical", "! warning", "- info", "· debug"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark", "ansi-light"])
def test_the_form_of_a_notification_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(busy_desk())
    app.theme = theme
    snap(app, (80, 24), press=["3", "t"], says=["To user", "[ ] silent", "✓ ignored by no browser"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark", "ansi-light"])
def test_palette_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(let_in(rotated_desk()))
    app.theme = theme
    snap(app, (80, 24), press=["6", "colon", *"revo"], says=["Revoke (Access tokens)"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark", "ansi-light"])
def test_a_question_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(let_in(rotated_desk()))
    app.theme = theme
    snap(app, (80, 24), press=["6", "tab", "d"], says=["Revoke this access token?", "Cancel"])
