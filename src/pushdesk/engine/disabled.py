"""Disabled subscriptions: restored if somebody says so in time, then removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.rest import wait_at_most
from pushdesk.log import write
from pushdesk.log_events import DisabledRemoved, DisabledUnremoved, SubscriptionsRestored
from pushdesk.log_fields import Failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.publisher import Publisher
    from pushdesk.model import Restoration
    from pushdesk.storage.disabled import Disabled

BATCH: Final = 500
"""The most subscriptions that one transaction removes."""
LOOK_S: Final = 3600.0
"""How often it is looked for what has been disabled for long enough."""


class DisabledSubscriptions:
    """Restores and removes.

    After each batch that it removes it rests for as long as that took, so that others have the writer for half of the
    time at least.

    Args:
        table: Where they are.
        publisher: Told of what has changed.
        max_devices: How many active subscriptions a user may have.
        keep_s: For how long they are kept, in seconds; 0 is for ever.
        clock: The time.
        wait: Waits so many seconds, or until an event that comes before.
    """

    def __init__(
        self,
        table: Disabled,
        *,
        publisher: Publisher,
        max_devices: int,
        keep_s: int,
        clock: Clock,
        wait: Callable[[float, asyncio.Event], Awaitable[None]] = wait_at_most,
    ) -> None:
        self._table = table
        self._publisher = publisher
        self._max_devices = max_devices
        self._keep_s = keep_s
        self._clock = clock
        self._wait = wait
        self._ending = asyncio.Event()

    async def restore(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        """Make disabled subscriptions active again; returns what came of each.

        Raises:
            DatabaseError: Nothing was changed.
        """
        results, restored = await self._table.restore(ids, self._max_devices)
        if restored:
            self._publisher.subscriptions_changed(restored)
            write(SubscriptionsRestored(subscriptions=len(restored)))
        return results

    async def run(self) -> None:
        """Remove what has been disabled for long enough, until the end."""
        while self._keep_s and not self._ending.is_set():
            try:
                await self._remove()
            except Exception as error:  # noqa: BLE001 (logged, and the next look may fare better)
                write(DisabledUnremoved(Failure.of(error)))
            await self._wait(LOOK_S, self._ending)

    def end(self) -> None:
        """Let `run` end after the batch that is under way."""
        self._ending.set()

    async def _remove(self) -> None:
        removed = 0
        try:
            while not self._ending.is_set():
                began = self._clock.monotonic()
                batch = await self._table.remove(round((self._clock.time() - self._keep_s) * 1000), BATCH)
                if not batch:
                    break
                removed += len(batch)
                self._publisher.subscriptions_forgotten(batch)
                await self._wait(self._clock.monotonic() - began, self._ending)
        finally:
            if removed:
                write(DisabledRemoved(subscriptions=removed))
