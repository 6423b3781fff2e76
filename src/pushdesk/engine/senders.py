"""Sending, at most so many requests at once per push service: one that is slow leaves the others at full speed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.statistics import Statistics
    from pushdesk.model import Service
    from pushdesk.webpush.request import PushRequest
    from pushdesk.webpush.transport import PushAnswer, Transport


class Senders:
    """Sends inside the engine's own process.

    Args:
        transport: What posts.
        statistics: Told how many requests are under way.
        concurrency: Requests at once, per push service.
    """

    def __init__(self, transport: Transport, statistics: Statistics, *, concurrency: int) -> None:
        self._transport = transport
        self._statistics = statistics
        self._concurrency = concurrency
        self._lanes: dict[Service, asyncio.Semaphore] = {}

    async def send(self, service: Service, build: Callable[[], PushRequest]) -> PushAnswer:
        """Build a request once there is room for it, and post it.

        Building is left until then so that what waits costs no encrypted copy, and its token and TTL are fresh.

        Raises:
            TransportFault: There was no answer.
            PushdeskError: The request could not be built.
        """
        lane = self._lanes.setdefault(service, asyncio.Semaphore(self._concurrency))
        async with lane:
            self._statistics.attempt_started(service)
            try:
                return await self._transport.post(build())
            finally:
                self._statistics.attempt_ended(service)
