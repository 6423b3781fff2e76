"""The outbox: what is accepted is durable before it is acknowledged, and is worked on until it is settled.

Three tasks share the work. *Accept* commits what came in meanwhile as one group. *Work* spreads what is due over its
devices and starts an attempt for each. *Settle* writes what the attempts came to, again as one group. Whatever a
crash interrupts is found unclaimed at the next start and tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from msgspec import structs

from pushdesk.engine.groups import GroupCommit
from pushdesk.engine.publisher import to_dispatch
from pushdesk.engine.recipients import Recipients, cancelled, put_off, put_off_until
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.log import write
from pushdesk.log_events import OutboxPassFailed, OutboxStoppedEarly, SettleFailed
from pushdesk.log_fields import Failure
from pushdesk.model import Delivery, Dispatch, DispatchState, Outcome, Service
from pushdesk.storage.outbox import OPEN_STATES
from pushdesk.storage.records import Job, Settled, Settlement
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.pusher import Pusher
    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.model import DispatchKind, PushTarget
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Claimed, Message, RemovedHistory

IN_FLIGHT_PER_SERVICE: Final = 500
"""Deliveries under way at once to one push service; what is due beyond waits in the database, not in memory.

For each service by itself: one that hangs takes no room from the others.
"""
BATCH: Final = 500
"""The most items that one transaction takes."""
LONGEST_WAIT_S: Final = 30.0
"""What is due is looked for at least this often: the wall clock can jump, and a machine can sleep."""
SPREAD: Final = 100
"""The most dispatches that are spread over their devices at once."""
BACK_OFF_S: Final = 1.0
"""How long a failing database is left alone."""


class FirstDispatch(NamedTuple):
    """What an idempotency key was first used for: the dispatch, and the digest of the request's body."""

    dispatch: str
    body_digest: bytes


class Observer(Protocol):
    """Told what the outbox has done, once it is in the database."""

    def resumed(self, waiting: Mapping[Service, int]) -> None:
        """So many deliveries are unsettled, per push service."""
        ...

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """These are durable."""
        ...

    def deliveries_made(self, deliveries: Sequence[Delivery]) -> None:
        """These are to be attempted."""
        ...

    def settled(self, settlements: Sequence[Settlement], settled: Settled) -> None:
        """These were tried or settled, and that changed more than the deliveries."""
        ...


class _Incoming(NamedTuple):
    message: Message
    accepted: asyncio.Future[FirstDispatch | None]


