"""The event bus: numbered, bounded, for display. A reader that falls behind is told so and never holds anyone up."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec

from pushdesk import __version__
from pushdesk.desk import Gap, Hello

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from pushdesk.clock import Clock
    from pushdesk.desk import AnyEvent, Position

P = ParamSpec("P")

HELD: Final = 4096
"""How many events are held for readers that come back."""
BATCH: Final = 500
"""The most events that are handed over at once."""
INTERVAL_S: Final = 0.1
"""Batches come at most this often: a console needs no more, and a busy server must not pay for more."""


class EventBus:
    """Numbers events from 1 within an `epoch`, which is new with every start of the server."""

    def __init__(self, clock: Clock, epoch: str) -> None:
        self.epoch = epoch
        self._clock = clock
        self._seq = 0
        self._held: deque[AnyEvent] = deque(maxlen=HELD)
        self._changed = asyncio.Event()

    def publish(
        self, kind: Callable[Concatenate[int, datetime, P], AnyEvent], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Publish an event of this kind, with the next number and the time."""
        self._seq += 1
        self._held.append(kind(self._seq, self._now(), *args, **kwargs))
        self._changed.set()

    async def follow(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        """Yield what happens, in batches; a `Hello` first, and a `Gap` where events are no longer held.

        Without a position the stream starts now.
        """
        seen = self._seq if after is None else after.seq
        opening: list[AnyEvent] = [Hello(self._seq, self._now(), self.epoch, __version__)]
        if after is not None and (after.epoch != self.epoch or seen > self._seq):
            opening.append(Gap(self._seq, self._now()))
            seen = self._seq
        yield opening
        while True:
            batch = self._since(seen)
            if not batch:
                # Set by the next event: whoever waits looks again, so one flag serves every reader.
                self._changed.clear()
                await self._changed.wait()
                continue
            seen = batch[-1].seq
            yield batch
            await asyncio.sleep(INTERVAL_S)

    def _since(self, seen: int) -> list[AnyEvent]:
        held = len(self._held)
        missed = self._seq - seen
        if missed > held:
            return [Gap(self._seq - held, self._now()), *islice(self._held, BATCH - 1)]
        return list(islice(self._held, held - missed, held - missed + BATCH))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time(), UTC)
