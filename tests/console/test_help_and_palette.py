"""What is told of the keys: the help and the palette have every command, with the reason where it cannot be done."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

import pytest
from textual.binding import Binding
from textual.command import CommandPalette
from textual.widgets import Static

from pushdesk import console as console_package
from pushdesk.console.app import PushdeskApp
from pushdesk.console.bindings import commands_of
from pushdesk.console.refusals import Refuser
from pushdesk.console.screens import SCREENS
from pushdesk.console.screens.compose import ComposeScreen
from pushdesk.console.screens.confirm import ConfirmScreen
from pushdesk.console.screens.help import HelpScreen
from tests.console.fake_desk import NOON, URL
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.console.scenes import busy_desk, console, empty_desk, let_in, logged_desk, rotated_desk
from tests.console.sizes import each_size, smallest_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.dom import DOMNode
    from textual.screen import Screen

    from pushdesk.console.screens import Entry
    from tests.console.conftest import Snap


def all_bindings() -> Iterator[tuple[type, Binding]]:
    """Return what every class of the console binds."""
    for module in pkgutil.walk_packages(console_package.__path__, f"{console_package.__name__}."):
        for member in vars(importlib.import_module(module.name)).values():
            if isinstance(member, type) and member.__module__ == module.name:
                yield from ((member, each) for each in vars(member).get("BINDINGS", ()))


def nodes_of(screen: Screen[object]) -> list[DOMNode]:
    """Return what may bind keys on a screen."""
    return [screen, screen.app, *(node for node in screen.query("*") if isinstance(node, Refuser))]


# What it looks like.


@each_size
def test_help(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Keys", "This screen", "Remove this subscription", "Send the test push"]
    snap(console(busy_desk()), size, press=["3", "question_mark"], says=says)


@each_size
def test_help_of_two_panes(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Make a new key", "(not now: This key", "This list", *["Access tokens (tab goes there)"] * (size[1] > 24)]
    snap(console(let_in(rotated_desk())), size, press=["6", "question_mark"], says=says)


@smallest_size
def test_help_of_a_form(snap: Snap, size: tuple[int, int]) -> None:
    snap(
        console(busy_desk()), size, press=["3", "t", "f1"], says=["Send the notification", "Send the test push to all"]
    )


@each_size
def test_palette(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Details", "Send the test push to this device only"]
    snap(console(busy_desk()), size, press=["3", "colon"], says=says)


@smallest_size
def test_palette_where_nothing_may_be_changed(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Revoke", "(not now: This", "Revoke (Access tokens)", "opened with --read-only"]
    snap(console(let_in(rotated_desk()), read_only=True), size, press=["6", "colon", *"revo"], says=says)


# What is in them.


def test_every_binding_has_an_id_a_label_and_a_tooltip_and_no_printable_key_has_priority() -> None:
    found = list(all_bindings())
    assert len(found) > 50
    for kind, binding in found:
        assert isinstance(binding, Binding), kind
        assert binding.id, (kind, binding)
        assert binding.description, (kind, binding)
        assert binding.tooltip, (kind, binding)
        assert binding.tooltip[0].isupper(), (kind, binding)
        assert not binding.tooltip.endswith("."), (kind, binding)
        assert not (binding.priority and len(binding.key) == 1), (kind, binding)


def test_what_has_one_id_has_the_same_keys_wherever_it_is_bound() -> None:
    bound = {(binding.id, binding.key) for _, binding in all_bindings()}
    assert len(bound) == len({name for name, _ in bound})


@pytest.mark.parametrize("entry", SCREENS, ids=[entry.name for entry in SCREENS])
async def test_the_help_and_the_palette_have_every_command_of_a_screen(entry: Entry) -> None:
    app = console(let_in(logged_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press(entry.key)
        await settled(pilot)
        commands = commands_of(app.screen)
        bound = {binding.action for node in nodes_of(app.screen) for _, binding in node._bindings if binding.id}
        assert bound <= {command.action for command in commands}
        assert all(command.keys for command in commands)
        await pilot.press("question_mark")
        help_screen = app.screen
        assert isinstance(help_screen, HelpScreen)
        await settled(pilot)
        told = str(help_screen.query_one("#keys", Static).content)
        words = " ".join(told.split())
        for command in commands:
            assert " ".join(command.says.split()) in words
            assert command.heading in words


async def test_what_can_be_done_in_another_pane_is_told_and_done_from_the_palette() -> None:
    app = console(let_in(rotated_desk()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        await pilot.press("colon", *"access tokens")
        await until_says(pilot, "New token (Access tokens)", "Revoke (Access tokens)")
        await pilot.press("escape", "colon", *"revoke (acc", "down", "enter")
        await until_says(pilot, "Revoke this access token?", "mira's laptop")
        assert isinstance(app.screen, ConfirmScreen)


async def test_the_palette_tells_the_keys_as_they_were_remapped() -> None:
    keymap = {"tokens.new": "f5,ctrl+n", "keys.rotate": "f6"}
    desk = let_in(rotated_desk())
    app = PushdeskApp(desk, url=URL, mode="embedded", now=lambda: NOON, keymap=keymap)
    async with app.run_test(size=(120, 60)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        keys = {command.action: command.keys for command in commands_of(app.screen)}
        assert keys["new_token"] == ("f5", "^n")
        assert keys["rotate"] == ("f6",)


async def test_the_palette_goes_to_every_screen_and_to_the_themes() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        for entry in SCREENS[::-1]:
            await pilot.press("colon", *entry.title.lower())
            await until_says(pilot, entry.tooltip)
            await pilot.press("down", "enter")
            await until(pilot, lambda name=entry.name: app.current_mode == name)  # type: ignore[misc]
        await pilot.press("ctrl+p", *"theme")
        await until_says(pilot, "Choose the colours")
        await pilot.press("down", "enter")
        await until_says(pilot, "Search for themes")
        await pilot.press(*"pushdesk-light", "down", "enter")
        await until(pilot, lambda: app.theme == "pushdesk-light")


async def test_f1_helps_where_a_question_mark_would_be_typed_and_closes_again() -> None:
    app = console(busy_desk())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("t", "question_mark")
        assert isinstance(app.screen, ComposeScreen)
        await pilot.press("f1")
        await until_says(pilot, "Send the notification")
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        await pilot.press("escape", "colon")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press("f1")
        assert isinstance(app.screen, CommandPalette)


async def test_what_the_help_says_of_a_command_stays_beside_its_keys() -> None:
    app = console(rotated_desk())
    async with app.run_test(size=(60, 24)) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6", "question_mark")
        await until_says(pilot, "(not now: This key is")
        lines = [line for line in text_of(app).splitlines() if line.startswith("│")]
        assert lines
        for line in lines:
            said = line.strip("│")
            is_whole_line = said.startswith((" This ", " Access", " tab", " f1"))
            # Between the keys and what they do there is nothing.
            assert is_whole_line or said[15] == " ", line


async def test_a_command_that_cannot_be_done_now_says_why_from_the_palette() -> None:
    app = console(empty_desk())
    async with app.run_test(notifications=True) as pilot:
        await until(pilot, lambda: app.loaded)
        await pilot.press("6")
        await settled(pilot)
        await pilot.press("colon", *"revoke (acc", "down", "enter")
        await until(pilot, lambda: toasts(app) == ["No access token is selected."])
