"""The outbox: what is accepted is durable before it is acknowledged, and is worked on until it is settled.

Three tasks share the work. *Accept* commits what came in meanwhile as one group. *Work* spreads what is due over its
devices and starts an attempt for each. *Settle* writes what the attempts came to, again as one group. Whatever a
crash interrupts is found unclaimed at the next start and tried again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import structlog

from pushdesk.engine.groups import GroupCommit
from pushdesk.engine.publisher import to_dispatch
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.model import Delivery, Dispatch, DispatchState, Outcome
from pushdesk.storage.records import Job, Settled
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.dispatcher import Dispatcher
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.subscriptions import TargetReader
    from pushdesk.model import PushTarget, Service
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Message, Settlement

MAX_IN_FLIGHT: Final = 1000
"""Deliveries under way at once; what is due beyond waits in the database, not in memory."""
BATCH: Final = 500
"""The most rows that one transaction takes."""
SPREAD: Final = 100
"""The most dispatches that are spread over their devices at once."""
BACK_OFF_S: Final = 1.0
"""How long a failing database is left alone."""

log = structlog.get_logger()


class FirstDispatch(NamedTuple):
    """What an idempotency key was first used for: the dispatch, and the digest of the request's body."""

    dispatch: str
    body_digest: bytes


class Observer(Protocol):
    """Told what the outbox has done, once it is in the database."""

    def resumed(self, waiting: Mapping[Service, int]) -> None:
        """So many deliveries of an earlier process are unsettled, per push service."""
        ...

    def dispatches_accepted(self, messages: Sequence[Message]) -> None:
        """These are durable."""
        ...

    def deliveries_changed(self, deliveries: Sequence[Delivery]) -> None:
        """These were made, tried or settled."""
        ...

    def settled(self, settled: Settled) -> None:
        """This is what settling changed besides the deliveries."""
        ...


class _Incoming(NamedTuple):
    message: Message
    accepted: asyncio.Future[FirstDispatch | None]


