"""Chunks: a stretch of a broadcast's recipients is sent to, and written down when all of them were answered.

Nobody waits for a recipient who takes long: a chunk is written without, and what comes of that one is settled later,
like any other delivery. Of each push service only so many are under way at once, for all broadcasts together, that
there is always room beside them for who is notified by himself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.rest import BACK_OFF_S, wait_at_most
from pushdesk.engine.spreader import make_job
from pushdesk.errors import DatabaseError
from pushdesk.log import write
from pushdesk.log_events import SettleFailed
from pushdesk.log_fields import Failure
from pushdesk.model import Outcome, Service
from pushdesk.storage.records import Chunk, Settlement, Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.broadcast_run import Run
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.pusher import Pusher
    from pushdesk.engine.settling import Settling
    from pushdesk.engine.stock import Stock
    from pushdesk.model import Delivery, PushTarget
    from pushdesk.storage.broadcasts import BroadcastTable
    from pushdesk.storage.records import Ended, Job, Message

STRAGGLE_S: Final = 1.0
"""For how long a chunk waits for its last answers."""
GIVES_WAY_S: Final = 0.005
"""For how long a broadcast lets those go first who are notified by themselves, if there are any ..."""
BETWEEN: Final = 4
"""... before every so many recipients."""
MARKED: Final = 100
"""The most subscriptions of which one transaction notes that they were pushed to."""


class OpenChunk:
    """A chunk that is sent to.

    Args:
        run: Whose it is.
        service: The push service.
        after: The subscription after which it begins.
        unmarked: The subscriptions of which it is to be written down when they are pushed to.
    """

    def __init__(self, run: Run, service: Service, after: str, unmarked: frozenset[str]) -> None:
        self.run = run
        self.service = service
        self.after = after
        self.unmarked = unmarked
        self.settlements: list[Settlement] = []
        self.under_way: dict[str, Delivery] = {}
        self.superseded = 0
        self.handed_over: frozenset[str] = frozenset()
        """Those whose attempts are settled by themselves, once it is written."""
        self.answered = asyncio.Event()
        """Set when nothing is under way any more."""
        self.written = asyncio.Event()
        """Set when it is in the database, or will never be."""

    def settle(self, settlement: Settlement) -> None:
        """Take what came of a recipient."""
        self.under_way.pop(settlement.delivery.id, None)
        self.settlements.append(settlement)
        if not self.under_way:
            self.answered.set()

    def is_wanted(self) -> bool:
        """Whether there is any use in sending to one that waits for its turn."""
        return not (self.run.is_paused or self.run.is_halted)


class Chunks:
    """Sends to recipients, and settles chunks.

    Args:
        table: The broadcasts in the database.
        pusher: What attempts a delivery.
        settling: What settles those whom nobody waits for.
        in_flight: What is worked on.
        stock: Kept in step.
        observer: Told what happens.
        tell_ended: Called with what has ended without an attempt.
        start: Called with what was parked behind one of these, when it may start.
        is_busy: Whether something for one user is on its way from who asked for it to its push service.
        at_once: Recipients of one push service who are sent to at once.
        clock: When something was answered.
        identifiers: For deliveries.
        wake: Called when something of a chunk is to be tried again.
    """

    def __init__(
        self,
        table: BroadcastTable,
        *,
        pusher: Pusher,
        settling: Settling,
        in_flight: InFlight,
        stock: Stock,
        observer: Observer,
        tell_ended: Callable[[Ended], None],
        start: Callable[[Job], None],
        is_busy: Callable[[], bool],
        at_once: int,
        clock: Clock,
        identifiers: Identifiers,
        wake: Callable[[], None],
    ) -> None:
        self._wake = wake
        self._table = table
        self._pusher = pusher
        self._settling = settling
        self._in_flight = in_flight
        self._stock = stock
        self._observer = observer
        self._tell_ended = tell_ended
        self._start = start
        self._clock = clock
        self._identifiers = identifiers
        self._room = {service: asyncio.Semaphore(at_once) for service in Service}
        self._is_busy = is_busy
        self._turn = asyncio.Lock()
        self._since_gave_way = 0
        """How many had their turn since then."""
        self._writing = asyncio.Lock()
        self._attempts: set[asyncio.Task[None]] = set()
        self._stopping = False

    async def room(self, service: Service) -> bool:
        """Return True once one more may be sent to: `send` or `give_room` then; False where that takes long."""
        try:
            async with asyncio.timeout(STRAGGLE_S):
                await self._room[service].acquire()
        except TimeoutError:
            return False
        async with self._turn:
            # One in each round of the event loop: to encrypt takes longer than most of what others do in theirs.
            await asyncio.sleep(0)
            self._since_gave_way += 1
            if self._since_gave_way >= BETWEEN and self._is_busy():
                self._since_gave_way = 0
                await asyncio.sleep(GIVES_WAY_S)
        return True

    def give_room(self, service: Service) -> None:
        """Send to nobody after all."""
        self._room[service].release()

    def send(self, chunk: OpenChunk, message: Message, target: PushTarget) -> None:
        """Send to a recipient, for whom there is room."""
        job = make_job(self._identifiers.new(), message, target, round(self._clock.time() * 1000))
        delivery = job.delivery
        if not self._in_flight.topics.enter(job):
            # Something of its topic is on its way there: it follows that, or gives way to it, as a delivery.
            self.give_room(target.service)
            chunk.settle(Settlement(delivery, attempted=False))
            return
        self._in_flight.take(delivery)
        chunk.under_way[delivery.id] = delivery
        chunk.answered.clear()
        attempt = asyncio.create_task(self._attempt(chunk, job), name=f"broadcast {delivery.id}")
        self._attempts.add(attempt)
        attempt.add_done_callback(self._attempts.discard)

    async def close(self, chunk: OpenChunk, last: str) -> None:
        """Write a chunk down that is sent to up to a subscription, once it is answered.

        Raises:
            DatabaseError: It could not be written before the server stopped; it is sent to again at the next start.
        """
        if chunk.under_way:
            await wait_at_most(STRAGGLE_S, chunk.answered)
        chunk.handed_over = frozenset(chunk.under_way)
        closed = Chunk(
            dispatch=chunk.run.id,
            service=chunk.service,
            stretch=Stretch(chunk.after, last),
            settlements=tuple(chunk.settlements),
            under_way=tuple(chunk.under_way.values()),
            superseded=chunk.superseded,
            claim=self._in_flight.claim,
            topic=chunk.run.stored.topic,
        )
        try:
            # One at a time: whoever else writes waits for no more than one.
            async with self._writing:
                await self._write(closed)
        finally:
            chunk.written.set()
        accepted = [item.delivery for item in chunk.settlements if item.delivery.outcome is Outcome.ACCEPTED]
        await self._mark([item.subscription for item in accepted if item.subscription in chunk.unmarked])

    async def drain(self, timeout_s: float) -> int:
        """Let what is under way end; returns how much of it did not in time, and was given up."""
        if self._attempts and timeout_s > 0:
            await asyncio.wait(self._attempts, timeout=timeout_s)
        left = [attempt for attempt in self._attempts if not attempt.done()]
        for attempt in left:
            attempt.cancel()
        return len(left)

    def stop(self) -> None:
        """From now on, what the database does not take is left to the next start."""
        self._stopping = True

    async def _write(self, chunk: Chunk) -> None:
        again = False
        while True:
            try:
                async with self._stock.books:
                    settled, ended = await self._table.settle(chunk, round(self._clock.time() * 1000), again=again)
                    if settled.refused:
                        settled = await self._settling.reap(settled)
                    self._observer.chunk_settled(chunk, settled)
                    self._tell_ended(ended)
                    if any(not item.delivery.outcome.is_settled for item in chunk.settlements):
                        self._wake()
                    return
            except DatabaseError as error:
                # What was answered is not forgotten: written when the database is back, or sent again after a crash.
                write(SettleFailed(Failure.of(error), deliveries=chunk.recipients))
                if self._stopping:
                    raise
                again = True
                await asyncio.sleep(BACK_OFF_S)

    async def _mark(self, ids: Sequence[str]) -> None:
        """Note which subscriptions were pushed to, apart from their chunk and a few at a time.

        Nobody needs to know that at once: it holds nobody up who writes, and what a crash loses of it does no harm.
        """
        for first in range(0, len(ids), MARKED):
            try:
                async with self._writing:
                    await self._table.mark(ids[first : first + MARKED], round(self._clock.time() * 1000))
            except DatabaseError as error:
                write(SettleFailed(Failure.of(error), deliveries=0))
                return

    async def _attempt(self, chunk: OpenChunk, job: Job) -> None:
        delivery = job.delivery
        settlement: Settlement | None = None
        try:
            settlement = await self._pusher.attempt(
                job, lambda id_: chunk.is_wanted() and self._in_flight.is_wanted(id_)
            )
        except asyncio.CancelledError:
            # The server stops: it is tried again at the next start.
            pass
        finally:
            self.give_room(chunk.service)
        if delivery.id in chunk.handed_over:
            await chunk.written.wait()
            if settlement is not None:
                self._settling.add(settlement)
                return
        else:
            chunk.settle(settlement or Settlement(delivery, attempted=False))
        self._in_flight.leave(delivery)
        if (parked := self._in_flight.topics.leave(delivery.id)) is not None:
            self._follow(parked, settlement)

    def _follow(self, parked: Job, after: Settlement | None) -> None:
        if after is None or after.disabling is not None:
            # Its device may be gone: looked up anew.
            self._settling.add(Settlement(parked.delivery, attempted=False))
        else:
            self._start(parked)
