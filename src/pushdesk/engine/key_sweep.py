"""The sweep: brings subscriptions in line with keys that have ended or come back, a batch at a time."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

from pushdesk.engine.rest import BACK_OFF_S, wait_at_most
from pushdesk.log import write
from pushdesk.log_events import KeySweepEnded, KeySweepFailed, KeySweepStopped
from pushdesk.log_fields import Failure
from pushdesk.storage.records import Swept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.publisher import Publisher
    from pushdesk.storage.key_bindings import KeyBindings

BATCH: Final = 500
"""The most subscriptions that one transaction changes."""


class KeySweep:
    """Works in the background, whenever it is woken, until nothing is left to be done.

    After each batch it rests for as long as that took, so that others have the writer for half of the time at least.

    Args:
        bindings: Does a batch.
        publisher: Told of what each has changed.
        before: Called before each round: puts in order what a failed command may have left.
        after: Called after each round that has changed something.
        clock: How long a batch takes.
        wait: Waits so many seconds, or until an event that comes before.
    """

    def __init__(
        self,
        *,
        bindings: KeyBindings,
        publisher: Publisher,
        before: Callable[[], Awaitable[None]],
        after: Callable[[], Awaitable[None]],
        clock: Clock,
        wait: Callable[[float, asyncio.Event], Awaitable[None]] = wait_at_most,
    ) -> None:
        self._bindings = bindings
        self._publisher = publisher
        self._before = before
        self._after = after
        self._clock = clock
        self._wait = wait
        self._wake = asyncio.Event()
        self._ending = asyncio.Event()
        self._done: Counter[str] = Counter()
        """What was done since the log was last told."""

    def wake(self) -> None:
        """See what there is to do."""
        self._wake.set()

    def end(self) -> None:
        """Let `run` end after the batch that is under way; what is left is done after the next start."""
        self._ending.set()
        self._wake.set()

    async def run(self) -> None:
        """Work whenever there is something to do, until the end."""
        while True:
            await self._wake.wait()
            if self._ending.is_set():
                if self._done:
                    self._tell(KeySweepStopped)
                return
            self._wake.clear()
            try:
                await self._before()
                await self._round()
            except Exception as error:  # noqa: BLE001 (whatever it was, what is left is still to be done)
                write(KeySweepFailed(Failure.of(error)))
                await self._wait(BACK_OFF_S, self._wake)
                self._wake.set()

    async def _round(self) -> None:
        while True:
            began = self._clock.monotonic()
            swept = await self._bindings.sweep(BATCH, round(self._clock.time() * 1000))
            if swept == Swept():
                break
            self._done.update(removed=len(swept.removed), disabled=len(swept.disabled), restored=len(swept.restored))
            self._publisher.subscriptions_swept(swept)
            await self._wait(self._clock.monotonic() - began, self._ending)
            if self._ending.is_set():
                return
        await self._bindings.end_restoring()
        if self._done:
            self._tell(KeySweepEnded)
            await self._after()

    def _tell(self, kind: type[KeySweepEnded | KeySweepStopped]) -> None:
        done = self._done
        write(kind(removed=done["removed"], disabled=done["disabled"], restored=done["restored"]))
        done.clear()
