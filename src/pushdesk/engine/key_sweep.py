"""The sweep: brings subscriptions in line with keys that have ended or come back, a batch at a time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pushdesk.log import write
from pushdesk.log_events import KeySweepEnded, KeySweepFailed
from pushdesk.log_fields import Failure
from pushdesk.storage.records import Swept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.engine.publisher import Publisher
    from pushdesk.storage.key_bindings import KeyBindings

BATCH: Final = 500
"""The most subscriptions that one transaction changes."""
BACK_OFF_S: Final = 1.0
"""How long a failing database is left alone."""


class KeySweep:
    """Works in the background, whenever it is woken, until nothing is left to be done.

    Args:
        bindings: Does a batch.
        publisher: Told of what each has changed.
        before: Called before each round: puts in order what a failed command may have left.
        after: Called after each round that has changed something.
    """

    def __init__(
        self,
        *,
        bindings: KeyBindings,
        publisher: Publisher,
        before: Callable[[], Awaitable[None]],
        after: Callable[[], Awaitable[None]],
    ) -> None:
        self._bindings = bindings
        self._publisher = publisher
        self._before = before
        self._after = after
        self._wake = asyncio.Event()
        self._ending = False

    def wake(self) -> None:
        """See what there is to do."""
        self._wake.set()

    def end(self) -> None:
        """Let `run` end after the batch that is under way; what is left is done after the next start."""
        self._ending = True
        self._wake.set()

    async def run(self) -> None:
        """Work whenever there is something to do, until the end."""
        while True:
            await self._wake.wait()
            if self._ending:
                return
            self._wake.clear()
            try:
                await self._before()
                await self._round()
            except Exception as error:  # noqa: BLE001 (whatever it was, what is left is still to be done)
                write(KeySweepFailed(Failure.of(error)))
                with suppress(TimeoutError):
                    async with asyncio.timeout(BACK_OFF_S):
                        await self._wake.wait()
                self._wake.set()

    async def _round(self) -> None:
        removed = disabled = restored = 0
        while (swept := await self._bindings.sweep(BATCH)) != Swept():
            removed += len(swept.removed)
            disabled += len(swept.disabled)
            restored += len(swept.restored)
            self._publisher.subscriptions_swept(swept)
            # Whoever waits has a turn before the next batch.
            await asyncio.sleep(0)
            if self._ending:
                return
        await self._bindings.end_restoring()
        if removed or disabled or restored:
            write(KeySweepEnded(removed=removed, disabled=disabled, restored=restored))
            await self._after()
