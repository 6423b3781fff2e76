"""The real server, killed without warning: what it acknowledged is sent by the next one."""

from __future__ import annotations

import asyncio
import signal
from contextlib import aclosing
from typing import TYPE_CHECKING

from pushdesk.client import HttpDesk
from pushdesk.model import DispatchState, Notification, Outcome
from tests.programs import bare_environment, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.model import Dispatch


async def test_what_was_acknowledged_is_sent_after_a_kill(tmp_path: Path) -> None:
    async with PushService() as service:
        options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--allow-endpoint", service.origin)
        env = bare_environment(tmp_path)
        device = service.device("one")
        async with serving(*options, env=env) as server:
            token = (tmp_path / "data" / "admin.token").read_text().strip()
            await subscribe(server.url, "ada", device)
            service.hold = asyncio.Event()
            async with HttpDesk(server.url, token) as desk:
                accepted = [await desk.notify("ada", Notification(f"Number {number}")) for number in range(20)]
            await service.wait_for_pushes(2)
            server.send(signal.SIGKILL)
        seen_before = len(service.pushes)
        service.hold.set()
        service.hold = None
        async with serving(*options, env=env) as server, HttpDesk(server.url, token) as desk:
            await service.wait_for_pushes(seen_before + len(accepted))
            found: list[Dispatch] = []
            async with asyncio.timeout(20), aclosing(desk.events()) as events:
                async for _ in events:
                    found = [await desk.dispatch(dispatch.id) for dispatch in accepted]
                    if all(dispatch.state is DispatchState.DONE for dispatch in found):
                        break
        assert [dispatch.counts for dispatch in found] == [{Outcome.ACCEPTED: 1}] * len(accepted)
        arrived = {device.decrypt(push.body)["notification"]["title"] for push in service.pushes[seen_before:]}
        assert arrived == {f"Number {number}" for number in range(len(accepted))}
