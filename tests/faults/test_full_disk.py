"""A disk that is full: what cannot be written is refused, and all that was accepted is sent when there is room."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pushdesk.client import HttpDesk
from pushdesk.config import OutboxConfig
from pushdesk.errors import PushdeskError
from pushdesk.model import DispatchState, Notification, Outcome
from tests.programs import bare_environment, serving
from tests.push_service import PushService
from tests.server.running import Surroundings, running
from tests.server.test_bad_input import assert_problem
from tests.subscribing import subscribe

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

    from pushdesk.desk import Desk
    from pushdesk.model import Dispatch
    from pushdesk.storage.store import Store
    from tests.logs import Log

NOTIFICATIONS = "/api/v1/users/ada/notifications"
LONG = "x" * 3000
MOUNT, UMOUNT = shutil.which("mount"), shutil.which("umount")


async def let_grow(store: Store, pages: int) -> None:
    """Have SQLite take a database for full that is so many pages larger than it is now."""

    def limit(driver: sqlite3.Connection) -> None:
        ((now,),) = driver.execute("PRAGMA page_count").fetchall()
        driver.execute(f"PRAGMA max_page_count = {now + pages}").fetchall()

    await store._database.beside(limit)


async def test_what_a_full_disk_cannot_take_is_refused_and_nothing_is_lost(tmp_path: Path, log: Log) -> None:
    async with running(tmp_path) as server:
        await server.subscribe("ada", "one")
        server.push_service.hold = asyncio.Event()
        await let_grow(server.engine._store, 20)
        accepted = []
        while (answer := await server.admin("POST", NOTIFICATIONS, {"title": "T", "body": LONG})).status == 202:
            accepted.append(answer.json["dispatch"]["id"])
        assert_problem(answer, 507, "disk_full")
        assert (answer.headers["Retry-After"], answer.json["detail"]) == ("60", "The disk is full.")
        assert accepted
        # Answered by the push service while there is no room to write that down.
        server.push_service.hold.set()
        await server.push_service.wait_for_pushes(1 + 1)
        await let_grow(server.engine._store, 10_000)
        await assert_all_accepted(server.engine, accepted)
        assert (await server.admin("POST", NOTIFICATIONS, {"title": "T", "body": LONG})).status == 202
    assert {line["code"] for line in log.of("request_failed")} == {"disk_full"}


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small disk in memory; skips the test where that may not be done."""
    folder.mkdir()
    command = [str(MOUNT), "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if MOUNT is None or subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603 (as above)
        pytest.skip("Nothing may be mounted here.")
    try:
        yield folder
    finally:
        subprocess.run([str(UMOUNT), "-l", str(folder)], check=True)  # noqa: S603 (what was mounted above)


def fill(disk: Path, free: int) -> None:
    """Leave no more than so many bytes of a disk free."""
    with (disk / "ballast").open("wb") as ballast:
        while shutil.disk_usage(disk).free > free:
            ballast.write(b"x" * 4096)
            ballast.flush()


async def notify_until_full(desk: HttpDesk) -> list[str]:
    """Send until it is refused; returns the ids of what was accepted."""
    accepted: list[str] = []

    async def notify_on_and_on() -> None:
        while True:
            accepted.append((await desk.notify("ada", Notification("T", body=LONG))).id)

    with pytest.raises(PushdeskError) as caught:
        await notify_on_and_on()
    assert (caught.value.code, caught.value.retry_after_s) == ("disk_full", 60)
    return accepted


async def assert_all_accepted(desk: Desk, dispatches: list[str]) -> None:
    """Wait until the push service has accepted all of these."""
    found: list[Dispatch] = []
    async with asyncio.timeout(60), aclosing(desk.events()) as events:
        async for _ in events:
            found = [await desk.dispatch(dispatch) for dispatch in dispatches]
            if all(dispatch.state is DispatchState.DONE for dispatch in found):
                break
    assert [dispatch.counts for dispatch in found] == [{Outcome.ACCEPTED: 1}] * len(dispatches)


async def test_a_server_on_a_full_disk_lives_and_sends_all_that_it_accepted(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", megabytes=2) as small:
        async with PushService() as service:
            options = ("--port", "0", "--data-dir", str(small / "data"), "--allow-endpoint", service.origin)
            env = bare_environment(tmp_path, PUSHDESK_OUTBOX_MIN_FREE="0", PUSHDESK_LOG_FILE=str(tmp_path / "log"))
            async with serving(*options, env=env) as server, aiohttp.ClientSession() as session:
                said = asyncio.create_task(server.errors())
                token = (small / "data" / "admin.token").read_text().strip()
                device = service.device("one")
                await subscribe(server.url, "ada", device)
                service.hold = asyncio.Event()
                fill(small, 300_000)
                async with HttpDesk(server.url, token) as desk:
                    accepted = await notify_until_full(desk)
                    assert accepted
                    service.hold.set()
                    # It reads, and it lives.
                    async with session.get(f"{server.url}/readyz") as ready:
                        assert ready.status == 200
                    assert (await desk.dispatch(accepted[0])).title == "T"
                    (small / "ballast").unlink()
                    await assert_all_accepted(desk, accepted)
                    assert (await desk.notify("ada", Notification("T"), wait_s=20)).counts == {Outcome.ACCEPTED: 1}
                assert await server.end(signal.SIGTERM) == 0
                await said


async def test_what_is_kept_free_is_room_for_what_was_accepted(tmp_path: Path, log: Log) -> None:
    kept = 10_000_000
    around = Surroundings(outbox=OutboxConfig(min_free=kept))
    with small_disk(tmp_path / "small", megabytes=20) as small:
        async with running(small, surroundings=around) as server:
            await server.subscribe("ada", "one")
            fill(small, kept + 1_000_000)
            server.push_service.hold = asyncio.Event()
            accepted = []
            while (answer := await server.admin("POST", NOTIFICATIONS, {"title": "T", "body": LONG})).status == 202:
                accepted.append(answer.json["dispatch"]["id"])
            assert_problem(answer, 507, "disk_full")
            assert "min_free in [outbox] keeps 10 MB" in answer.json["detail"]
            assert accepted
            server.push_service.hold.set()
            await assert_all_accepted(server.engine, accepted)
            (small / "ballast").unlink()
            async with asyncio.timeout(20), aclosing(server.engine.events()) as events:
                async for _ in events:
                    if not (await server.engine.stats()).refusing:
                        break
            assert (await server.admin("POST", NOTIFICATIONS, {"title": "T"})).status == 202
    assert [*log.of("request_failed"), *log.of("settle_failed")] == []
    assert [line["shortage"] for line in log.of("accepting_began")] == ["disk_full"]
