"""Settling: what attempts came to is written down, together where it came together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pushdesk.engine.groups import GroupCommit
from pushdesk.engine.recipients import cancelled
from pushdesk.engine.rest import BACK_OFF_S
from pushdesk.errors import DatabaseError
from pushdesk.log import write
from pushdesk.log_events import SettleFailed
from pushdesk.log_fields import Failure
from pushdesk.storage.records import Settlement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.stock import Stock
    from pushdesk.engine.waiters import Waiters
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Job, Settled

BATCH: Final = 500
"""The most deliveries that one transaction settles."""


class Settling:
    """Settles deliveries that are in flight.

    Args:
        table: The outbox in the database.
        stock: Taken between transactions only.
        in_flight: Left by what is settled.
        waiters: Told of dispatches that are done.
        brakes: Say which of those that are to be disabled are held.
        observer: Told what became of deliveries.
        clock: Wall-clock time, for when something was settled.
        wake: Called when there is something to be tried again, or found out.
        make_use_of_room: Called when there is room again.
        start: Called with what was parked, when it may start.
    """

    def __init__(
        self,
        table: OutboxTable,
        *,
        stock: Stock,
        in_flight: InFlight,
        waiters: Waiters,
        brakes: Brakes,
        observer: Observer,
        clock: Clock,
        wake: Callable[[], None],
        make_use_of_room: Callable[[], None],
        start: Callable[[Job], None],
    ) -> None:
        self._table = table
        self._stock = stock
        self._in_flight = in_flight
        self._waiters = waiters
        self._brakes = brakes
        self._observer = observer
        self._clock = clock
        self._wake = wake
        self._make_use_of_room = make_use_of_room
        self._start = start
        self._outgoing = GroupCommit(self._commit, limit=BATCH)
        self._stopping = False

    def add(self, settlement: Settlement) -> None:
        """Settle a delivery with the next transaction."""
        self._outgoing.add(settlement)

    async def run(self) -> None:
        """Settle until closed, and then what is left."""
        await self._outgoing.run()

    def stop_trying(self) -> None:
        """From now on, what the database does not take is left to the next start."""
        self._stopping = True

    def close(self) -> None:
        """Let `run` end after the transaction that it is in."""
        self._outgoing.close()

    async def _commit(self, group: list[Settlement]) -> None:
        try:
            settled = await self._write(group)
        except Exception:
            # They wait again, be they written or not; whatever is wrong is given time first, as they are sent again.
            if not self._stopping:
                await asyncio.sleep(BACK_OFF_S)
            self._leave(group)
            # Not before: what is in flight keeps its claim.
            self._stock.is_unsure = True
            self._wake()
            raise
        self._leave(group)
        if all(item.delivery.outcome.is_settled for item in group):
            self._make_use_of_room()
        else:
            self._wake()
        self._observer.settled([self._as_it_ended(item, settled) for item in group], settled)
        self._waiters.finish(settled.done)

    def _leave(self, group: Sequence[Settlement]) -> None:
        for item in group:
            self._in_flight.leave(item.delivery)
            if (parked := self._in_flight.topics.leave(item.delivery.id)) is not None:
                self._go_on(parked, after=item)

    def _go_on(self, parked: Job, after: Settlement) -> None:
        if after.disabling is None:
            self._start(parked)
        else:
            # Its device may be gone: looked up anew.
            self.add(Settlement(parked.delivery, attempted=False))

    async def _write(self, group: list[Settlement]) -> Settled:
        again = False
        while True:
            try:
                async with self._stock.books:
                    if not again:
                        self._outgoing.fill(group)
                    settled = await self._table.settle(group, self._in_flight.claim, self._now_ms(), again=again)
                    return await self.reap(settled) if settled.refused else settled
            except DatabaseError as error:
                # What was answered is not forgotten: written when the database is back, or tried again after a crash.
                write(SettleFailed(Failure.of(error), deliveries=len(group)))
                if self._stopping:
                    raise
                again = True
                await asyncio.sleep(BACK_OFF_S)

    async def reap(self, settled: Settled) -> Settled:
        """Disable what nothing was ever delivered to, and never will be."""
        try:
            reaped = await self._table.disable(self._brakes.reaped(settled.refused), self._now_ms())
        except DatabaseError as error:
            # All else is written down; the next push that is refused tells of it again.
            write(SettleFailed(Failure.of(error), deliveries=0))
            return settled
        return replace(settled, reaped=reaped)

    def _as_it_ended(self, settlement: Settlement, settled: Settled) -> Settlement:
        """Return what an attempt came to; one that was removed, or had ended, meanwhile is not tried again."""
        delivery = settlement.delivery
        if (ended := settled.ended.get(delivery.id)) is not None:
            return replace(settlement, delivery=ended, awaits_key=None)
        if not self._in_flight.was_removed(delivery.id) or delivery.outcome.is_settled:
            return settlement
        return cancelled(delivery, self._now_ms())

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
