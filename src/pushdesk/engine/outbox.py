"""The outbox: what is accepted is durable before it is acknowledged, and is worked on until it is settled.

Three tasks share the work. *Accept* commits what came in meanwhile as one group. *Work* spreads what is due over its
devices and starts an attempt for each. *Settle* writes what the attempts came to, again as one group. Whatever a
crash interrupts is found unclaimed at the next start and tried again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.acceptance import Acceptance, FirstDispatch
from pushdesk.engine.broadcast_chunks import Chunks
from pushdesk.engine.broadcast_runs import Runs
from pushdesk.engine.broadcast_worker import BroadcastWorker
from pushdesk.engine.in_flight import InFlight
from pushdesk.engine.outbox_observer import Observers
from pushdesk.engine.recipients import Recipients
from pushdesk.engine.settling import Settling
from pushdesk.engine.stock import Stock
from pushdesk.engine.waiters import Waiters
from pushdesk.engine.worker import Worker
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.log import write
from pushdesk.log_events import OutboxStoppedEarly
from pushdesk.model import DispatchKind, DispatchState
from pushdesk.storage.records import Ended
from pushdesk.storage.spreading import OPEN_STATES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.pressure import Pressure
    from pushdesk.engine.pusher import Pusher
    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.engine.tellers import BroadcastTeller
    from pushdesk.model import Dispatch
    from pushdesk.storage.broadcast_users import BroadcastUsers
    from pushdesk.storage.broadcasts import BroadcastTable
    from pushdesk.storage.lanes import LaneTable
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import IdempotencyKey, Job, Message, RemovedHistory

RESTART_S: Final = 10
"""After how many seconds a server that stops may be there again."""


class Outbox:
    """Accepts messages and works on them.

    Args:
        table: The outbox in the database.
        lane_table: What is kept of the lanes.
        lanes: Say what may be sent.
        brakes: Say which subscriptions that seem to end are held.
        pusher: What attempts a delivery.
        cache: Who has which devices.
        clock: Wall-clock time decides what is due.
        identifiers: For deliveries, and for this process's claim.
        observer: Told what happens.
        pressure: Refuses what there is no room for.
        broadcast_table: The broadcasts in the database.
        broadcast_users: Their lists there.
        broadcast_teller: Tells of them.
        at_once: Recipients of broadcasts who are sent to at once, per push service.
    """

    def __init__(
        self,
        *,
        table: OutboxTable,
        lane_table: LaneTable,
        lanes: Lanes,
        brakes: Brakes,
        pusher: Pusher,
        cache: SubscriptionCache,
        clock: Clock,
        identifiers: Identifiers,
        observer: Observer,
        pressure: Pressure,
        broadcast_table: BroadcastTable,
        broadcast_users: BroadcastUsers,
        broadcast_teller: BroadcastTeller,
        at_once: int,
    ) -> None:
        self.runs = Runs(broadcast_teller, clock)
        """The broadcasts of which something is left to do."""
        observer = Observers(observer, self.runs)
        self._pressure = pressure
        self._table = table
        self._lane_table = lane_table
        self._lanes = lanes
        lanes.listeners.append(lambda _service: self._wake())
        self._clock = clock
        self._observer = observer
        self._waiters = Waiters()
        self._in_flight = InFlight(identifiers.new())
        self._stock = Stock(table, observer, self._in_flight.claim)
        self._settling = Settling(
            table,
            stock=self._stock,
            in_flight=self._in_flight,
            waiters=self._waiters,
            brakes=brakes,
            observer=observer,
            clock=clock,
            wake=self._wake,
            make_use_of_room=self._make_use_of_room,
            start=self._start_parked,
        )
        self._worker = Worker(
            table=table,
            lane_table=lane_table,
            lanes=lanes,
            pusher=pusher,
            recipients=Recipients(cache, table),
            settling=self._settling,
            stock=self._stock,
            in_flight=self._in_flight,
            broadcasts=self.runs,
            waiters=self._waiters,
            observer=observer,
            clock=clock,
            identifiers=identifiers,
        )
        self._acceptance = Acceptance(table, stock=self._stock, observer=observer, worker=self._worker, wake=self._wake)
        self._chunks = Chunks(
            broadcast_table,
            pusher=pusher,
            settling=self._settling,
            in_flight=self._in_flight,
            stock=self._stock,
            observer=observer,
            tell_ended=self._worker.tell_ended,
            start=self._start_parked,
            is_busy=lambda: self._acceptance.is_busy or self._worker.looking.locked(),
            at_once=at_once,
            clock=clock,
            identifiers=identifiers,
            wake=self._worker.wake,
        )
        self.broadcasts = BroadcastWorker(
            broadcast_table,
            broadcast_users,
            runs=self.runs,
            chunks=self._chunks,
            lanes=lanes,
            in_flight=self._in_flight,
            stock=self._stock,
            observer=observer,
            tell_ended=self._worker.tell_ended,
            clock=clock,
            wake=self._worker.wake,
        )
        """What sends them."""
        self._committing: list[asyncio.Task[None]] = []
        self._working: asyncio.Task[None] | None = None
        self._broadcasting: asyncio.Task[None] | None = None
        self._stopping = False

    async def take_stock(self) -> None:
        """Count what there is to be done.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._stock.take()

    async def start(self) -> None:
        """Take up what an earlier process left, and begin to work.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._table.release_claims(self._in_flight.ids)
        self._acceptance.take_up(await self._table.precedence())
        self._lanes.take_up(await self._lane_table.paused(), await self._lane_table.awaited())
        self._committing = [
            asyncio.create_task(self._acceptance.run(), name="outbox accept"),
            asyncio.create_task(self._settling.run(), name="outbox settle"),
        ]
        await self.broadcasts.take_up()
        self._working = asyncio.create_task(self._worker.run(), name="outbox work")
        self._broadcasting = asyncio.create_task(self.broadcasts.run(), name="outbox broadcasts")

    async def stop(self, timeout_s: float) -> int:
        """Stop accepting and starting, let what is in flight end, and settle it.

        Returns:
            How many deliveries were still in flight after `timeout_s`; they are tried again at the next start.
        """
        self._stopping = True
        self._settling.stop_trying()
        self._worker.stop()
        self.broadcasts.stop()
        if self._working is not None:
            await self._working
            self._working = None
        left = sum(await asyncio.gather(self._worker.drain(timeout_s), self.broadcasts.drain(timeout_s)))
        if self._broadcasting is not None:
            await self._broadcasting
            self._broadcasting = None
        # These end by themselves, after the transaction that they are in.
        self._acceptance.close()
        self._settling.close()
        await asyncio.gather(*self._committing)
        if left:
            write(OutboxStoppedEarly(in_flight=left))
        return left

    @property
    def queued(self) -> int:
        """Dispatches that are not spread over their devices yet."""
        return self._stock.queued

    @property
    def in_flight(self) -> int:
        """Deliveries that are under way, or that are answered and not written down yet."""
        return len(self._in_flight)

    @property
    def is_working(self) -> bool:
        """Whether what is accepted is worked on."""
        tasks = (self._working, self._broadcasting)
        return all(task is not None and not task.done() for task in tasks)

    async def accept(self, message: Message) -> FirstDispatch | None:
        """Return once a message is committed.

        Returns:
            None, or what its idempotency key was first used for: then nothing was stored.

        Raises:
            DatabaseError: It was not stored.
            PushdeskError: `queue_full` while the server is stopping; it or `disk_full` where there is no room for
                more, unless it is a test, which is small and lives for a minute.
        """
        if self._stopping:
            raise PushdeskError(
                "The server is stopping.", code="queue_full", hint="Try again in a moment.", retry_after_s=RESTART_S
            )
        if message.kind is not DispatchKind.TEST:
            try:
                self._pressure.admit()
            except PushdeskError:
                # What was accepted before needs no room.
                first = None if message.idempotency is None else await self.remembered(message.idempotency)
                if first is None:
                    raise
                return first
        return await self._acceptance.accept(message)

    async def remembered(self, key: IdempotencyKey) -> FirstDispatch | None:
        """Return what an idempotency key was first used for, if it is known.

        Raises:
            DatabaseError: It could not be read.
        """
        first = await self._table.remembered(key, self._now_ms())
        return None if first is None else FirstDispatch(*first)

    async def release(self, dispatch: str, plaintext: bytes | None = None) -> bool:
        """Make a dispatch due that was scheduled for later, with another message if one is given.

        Returns:
            Whether it was still scheduled for later.

        Raises:
            DatabaseError: Nothing was changed.
        """
        user = await self._table.release(dispatch, plaintext, self._now_ms())
        if user is None:
            return False
        self._worker.leave([user])
        self._wake()
        return True

    async def release_kind(self, kind: DispatchKind) -> None:
        """Make every dispatch of a kind due that was scheduled for later.

        Raises:
            DatabaseError: Nothing was changed.
        """
        await self._table.release_kind(kind, self._now_ms())
        self._wake()

    def done(self, dispatch: str) -> asyncio.Future[None]:
        """Return what is set once nothing is left to do for a dispatch; ask before it is accepted."""
        return self._waiters.done(dispatch)

    def forget(self, dispatch: str) -> None:
        """Nobody waits for this dispatch any longer."""
        self._waiters.forget(dispatch)

    async def cancel(self, dispatch: str, sender: str | None) -> None:
        """End a dispatch with all that may still be sent of it; what is under way is not tried again.

        Args:
            dispatch: Its id.
            sender: The only one whose dispatches may be cancelled; None for all.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended` where nothing is left to do.
            DatabaseError: Nothing was changed.
        """
        async with self.broadcasts.halted(dispatch, sender), self._worker.looking, self._stock.books:
            try:
                before, ended = await self._table.cancel(dispatch, sender, self._now_ms())
            except DatabaseError:
                self._count_anew()
                raise
            self._stock.queued -= before.state in OPEN_STATES
            self._worker.tell_ended(replace(ended, done=(_cancelled(before),)))

    async def remove(self, remove: Callable[[], Awaitable[RemovedHistory]]) -> bool:
        """Remove a batch of what a user was sent, settled or not; what is under way ends by itself.

        Args:
            remove: Removes a batch from the database.

        Returns:
            Whether there was anything left to be removed.

        Raises:
            DatabaseError: Nothing was removed.
        """
        async with self._worker.looking, self._stock.books:
            try:
                removed = await remove()
            except DatabaseError:
                self._count_anew()
                raise
            self._stock.queued -= sum(dispatch.state in OPEN_STATES for dispatch in removed.dispatches)
            ended = tuple(
                _cancelled(dispatch) for dispatch in removed.dispatches if dispatch.state is not DispatchState.DONE
            )
            self._worker.tell_ended(Ended(done=(*ended, *removed.done), removed=removed.deliveries))
        return bool(removed.deliveries or removed.dispatches)

    def _count_anew(self) -> None:
        """Something failed that may have been written all the same."""
        self._stock.is_unsure = True
        self._wake()

    def _wake(self) -> None:
        self._worker.wake()
        self.broadcasts.wake()

    def _make_use_of_room(self) -> None:
        self._worker.make_use_of_room()
        self.broadcasts.wake()

    def _start_parked(self, job: Job) -> None:
        self._worker.start(job)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)


def _cancelled(dispatch: Dispatch) -> Dispatch:
    return structs.replace(dispatch, state=DispatchState.CANCELLED, send_at=None)