class Outbox:
    """Accepts messages and works on them.

    Args:
        table: The outbox in the database.
        pusher: What attempts a delivery.
        cache: Who has which devices.
        clock: Wall-clock time decides what is due.
        identifiers: For deliveries, and for this process's claim.
        observer: Told what happens.
    """

    def __init__(
        self,
        *,
        table: OutboxTable,
        pusher: Pusher,
        cache: SubscriptionCache,
        clock: Clock,
        identifiers: Identifiers,
        observer: Observer,
    ) -> None:
        self._table = table
        self._pusher = pusher
        self._recipients = Recipients(cache, table)
        self._clock = clock
        self._identifiers = identifiers
        self._observer = observer
        # One claim for the life of this process: a database file has one server at a time.
        self._claim = identifiers.new()
        self._incoming = GroupCommit(self._commit_accepted, limit=BATCH)
        self._outgoing = GroupCommit(self._commit_settled, limit=BATCH)
        self._attempts: set[asyncio.Task[None]] = set()
        self._claimed: set[str] = set()
        """The deliveries that are under this process's claim and worked on."""
        self._is_unsure = False
        """Whether something failed that may have been written all the same."""
        self._books = asyncio.Lock()
        """Held from a commit until it is counted: stock is not taken in between."""
        self._looking = asyncio.Lock()
        """Held while what is due is looked for and started: nothing of it is removed in between."""
        self._removed: set[str] = set()
        """The deliveries that were removed while they were under way."""
        self._in_flight: Counter[Service] = Counter()
        self._wake = asyncio.Event()
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._committing: list[asyncio.Task[None]] = []
        self._working: asyncio.Task[None] | None = None
        self._stopping = False
        self.queued = 0
        """Dispatches that are not spread over their devices yet."""

    async def take_stock(self) -> None:
        """Count what there is to be done.

        Raises:
            DatabaseError: The database does not answer.
        """
        async with self._books:
            self.queued, waiting = await self._table.backlog()
            self._observer.resumed(waiting)

    async def start(self) -> None:
        """Take up what an earlier process left, and begin to work.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._table.release_claims(self._claimed)
        self._committing = [
            asyncio.create_task(self._incoming.run(), name="outbox accept"),
            asyncio.create_task(self._outgoing.run(), name="outbox settle"),
        ]
        self._working = asyncio.create_task(self._work(), name="outbox work")

    async def stop(self, timeout_s: float) -> int:
        """Stop accepting and starting, let what is in flight end, and settle it.

        Returns:
            How many deliveries were still in flight after `timeout_s`; they are tried again at the next start.
        """
        self._stopping = True
        self._wake.set()
        self._recipients.stop()
        if self._working is not None:
            await self._working
            self._working = None
        if self._attempts and timeout_s > 0:
            await asyncio.wait(self._attempts, timeout=timeout_s)
        left = len(self._attempts)
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        # These end by themselves, after the transaction that they are in.
        self._incoming.close()
        self._outgoing.close()
        await asyncio.gather(*self._committing)
        if left:
            write(OutboxStoppedEarly(in_flight=left))
        return left

    @property
    def in_flight(self) -> int:
        """Deliveries that are under way, or that are answered and not written down yet."""
        return self._in_flight.total()

    @property
    def is_working(self) -> bool:
        """Whether what is accepted is worked on."""
        return self._working is not None and not self._working.done()

    async def accept(self, message: Message) -> FirstDispatch | None:
        """Return once a message is committed.

        Returns:
            None, or what its idempotency key was first used for: then nothing was stored.

        Raises:
            DatabaseError: It was not stored.
            PushdeskError: `queue_full` while the server is stopping.
        """
        if self._stopping:
            raise PushdeskError("The server is stopping.", code="queue_full", hint="Try again in a moment.")
        accepted: asyncio.Future[FirstDispatch | None] = asyncio.get_running_loop().create_future()
        self._incoming.add(_Incoming(message, accepted))
        return await accepted

    async def release(self, dispatch: str, plaintext: bytes | None = None) -> bool:
        """Make a dispatch due that was scheduled for later, with another message if one is given.

        Returns:
            Whether it was still scheduled for later.

        Raises:
            DatabaseError: Nothing was changed.
        """
        released = await self._table.release(dispatch, plaintext, self._now_ms())
        self._wake.set()
        return released

    async def release_kind(self, kind: DispatchKind) -> None:
        """Make every dispatch of a kind due that was scheduled for later.

        Raises:
            DatabaseError: Nothing was changed.
        """
        await self._table.release_kind(kind, self._now_ms())
        self._wake.set()

    def done(self, dispatch: str) -> asyncio.Future[None]:
        """Return what is set once nothing is left to do for a dispatch; ask before it is accepted."""
        return self._waiters.setdefault(dispatch, asyncio.get_running_loop().create_future())

    def forget(self, dispatch: str) -> None:
        """Nobody waits for this dispatch any longer."""
        self._waiters.pop(dispatch, None)

    async def remove(self, remove: Callable[[], Awaitable[RemovedHistory]]) -> bool:
        """Remove a batch of what a user was sent, settled or not; what is under way ends by itself.

        Args:
            remove: Removes a batch from the database.

        Returns:
            Whether there was anything left to be removed.

        Raises:
            DatabaseError: Nothing was removed.
        """
        async with self._looking:
            removed = await remove()
            unsettled = [delivery for delivery in removed.deliveries if not delivery.outcome.is_settled]
            self._removed.update(delivery.id for delivery in unsettled if delivery.id in self._claimed)
            waiting = [cancelled(item, self._now_ms()) for item in unsettled if item.id not in self._claimed]
            self.queued -= sum(dispatch.state in OPEN_STATES for dispatch in removed.dispatches)
            ended = tuple(
                structs.replace(dispatch, state=DispatchState.CANCELLED)
                for dispatch in removed.dispatches
                if dispatch.state is not DispatchState.DONE
            )
            self._observer.settled(waiting, Settled(disabled=(), done=ended))
            self._finish(ended)
        return bool(removed.deliveries or removed.dispatches)

    async def _commit_accepted(self, group: Sequence[_Incoming]) -> None:
        try:
            # Counted before anybody else's turn comes.
            async with self._books:
                repeats = await self._table.accept([item.message for item in group])
        except Exception as error:  # noqa: BLE001 (whatever it was, those who wait for it are told)
            self._is_unsure = True
            for item in group:
                if not item.accepted.done():
                    # One for each: whoever raises an exception adds a traceback to it.
                    item.accepted.set_exception(copy(error))
            return
        fresh = [item.message for item in group if item.message.id not in repeats]
        self.queued += len(fresh)
        self._observer.dispatches_accepted(fresh)
        self._wake.set()
        for item in group:
            if not item.accepted.done():
                first = repeats.get(item.message.id)
                item.accepted.set_result(None if first is None else FirstDispatch(*first))

    async def _work(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                async with self._looking:
                    wait_s = await self._work_on_what_is_due()
            except Exception as error:  # noqa: BLE001 (logged, and the next pass may fare better)
                write(OutboxPassFailed(Failure.of(error)))
                self._is_unsure = True
                wait_s = BACK_OFF_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    async def _work_on_what_is_due(self) -> float:
        """Start what is due and there is room for; return after how many seconds to look again."""
        now_ms = self._now_ms()
        if self._is_unsure:
            # What was claimed by a transaction that seemed to fail would else be nobody's until the next start.
            await self._table.release_claims(self._claimed)
            await self.take_stock()
            self._is_unsure = False
        dispatch_due_ms, due_ms = await self._table.next_due_ms()
        moments = [LONGEST_WAIT_S]
        if dispatch_due_ms is not None:
            moments.append((dispatch_due_ms - now_ms) / 1000)
            if dispatch_due_ms <= now_ms:
                await self._spread(now_ms)
        for service, at_ms in due_ms.items():
            room = self._room(service)
            if room <= 0 or self._stopping:
                # Woken when something is settled.
                continue
            moments.append((at_ms - now_ms) / 1000)
            if at_ms <= now_ms:
                await self._resume(await self._table.claim(self._claim, service, now_ms, min(room, BATCH)), now_ms)
        return max(0.0, min(moments))

    def _room(self, service: Service) -> int:
        return IN_FLIGHT_PER_SERVICE - self._in_flight[service]

    async def _spread(self, now_ms: int) -> None:
        """Make a delivery for each device of what is due; put off what is for users whose devices cannot be read."""
        due = await self._table.open_dispatches(now_ms, SPREAD)
        devices = await self._recipients.find(due)
        if self._stopping:
            return
        jobs: list[Job] = []
        empty: list[Message] = []
        unread: list[Message] = []
        for message in (item.message for item in due):
            if message.user not in devices:
                unread.append(message)
                continue
            mine = [
                self._job(message, target, now_ms)
                for target in devices[message.user].values()
                if message.subscription in (None, target.subscription)
            ]
            jobs += mine
            if not mine:
                empty.append(message)
        starting = self._as_many_as_there_is_room_for(jobs)
        claims = {job.delivery.id: self._claim for job in starting}
        await self._table.spread([job.delivery for job in jobs], {message.id for message in empty}, claims)
        self.queued -= len({job.message.id for job in jobs}) + len(empty)
        self._observer.deliveries_made([job.delivery for job in jobs])
        self._start(starting)
        if empty:
            done = tuple(to_dispatch(message, DispatchState.DONE) for message in empty)
            self._observer.settled((), Settled(disabled=(), done=done))
            self._finish(done)
        if unread:
            await self._table.put_off([message.id for message in unread], put_off_until(now_ms))

    async def _resume(self, claimed: Sequence[Claimed], now_ms: int) -> None:
        """Start what waited in the database, on the devices as they are now."""
        devices = await self._recipients.find(claimed)
        if self._stopping:
            # None of them was tried: they wait as they did.
            await self._table.release_claims(self._claimed)
            return
        jobs: list[Job] = []
        lost: list[Delivery] = []
        for item in claimed:
            delivery, mine = item.delivery, devices.get(item.delivery.user)
            if mine is None:
                self._give_back(put_off(delivery, now_ms))
            elif delivery.subscription in mine:
                jobs.append(Job(delivery, item.message, mine[delivery.subscription]))
            else:
                lost.append(delivery)
        self._start(jobs)
        if lost:
            for settlement in await self._recipients.give_up(lost, now_ms):
                self._give_back(settlement)

    def _as_many_as_there_is_room_for(self, jobs: Sequence[Job]) -> list[Job]:
        room = {service: self._room(service) for service in Service}
        starting = []
        for job in jobs:
            if room[job.target.service] > 0:
                room[job.target.service] -= 1
                starting.append(job)
        return starting

    def _job(self, message: Message, target: PushTarget, now_ms: int) -> Job:
        delivery = Delivery(
            id=self._identifiers.new(),
            dispatch=message.id,
            user=message.user,
            subscription=target.subscription,
            service=target.service,
            outcome=Outcome.WAITING,
            at=to_datetime(now_ms),
            device=target.device,
        )
        return Job(delivery, message, target)

    def _start(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._take(job.delivery)
            attempt = asyncio.create_task(self._attempt(job), name=f"delivery {job.delivery.id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)

    async def _attempt(self, job: Job) -> None:
        self._outgoing.add(await self._pusher.attempt(job))

    def _give_back(self, settlement: Settlement) -> None:
        """Settle what was claimed and cannot be sent."""
        self._take(settlement.delivery)
        self._outgoing.add(settlement)

    def _take(self, delivery: Delivery) -> None:
        self._in_flight[delivery.service] += 1
        self._claimed.add(delivery.id)

    async def _commit_settled(self, group: Sequence[Settlement]) -> None:
        try:
            settled = await self._write_settlements(group)
        finally:
            for item in group:
                self._in_flight[item.delivery.service] -= 1
                self._claimed.discard(item.delivery.id)
            # There is room again, or something to be tried again.
            self._wake.set()
        self._observer.settled([self._as_it_ended(item) for item in group], settled)
        self._finish(settled.done)

    def _as_it_ended(self, settlement: Settlement) -> Settlement:
        """Return what an attempt came to; one that was removed meanwhile is not tried again."""
        delivery = settlement.delivery
        if delivery.id not in self._removed:
            return settlement
        self._removed.discard(delivery.id)
        return settlement if delivery.outcome.is_settled else cancelled(delivery, self._now_ms())

    async def _write_settlements(self, group: Sequence[Settlement]) -> Settled:
        while True:
            try:
                async with self._books:
                    return await self._table.settle(group, self._claim, self._now_ms())
            except DatabaseError as error:
                # What was answered is not forgotten: written when the database is back, or tried again after a crash.
                write(SettleFailed(Failure.of(error), deliveries=len(group)))
                if self._stopping:
                    raise
                await asyncio.sleep(BACK_OFF_S)

    def _finish(self, dispatches: Sequence[Dispatch]) -> None:
        for dispatch in dispatches:
            waiter = self._waiters.pop(dispatch.id, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(None)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
