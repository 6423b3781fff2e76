"""The real server with its sender processes: how they come, what they know, and how they go."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushdesk.client import HttpDesk
from pushdesk.model import Notification
from tests.programs import bare_environment, serving
from tests.push_service import PushService
from tests.sender.bench import is_alive
from tests.subscribing import subscribe
from tests.waiting import until

if TYPE_CHECKING:
    from tests.programs import Server

SEAL_KEY: Final = "A" * 43


def senders_of(server: Server) -> list[int]:
    """Return the processes that a server started."""
    found: list[int] = []
    for task in Path(f"/proc/{server.pid}/task").iterdir():
        found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


async def test_a_server_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--senders", "2")
    async with serving(*options, env=bare_environment(tmp_path)) as server:
        pids = senders_of(server)
        assert len(pids) == 2
        await server.end(signal.SIGKILL)
        await until(lambda: not any(map(is_alive, pids)))


async def test_what_is_in_flight_is_answered_before_the_processes_end(tmp_path: Path) -> None:
    async with PushService() as service:
        options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--allow-endpoint", service.origin)
        async with serving(*options, "--senders", "2", env=bare_environment(tmp_path)) as server:
            token = (tmp_path / "data" / "admin.token").read_text().strip()
            await subscribe(server.url, "ada", service.device("one"))
            service.hold = asyncio.Event()
            async with HttpDesk(server.url, token) as desk:
                for number in range(20):
                    await desk.notify("ada", Notification(f"Number {number}"))
            # With the one that tried the new device out.
            await service.wait_for_pushes(21)
            pids = senders_of(server)
            assert len(pids) == 2
            # As systemd does: to all processes of the service.
            for pid in pids:
                os.kill(pid, signal.SIGTERM)
            server.send(signal.SIGTERM)
            await server.error_line("waiting for 20 deliveries")
            assert all(map(is_alive, pids))
            service.hold.set()
            assert await server.ended() == 0
            assert not any(map(is_alive, pids))
        assert len(service.pushes) == 21


async def test_a_process_is_told_nothing_by_its_arguments_and_environment(tmp_path: Path) -> None:
    env = bare_environment(
        tmp_path,
        PUSHDESK_SEAL_KEY=SEAL_KEY,
        PUSHDESK_PUSH_EGRESS_PROXY="http://proxy.example:3128",
        PUSHDESK_PUSH_SENDERS="1",
    )
    async with serving("--port", "0", "--data-dir", str(tmp_path / "data"), env=env) as server:
        (pid,) = senders_of(server)
        told = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
        assert b"pushdesk.sender" in told
        assert b"PUSHDESK_" not in told
        assert SEAL_KEY.encode() not in told
        assert b"proxy.example" not in told


async def test_without_processes_the_server_sends_itself(tmp_path: Path) -> None:
    async with PushService() as service:
        options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--allow-endpoint", service.origin)
        async with serving(*options, "--senders", "0", env=bare_environment(tmp_path)) as server:
            assert senders_of(server) == []
            await subscribe(server.url, "ada", service.device("one"))
            token = (tmp_path / "data" / "admin.token").read_text().strip()
            async with HttpDesk(server.url, token) as desk:
                await desk.notify("ada", Notification("Hello"))
            await service.wait_for_pushes(1)
            assert await server.end(signal.SIGTERM) == 0


async def test_where_push_is_off_there_are_no_processes(tmp_path: Path) -> None:
    options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--experiments-web-push", "false")
    async with serving(*options, env=bare_environment(tmp_path)) as server:
        assert senders_of(server) == []
