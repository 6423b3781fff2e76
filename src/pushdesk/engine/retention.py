"""Retention: what is done, and what has ended by itself, is removed by and by, and its room given back to the disk."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.rest import wait_at_most
from pushdesk.log import write
from pushdesk.log_events import HistoryTrimmed, TrimmingFailed
from pushdesk.log_fields import Failure
from pushdesk.storage.retention import Removed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.clock import Clock
    from pushdesk.config import RetentionConfig
    from pushdesk.storage.retention import Retention
    from pushdesk.storage.space import FileSpace

EVERY_S: Final = 60.0
"""How often it is looked for what is kept no longer, in seconds."""
UNUSED: Final = 4
"""When more than one of so many pages of the file is unused, some are given back."""
_DAY_MS: Final = 24 * 3_600_000


class Trimming:
    """Removes what is kept no longer, in the background.

    After each batch it rests for as long as that took, so that others have the writer for half of the time at least.

    Args:
        retention: The store's; does a batch.
        space: The store's; gives room back to the disk.
        config: For how long, and how much is kept.
        clock: What is old, and how long a batch takes.
        wait: Waits so many seconds, or until an event that comes before.
    """

    def __init__(
        self,
        retention: Retention,
        space: FileSpace,
        *,
        config: RetentionConfig,
        clock: Clock,
        wait: Callable[[float, asyncio.Event], Awaitable[None]] = wait_at_most,
    ) -> None:
        self._retention = retention
        self._space = space
        self._config = config
        self._clock = clock
        self._wait = wait
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Let `run` end after the batch that is under way; what is left is for later."""
        self._ending.set()

    async def run(self) -> None:
        """Work once a minute, until the end."""
        while True:
            await self._wait(EVERY_S, self._ending)
            if self._ending.is_set():
                return
            try:
                await self._round()
            except Exception as error:  # noqa: BLE001 (whatever it was, the next round may fare better)
                write(TrimmingFailed(Failure.of(error)))

    async def _round(self) -> None:
        now_ms = round(self._clock.time() * 1000)
        await self._again_and_again(lambda: self._retention.forget_keys(now_ms))
        await self._again_and_again(lambda: self._retention.forget_invitations(now_ms))
        await self._trim(now_ms)
        await self._again_and_again(self._give_back)

    async def _trim(self, now_ms: int) -> None:
        days, rows = self._config.days, self._config.rows
        limits = await self._retention.limits(now_ms, kept_ms=days * _DAY_MS if days else None, rows=rows or None)
        dispatches = deliveries = 0

        async def remove() -> bool:
            nonlocal dispatches, deliveries
            removed = await self._retention.remove(looked.over)
            dispatches += removed.dispatches
            deliveries += removed.deliveries
            return removed != Removed()

        after: str | None = ""
        while after is not None and not self._ending.is_set():
            looked = await self._retention.look(after, limits)
            if looked.over:
                await self._again_and_again(remove)
            after = looked.after
        if dispatches or deliveries:
            write(HistoryTrimmed(dispatches=dispatches, deliveries=deliveries))

    async def _give_back(self) -> bool:
        space = await self._space.look()
        return space.unused * UNUSED > space.pages and await self._space.give_back()

    async def _again_and_again(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do a batch after the other until one finds nothing, or until the end, with rests between them."""
        while not self._ending.is_set():
            began = self._clock.monotonic()
            if not await work():
                return
            await self._wait(self._clock.monotonic() - began, self._ending)
