"""Operators copy the database of a server that runs, and make it smaller."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import stat
import threading
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from pushdesk.client import HttpDesk
from pushdesk.config import OutboxConfig
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.link import Patience
from pushdesk.storage import backup
from pushdesk.storage.backup import examine
from tests.mischief import Peer, silent, stalls_in_the_body, tricking
from tests.server.running import ADMIN_TOKEN, Surroundings, running
from tests.server.test_bad_input import assert_problem

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logs import Log
    from tests.mischief import Mischief
    from tests.server.running import Running

BACKUP = "/api/v1/admin/database/backup"
VACUUM = "/api/v1/admin/database/vacuum"
NOTIFICATIONS = "/api/v1/users/ada/notifications"


def files(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


async def test_a_copy_comes_whole_and_leaves_nothing_behind(server: Running, tmp_path: Path, log: Log) -> None:
    await server.subscribe("ada", "one")
    before = files(tmp_path)
    answer = await server.admin("POST", BACKUP)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/vnd.sqlite3"
    assert answer.headers["Cache-Control"] == "no-store"
    assert files(tmp_path) == before
    copy = tmp_path / "copy"
    copy.write_bytes(answer.content)
    examine(copy)
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT user FROM subscriptions").fetchall() == [("ada",)]
    (line,) = log.of("database_copied")
    assert line["bytes"] == len(answer.content)


async def test_while_a_copy_is_made_it_is_for_the_servers_user_only_and_others_are_accepted(
    server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resting, may_go_on = threading.Event(), threading.Event()

    def rest(_seconds: float) -> None:
        resting.set()
        may_go_on.wait(10)

    monkeypatch.setattr(backup, "PAGES", 2)
    monkeypatch.setattr(backup, "time", SimpleNamespace(perf_counter=time.perf_counter, sleep=rest))
    copying = asyncio.create_task(server.admin("POST", BACKUP))
    assert await asyncio.to_thread(resting.wait, 10)
    assert (await server.admin("POST", NOTIFICATIONS, {"title": "Hello"})).status == 202
    assert stat.S_IMODE((tmp_path / "pushdesk.db.copy").stat().st_mode) == 0o600
    assert not copying.done()
    may_go_on.set()
    assert (await copying).status == 200


@pytest.mark.parametrize("path", [BACKUP, VACUUM])
async def test_only_who_may_do_everything_may(server: Running, path: str) -> None:
    made = await server.admin("POST", "/api/v1/admin/tokens/create", {"name": "n", "scopes": ["read", "notify"]})
    assert_problem(await server.ask("POST", path), 401, "unauthorized")
    assert_problem(await server.ask("POST", path, token=made.json["token"]), 403, "forbidden")
    assert_problem(await server.admin("POST", path, headers={"Pushdesk-Read-Only": "1"}), 403, "forbidden")
    assert_problem(await server.admin("POST", path, headers={"Origin": server.url}), 403, "forbidden")
    async with HttpDesk(server.url, ADMIN_TOKEN, read_only=True) as desk:
        with pytest.raises(PushdeskError, match="read-only"):
            await (desk.vacuum() if path == VACUUM else desk.backup(print))


async def test_without_room_for_a_copy_none_is_begun(tmp_path: Path) -> None:
    around = Surroundings(outbox=OutboxConfig(min_free=10**15))
    async with running(tmp_path, surroundings=around) as server:
        before = files(tmp_path)
        refused = await server.admin("POST", BACKUP)
        assert_problem(refused, 507, "disk_full")
        assert "min_free in [outbox] keeps 1000000000 MB" in refused.json["detail"]
        assert files(tmp_path) == before


async def test_what_a_killed_server_left_of_a_copy_is_removed_at_the_next_start(tmp_path: Path) -> None:
    for ending in ("", "-wal", "-journal"):
        (tmp_path / f"pushdesk.db.copy{ending}").write_bytes(b"part of a database")
    async with running(tmp_path):
        assert not any(name.startswith("pushdesk.db.copy") for name in files(tmp_path))


async def test_a_copy_that_nobody_waits_for_any_longer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 1)
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    real = backup._open

    def tell(path: Path, how: str) -> sqlite3.Connection:
        loop.call_soon_threadsafe(begun.set)
        return real(path, how)

    monkeypatch.setattr(backup, "_open", tell)
    async with running(tmp_path) as server:
        copying = asyncio.create_task(server.engine.maintenance.copy().__aenter__())
        async with asyncio.timeout(10):
            await begun.wait()
            copying.cancel()
            with pytest.raises(asyncio.CancelledError):
                await copying
        assert "pushdesk.db.copy" not in files(tmp_path)
        # And the next one is made.
        assert (await server.admin("POST", BACKUP)).status == 200


async def test_a_copy_is_handed_over_in_pieces(server: Running) -> None:
    received = io.BytesIO()
    async with HttpDesk(server.url, ADMIN_TOKEN) as desk:
        await desk.backup(received.write)
    assert received.getvalue().startswith(b"SQLite format 3\0")
    async with HttpDesk(server.url, "wrong" * 10) as desk:
        with pytest.raises(PushdeskError) as caught:
            await desk.backup(received.write)
    assert caught.value.code == "unauthorized"


async def half(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"half", Content_Length="1000")


async def of_no_length(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\n\r\nSQLite format 3")


async def elsewhere(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"", status="302 Found", Location="http://localhost/")


async def nonsense(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"nonsense\r\n\r\n")


@pytest.mark.parametrize(
    ("mischief", "says"),
    [
        (half, "was lost"),
        (of_no_length, "not this version"),
        (elsewhere, "not this version"),
        (nonsense, "not this version"),
        (silent, "does not answer in time"),
        (stalls_in_the_body, "does not answer in time"),
    ],
)
async def test_a_copy_that_does_not_come_whole_is_an_error(mischief: Mischief, says: str) -> None:
    patience = Patience(piece_s=0.3)
    async with tricking(mischief) as trickster, HttpDesk(trickster.url, ADMIN_TOKEN, patience=patience) as desk:
        with pytest.raises(UnreachableError, match=says):
            await desk.backup(lambda _piece: None)


async def test_a_server_makes_its_database_smaller(server: Running, log: Log) -> None:
    for _ in range(40):
        await server.admin("POST", f"{NOTIFICATIONS}?wait=5", {"title": "T", "body": "x" * 3000})
    assert (await server.admin("DELETE", "/api/v1/users/ada")).status == 204
    vacuumed = await server.admin("POST", VACUUM)
    assert vacuumed.status == 200
    assert vacuumed.json["after"] < vacuumed.json["before"] - 40 * 3000
    (line,) = log.of("database_vacuumed")
    assert (line["before"], line["after"]) == (vacuumed.json["before"], vacuumed.json["after"])
    async with HttpDesk(server.url, ADMIN_TOKEN) as desk:
        assert (await desk.vacuum()).after == vacuumed.json["after"]
