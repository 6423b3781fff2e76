"""Ends a server by SIGTERM with much in flight, and counts what its end and the next server come to."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.client import HttpDesk
from pushdesk.model import Notification
from tests.programs import bare_environment, serving
from tests.push_service import PushService
from tests.subscribing import subscribe

if TYPE_CHECKING:
    from pathlib import Path

LAST: Final = "the last one"


class Drained(NamedTuple):
    """What came of it."""

    in_flight: int
    """When it was told to end."""
    exit_code: int
    seconds: float
    """From the signal to its end."""
    lost: int
    duplicates: int


async def drain(folder: Path, number: int, *, twice: bool) -> Drained:
    """End a server with so many deliveries in flight, which are answered meanwhile; then let another one go on.

    Args:
        folder: Where its data is.
        number: How many.
        twice: Whether it gets a second signal at once; then nothing is answered.
    """
    async with PushService() as service:
        env = bare_environment(folder, PUSHDESK_PUSH_CONCURRENCY=str(number), PUSHDESK_LOG_LEVEL="error")
        options = ("--port", "0", "--data-dir", str(folder / "data"), "--allow-endpoint", service.origin)
        device = service.device("one")
        async with serving(*options, env=env) as server:
            token = (folder / "data" / "admin.token").read_text(encoding="utf-8").strip()
            await subscribe(server.url, "ada", device)
            service.hold = asyncio.Event()
            async with HttpDesk(server.url, token) as desk:
                await asyncio.gather(*(desk.notify("ada", Notification(f"{one}")) for one in range(number)))
            await service.wait_for_pushes(1 + number)
            began_at = time.perf_counter()
            server.send(signal.SIGTERM)
            await server.error_line("waiting for")
            if twice:
                server.send(signal.SIGTERM)
            else:
                service.hold.set()
            code = await server.ended()
            seconds = time.perf_counter() - began_at
            service.hold.set()
            service.hold = None
        async with serving(*options, env=env) as server, HttpDesk(server.url, token) as desk:
            if twice:
                await service.wait_for_pushes(1 + 2 * number)
            # Sent after all that was left.
            assert (await desk.notify("ada", Notification(LAST), wait_s=20)).counts == {"accepted": 1}
            await server.end(signal.SIGTERM)
        titles = Counter(device.decrypt(push.body)["notification"]["title"] for push in service.pushes[1:])
        del titles[LAST]
        lost = sum(f"{one}" not in titles for one in range(number))
        return Drained(number, code, seconds, lost, titles.total() - len(titles))
