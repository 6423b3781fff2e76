"""A server that is told to end with much under way: what is in flight ends, and the next one sends the rest, once."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp

from pushdesk.client import HttpDesk
from pushdesk.errors import EXIT_DONE
from pushdesk.model import Notification
from tests.faults.draining import drain
from tests.programs import bare_environment, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

NUMBER = 550
CONCURRENCY = 500
NOTIFICATIONS = "/api/v1/users/ada/notifications"


async def test_a_server_that_ends_takes_no_more_and_loses_and_repeats_nothing(tmp_path: Path) -> None:
    async with PushService() as service:
        env = bare_environment(tmp_path, PUSHDESK_PUSH_CONCURRENCY=str(CONCURRENCY))
        options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--allow-endpoint", service.origin)
        device = service.device("one")
        async with serving(*options, env=env) as server:
            token = (tmp_path / "data" / "admin.token").read_text().strip()
            await subscribe(server.url, "ada", device)
            service.hold = asyncio.Event()
            async with HttpDesk(server.url, token) as desk:
                await asyncio.gather(*(desk.notify("ada", Notification(f"{number}")) for number in range(NUMBER)))
            await service.wait_for_pushes(1 + CONCURRENCY)
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
                # Its connection stays open.
                async with session.get(f"{server.url}/healthz") as alive:
                    assert alive.status == 200
                ending = asyncio.create_task(server.end(signal.SIGTERM))
                assert f"waiting for {CONCURRENCY} deliveries" in await server.error_line("waiting for")
                async with session.post(server.url + NOTIFICATIONS, json={"title": "late"}) as late:
                    assert (late.status, (await late.json())["code"]) == (503, "queue_full")
                    assert int(late.headers["Retry-After"]) > 0
            assert not ending.done()
            service.hold.set()
            assert await ending == EXIT_DONE
        service.hold = None
        assert len(service.pushes) == 1 + CONCURRENCY
        async with serving(*options, env=env) as server:
            await service.wait_for_pushes(1 + NUMBER)
            async with HttpDesk(server.url, token) as desk:
                assert (await desk.notify("ada", Notification("last"), wait_s=20)).counts == {"accepted": 1}
        titles = Counter(device.decrypt(push.body)["notification"]["title"] for push in service.pushes[1:])
        assert titles == Counter([*(f"{number}" for number in range(NUMBER)), "last"])


async def test_a_second_signal_ends_a_server_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    drained = await drain(tmp_path, CONCURRENCY, twice=True)
    assert drained.exit_code == 128 + signal.SIGTERM
    # None of it was answered, so all of it is sent again.
    assert (drained.lost, drained.duplicates) == (0, CONCURRENCY)