class Outbox:
    """Accepts messages and works on them.

    Args:
        table: The outbox in the database.
        dispatcher: What attempts a delivery.
        targets: Who gives a user's devices.
        clock: Wall-clock time decides what is due.
        identifiers: For deliveries, and for this process's claim.
        observer: Told what happens.
    """

    def __init__(
        self,
        *,
        table: OutboxTable,
        dispatcher: Dispatcher,
        targets: TargetReader,
        clock: Clock,
        identifiers: Identifiers,
        observer: Observer,
    ) -> None:
        self._table = table
        self._dispatcher = dispatcher
        self._targets = targets
        self._clock = clock
        self._identifiers = identifiers
        self._observer = observer
        # One claim for the life of this process: a database file has one server at a time.
        self._claim = identifiers.new()
        self._incoming = GroupCommit(self._commit_accepted, limit=BATCH)
        self._outgoing = GroupCommit(self._commit_settled, limit=BATCH)
        self._attempts: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._waiters: dict[str, asyncio.Future[None]] = {}
        self._committing: list[asyncio.Task[None]] = []
        self._working: asyncio.Task[None] | None = None
        self._stopping = False
        self.queued = 0
        """Dispatches that are not spread over their devices yet."""

    async def start(self) -> None:
        """Take up what an earlier process left, and begin to work.

        Raises:
            DatabaseError: The database does not answer.
        """
        await self._table.release_claims()
        self.queued, waiting = await self._table.backlog()
        self._observer.resumed(waiting)
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
            log.warning("outbox_stopped_early", in_flight=left)
        return left

    @property
    def in_flight(self) -> int:
        """Deliveries that are under way, or that are answered and not written down yet."""
        return len(self._attempts) + self._outgoing.pending

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

    def done(self, dispatch: str) -> asyncio.Future[None]:
        """Return what is set once nothing is left to do for a dispatch; ask before it is accepted."""
        return self._waiters.setdefault(dispatch, asyncio.get_running_loop().create_future())

    def forget(self, dispatch: str) -> None:
        """Nobody waits for this dispatch any longer."""
        self._waiters.pop(dispatch, None)

    async def _commit_accepted(self, group: Sequence[_Incoming]) -> None:
        try:
            repeats = await self._table.accept([item.message for item in group])
        except Exception as error:  # noqa: BLE001 (whatever it was, those who wait for it are told)
            for item in group:
                if not item.accepted.done():
                    item.accepted.set_exception(error)
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
                wait_s = await self._work_on_what_is_due()
            except DatabaseError as error:
                log.error("outbox_database_failed", detail=error.detail)  # noqa: TRY400 (an operator's error)
                wait_s = BACK_OFF_S
            except Exception:
                log.exception("outbox_work_failed")
                wait_s = BACK_OFF_S
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _work_on_what_is_due(self) -> float | None:
        """Start what is due and there is room for; return in how many seconds there is more, None if not known."""
        room = MAX_IN_FLIGHT - self.in_flight
        if room < BATCH:
            # Woken by the attempts that end.
            return None
        now_ms = self._now_ms()
        dispatch_due_ms, delivery_due_ms = await self._table.next_due_ms()
        if dispatch_due_ms is not None and dispatch_due_ms <= now_ms:
            await self._spread(now_ms)
        if delivery_due_ms is not None and delivery_due_ms <= now_ms:
            jobs, lost = await self._table.claim(self._claim, now_ms, BATCH)
            for settlement in lost:
                self._outgoing.add(settlement)
            self._start(jobs)
        moments = [moment for moment in (dispatch_due_ms, delivery_due_ms) if moment is not None]
        return max(0.0, (min(moments) - now_ms) / 1000) if moments else None

    async def _spread(self, now_ms: int) -> None:
        messages = await self._table.open_dispatches(now_ms, SPREAD)
        targets = await self._targets.get({message.user for message in messages})
        jobs: list[Job] = []
        empty: set[str] = set()
        for message in messages:
            mine = [
                self._job(message, target, now_ms)
                for target in targets[message.user].targets
                if message.subscription in (None, target.subscription)
            ]
            jobs += mine
            if not mine:
                empty.add(message.id)
        await self._table.spread(jobs, empty, self._claim)
        self.queued -= len(messages)
        self._observer.deliveries_changed([job.delivery for job in jobs])
        if empty:
            done = tuple(to_dispatch(message, DispatchState.DONE) for message in messages if message.id in empty)
            self._observer.settled(Settled(disabled=(), done=done))
            self._finish(done)
        self._start(jobs)

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
            attempt = asyncio.create_task(self._attempt(job), name=f"delivery {job.delivery.id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempt_ended)

    async def _attempt(self, job: Job) -> None:
        self._outgoing.add(await self._dispatcher.attempt(job))

    def _attempt_ended(self, attempt: asyncio.Task[None]) -> None:
        self._attempts.discard(attempt)
        if not attempt.cancelled() and (error := attempt.exception()) is not None:
            # A fault of ours. The delivery stays claimed, and is tried again after the next start.
            log.error("attempt_failed", task=attempt.get_name(), exc_info=error)
        self._wake.set()

    async def _commit_settled(self, group: Sequence[Settlement]) -> None:
        settled = await self._write_settlements(group)
        deliveries = [item.delivery for item in group]
        self._observer.deliveries_changed(deliveries)
        self._observer.settled(settled)
        self._finish(settled.done)
        if any(delivery.next_attempt_at is not None for delivery in deliveries):
            self._wake.set()

    async def _write_settlements(self, group: Sequence[Settlement]) -> Settled:
        while True:
            try:
                return await self._table.settle(group, self._claim, self._now_ms())
            except DatabaseError as error:
                # What was answered is not forgotten: written when the database is back, or tried again after a crash.
                log.error("settle_failed", deliveries=len(group), detail=error.detail)  # noqa: TRY400
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
