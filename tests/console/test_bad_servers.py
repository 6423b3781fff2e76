"""The console on real servers that turn bad: it says so, stays of use, and goes on when they are well again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.console.app import PushdeskApp
from pushdesk.console.feed import Connection
from pushdesk.link import Patience
from pushdesk.model import PageQuery, Scope
from tests import mischief as bad
from tests.console.looking import settled, text_of, toasts, until, until_says
from tests.mischief import REQUESTS, SOCKETS, tricking
from tests.server.running import ADMIN_TOKEN, running

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.desk import Desk
    from tests.mischief import Mischief

WIDE = (120, 40)
IMPATIENT = Patience(connect_s=2.0, request_s=2.0, handshake_s=2.0, heartbeat_s=1.5, frame_s=3.0)
MISCHIEFS = [
    bad.stalls_in_the_body,
    bad.floods,
    bad.says_megabytes,
    bad.redirects,
    bad.opens_and_is_silent,
    bad.speaks_no_unicode,
    bad.speaks_of_something_else,
]
SAID = {"in time": "does not answer in time", "not this version": "is not this version of pushdesk"}


def console(desk: Desk, url: str) -> PushdeskApp:
    return PushdeskApp(desk, url=url, mode="attached", now=lambda: datetime.now(UTC))


@pytest.mark.parametrize("mischief", MISCHIEFS, ids=[each.__name__ for each in MISCHIEFS])
async def test_a_console_outlives_a_server_that_turns_bad(mischief: Mischief, tmp_path: Path) -> None:
    async with (
        running(tmp_path) as server,
        tricking(behind=server.url) as trickster,
        HttpDesk(trickster.url, ADMIN_TOKEN, patience=IMPATIENT) as desk,
    ):
        await server.subscribe("anna", "a")
        app = console(desk, trickster.url)
        async with app.run_test(size=WIDE) as pilot:
            await pilot.press("3")
            await until_says(pilot, "anna", "attached")
            trickster.change(mischief)
            await until_says(pilot, "↻ reconnecting", SAID[{**REQUESTS, **SOCKETS}[mischief]])
            # What is there can be looked at; what is not is asked for in vain.
            await pilot.press("2")
            await until_says(pilot, "This could not be listed.")
            await pilot.press("3")
            await until_says(pilot, "anna")
            trickster.change(None)
            await until(pilot, lambda: app.connection is Connection.LIVE)
            assert app.troubles == ()
            await pilot.press("2")
            await until_says(pilot, "anna")
            await server.subscribe("bert", "b")
            await until_says(pilot, "anna", "bert")


async def test_a_server_that_freezes_while_it_is_looked_at_is_noticed(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as server,
        tricking(behind=server.url) as trickster,
        HttpDesk(trickster.url, ADMIN_TOKEN, patience=IMPATIENT) as desk,
    ):
        await server.subscribe("anna", "a")
        app = console(desk, trickster.url)
        async with app.run_test(size=WIDE) as pilot:
            await pilot.press("3")
            await until_says(pilot, "anna", "attached")
            trickster.flowing.clear()
            await until_says(pilot, "↻ reconnecting", "does not answer in time", "anna")
            await server.subscribe("bert", "b")
            trickster.flowing.set()
            await until_says(pilot, "attached", "bert")


async def test_a_server_that_is_bad_from_the_beginning_is_waited_for_and_said_to_be(tmp_path: Path) -> None:
    async with (
        running(tmp_path) as server,
        tricking(bad.says_html, behind=server.url) as trickster,
        HttpDesk(trickster.url, ADMIN_TOKEN, patience=IMPATIENT) as desk,
    ):
        app = console(desk, trickster.url)
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await until_says(
                pilot, "connecting…", f"! What answers at {trickster.url} is not this version of pushdesk."
            )
            await until(pilot, lambda: len(trickster.peers) >= 6)
            # It is tried again and again, and told once.
            assert len(app.failures) == len(toasts(app)) == 1
            trickster.change(None)
            await until_says(pilot, "First steps", "attached")


async def test_a_token_that_is_revoked_leaves_what_was_seen_and_no_commands(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        await server.subscribe("anna", "a")
        made = await server.engine.create_token("console", [Scope.ADMIN])
        async with HttpDesk(server.url, made.token) as desk:
            app = console(desk, server.url)
            async with app.run_test(size=WIDE, notifications=True) as pilot:
                await pilot.press("3")
                await until_says(pilot, "anna", "attached")
                await server.admin("POST", "/api/v1/admin/tokens/revoke", {"id": made.access.id})
                await until_says(pilot, "✗ no longer let in", f"! {server.url} no longer takes the token.", "anna")
                await pilot.press("d", "t")
                await settled(pilot)
                await until(pilot, lambda: any("no longer takes your token" in toast for toast in toasts(app)))
                assert app.connection is Connection.REFUSED
                assert "anna" in text_of(app)
                assert len((await server.engine.subscriptions(PageQuery())).items) == 1


async def test_a_console_that_only_reads_is_told_so_by_the_server(tmp_path: Path) -> None:
    async with running(tmp_path) as server, HttpDesk(server.url, ADMIN_TOKEN, read_only=True) as desk:
        await server.subscribe("anna", "a")
        app = console(desk, server.url)
        async with app.run_test(size=WIDE, notifications=True) as pilot:
            await pilot.press("3")
            await until_says(pilot, "anna", "READ-ONLY")
            assert app.scopes == frozenset({Scope.READ})
            await pilot.press("d")
            await until(pilot, lambda: toasts(app))
            assert len((await server.engine.subscriptions(PageQuery())).items) == 1
