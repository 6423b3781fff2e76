"""Pictures of the users and of one of them, each taken after what it says was asserted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushdesk.errors import PushdeskError
from tests.console.fake_desk import FakeDesk
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    import pytest

    from pushdesk.model import Page, PageQuery, User
    from tests.console.conftest import Snap


class _Broken(FakeDesk):
    async def users(self, query: PageQuery) -> Page[User]:
        del query
        raise PushdeskError("The database is locked.", code="database_error")


class _Silent(FakeDesk):
    async def users(self, query: PageQuery) -> Page[User]:
        del query
        await asyncio.Event().wait()
        raise AssertionError


@every_size
def test_users(snap: Snap, size: tuple[int, int]) -> None:
    says = ["✓ 12:03:44", "✗ 12:01:44", "Nov 19 11:03", "1 to 5 of 5", "w Why?", "d Remove"]
    snap(console(busy_desk()), size, press=["2"], says=says)


@smallest_size
def test_users_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["2"], says=["There are no users yet.", "Press e to invite one."])


@smallest_size
def test_users_filtered(snap: Snap, size: tuple[int, int]) -> None:
    press = ["2", "slash", *"^e", "enter"]
    snap(console(busy_desk()), size, press=press, says=["filter: ^e", "eve.longname", "1 to 1"])


@smallest_size
def test_no_users_that_are_looked_for(snap: Snap, size: tuple[int, int]) -> None:
    press = ["2", "slash", *"zz", "enter"]
    snap(console(busy_desk()), size, press=press, says=["No user's name contains zz", "esc shows everything again"])


@smallest_size
def test_users_that_are_waited_for(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Silent()
    desk.subscribe("ada")
    snap(console(desk), size, press=["2"], says=["loading…"], waits=True)


@smallest_size
def test_users_that_could_not_be_listed(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Broken()
    desk.subscribe("ada")
    says = ["This could not be listed.", "R tries again", "The database is locked."]
    snap(console(desk), size, press=["2"], says=says)


@smallest_size
def test_users_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    snap(console(desk), size, press=["2"], says=["✓ 12:03:44"], act=desk.lose, then_says=["↻ reconnecting"])


@smallest_size
def test_users_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk(), read_only=True), size, press=["2"], says=["READ-ONLY", "d Remove", "✓ 12:03:44"])


@smallest_size
def test_users_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(busy_desk()), size, press=["2"], says=["✓ 12:03:44", "✗ 12:01:44"])


@every_size
def test_one_user(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "esc goes back",
        "last delivery  ✓ 12:03:44",
        "generation 1 · 2 devices",
        "Chromium · Linux",
        "8 deliveries",
    ]
    snap(console(busy_desk()), size, press=["2", "enter"], says=says)


@smallest_size
def test_one_user_who_is_waited_for(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    app = console(desk)

    def enter() -> None:
        desk.answering.clear()
        app.simulate_key("enter")

    says = ["esc goes back to the users", "loading…"]
    snap(app, size, press=["2"], says=["✓ 12:03:44"], act=enter, then_says=says, waits=True)


@smallest_size
def test_the_deliveries_of_one_user(snap: Snap, size: tuple[int, int]) -> None:
    says = ["8 deliveries", "↻ 429 throttled", "TooManyReq", "esc Back", "⏎ Details"]
    snap(console(busy_desk()), size, press=["2", "enter", "tab"], says=says)


@smallest_size
def test_one_user_without_devices(snap: Snap, size: tuple[int, int]) -> None:
    desk = FakeDesk()
    desk.subscribe("ada")
    desk._subscriptions.clear()
    says = [
        "No browser is subscribed.",
        "Press e to invite one.",
        "not cached",
        "Nothing that was sent to them is kept",
    ]
    snap(console(desk), size, press=["2", "enter"], says=says)


@smallest_size
def test_one_user_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk(), read_only=True), size, press=["2", "enter"], says=["READ-ONLY", "T Test", "d Remove"])


@smallest_size
def test_one_user_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    says = ["8 deliveries"]
    snap(console(desk), size, press=["2", "enter"], says=says, act=desk.lose, then_says=["↻ reconnecting", *says])


@each_size
def test_removing_a_user_wants_the_name_typed(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Remove ada?", "ada and 2 devices of theirs are removed", "Type the user's name", "Cancel"]
    snap(console(busy_desk()), size, press=["2", "d"], says=says)
