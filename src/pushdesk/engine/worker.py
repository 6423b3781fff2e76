"""The worker: starts what is due and there is room for; what there is none for waits in the database."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

from pushdesk.engine.delivery_log import log_delivery
from pushdesk.engine.publisher import to_dispatch
from pushdesk.engine.recipients import cancelled, put_off, put_off_until, wait_until
from pushdesk.engine.rest import BACK_OFF_S, wait_at_most
from pushdesk.engine.spreader import Spreader
from pushdesk.log import bound, write
from pushdesk.log_events import OutboxPassFailed
from pushdesk.log_fields import Failure, Id
from pushdesk.model import DispatchKind, DispatchState, Service
from pushdesk.storage.records import IS_PAUSED, Ended, Job, Settled, Settlement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.broadcast_runs import Runs
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.pusher import Pusher
    from pushdesk.engine.recipients import Devices, Recipients
    from pushdesk.engine.settling import Settling
    from pushdesk.engine.spreader import Sheet
    from pushdesk.engine.stock import Stock
    from pushdesk.engine.waiters import Waiters
    from pushdesk.model import Delivery
    from pushdesk.storage.lanes import LaneTable
    from pushdesk.storage.outbox import OutboxTable
    from pushdesk.storage.records import Claimed, Due, Message, Open

BATCH: Final = 500
"""The most deliveries that one transaction claims."""
LONGEST_WAIT_S: Final = 30.0
"""What is due is looked for at least this often: the wall clock can jump, and a machine can sleep."""
SPREAD: Final = 100
"""The most dispatches that are spread over their devices at once."""
EXPIRY_REST_S: Final = 1.0
"""How long what has expired while it is worked on is left alone: most of it ends by itself."""


class Worker:
    """Spreads what is due over its devices, and starts an attempt for each.

    Args:
        table: The outbox in the database.
        lane_table: What there waits for keys that are refused.
        lanes: Say what may be sent.
        pusher: What attempts a delivery.
        recipients: Who has which devices.
        settling: Where what attempts came to goes.
        stock: How much is queued.
        in_flight: What is worked on.
        broadcasts: Those of which something is left to do: they may be paused, and be older than what is spread.
        waiters: Told of dispatches that are done.
        observer: Told what happens.
        clock: Wall-clock time decides what is due.
        identifiers: For deliveries.
    """

    def __init__(
        self,
        *,
        table: OutboxTable,
        lane_table: LaneTable,
        lanes: Lanes,
        pusher: Pusher,
        recipients: Recipients,
        settling: Settling,
        stock: Stock,
        in_flight: InFlight,
        broadcasts: Runs,
        waiters: Waiters,
        observer: Observer,
        clock: Clock,
        identifiers: Identifiers,
    ) -> None:
        self._table = table
        self._lane_table = lane_table
        self._lanes = lanes
        self._pusher = pusher
        self._recipients = recipients
        self._settling = settling
        self._stock = stock
        self._in_flight = in_flight
        self._broadcasts = broadcasts
        self._waiters = waiters
        self._observer = observer
        self._clock = clock
        self._spreader = Spreader(lanes=lanes, in_flight=in_flight, identifiers=identifiers)
        self.looking = asyncio.Lock()
        """Held while what is due is looked for and started: nothing of it is removed in between."""
        self._attempts: set[asyncio.Task[None]] = set()
        self._awake = asyncio.Event()
        self._stopping = False
        self._has_waiting = True
        """Whether any delivery waited in the database when it was looked there last, for room or for its time."""
        self._behind: set[str] = set()
        """Users whom something is due for that was not looked for yet."""
        self._looked_for: set[str] = set()
        """Those whom it is looked for now."""
        self._short = set(Service)
        """Push services that something is due for, or may be: what is accepted later has its turn after that."""
        self._left: set[Service] = set()
        """Of these, those that something was left for since what is due was looked for last."""
        self._next_expiry_ms: float = 0
        """When the time of something that is being sent is over next; past, if that is not known."""

    async def run(self) -> None:
        """Start what is due until it is stopped."""
        while not self._stopping:
            self._awake.clear()
            try:
                async with self.looking:
                    wait_s = await self._work_on_what_is_due()
            except Exception as error:  # noqa: BLE001 (logged, and the next pass may fare better)
                write(OutboxPassFailed(Failure.of(error)))
                self._stock.is_unsure = True
                wait_s = BACK_OFF_S
            await wait_at_most(wait_s, self._awake)

    def wake(self) -> None:
        """Look for what is due at once."""
        self._awake.set()

    def make_use_of_room(self) -> None:
        """Look for what is due, if there may be anything that waits."""
        if self._has_waiting:
            self.wake()

    def stop(self) -> None:
        """Let `run` end, and start nothing more."""
        self._stopping = True
        self._awake.set()
        for job in self._in_flight.topics.clear():
            # They stay claimed until the next start.
            self._in_flight.leave(job.delivery)
        self._recipients.stop()
        self._pusher.stop()

    async def drain(self, timeout_s: float) -> int:
        """Let what is in flight end; returns how much of it did not in time, and was given up."""
        if self._attempts and timeout_s > 0:
            await asyncio.wait(self._attempts, timeout=timeout_s)
        left = len(self._attempts)
        for attempt in self._attempts:
            attempt.cancel()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        return left

    async def _work_on_what_is_due(self) -> float:
        """Start what is due and there is room for; return after how many seconds to look again."""
        now_ms = self.now_ms()
        if self._stock.is_unsure:
            # First: whatever fails meanwhile is looked into after that.
            self._stock.is_unsure = False
            # What was claimed by a transaction that seemed to fail would else be nobody's until the next start.
            async with self._stock.books:
                # What is written down meanwhile is worked on once that is told.
                self.tell_ended(Ended(done=await self._table.release_claims(self._in_flight.ids)))
            await self._stock.take()
            self._next_expiry_ms = 0
        await self._free_keys(now_ms)
        await self._expire(now_ms)
        due = await self._look(now_ms)
        moments = [LONGEST_WAIT_S]
        if due.opened:
            again_ms = await self._spread(due.opened, now_ms)
            now_ms = self.now_ms()
            moments.append((again_ms - now_ms) / 1000)
        self._looked_for = set()
        moments.append((self._next_expiry_ms - now_ms) / 1000)
        if (trial_s := self._lanes.next_trial_in_s()) is not None:
            moments.append(trial_s)
        if due.dispatch_ms is not None:
            moments.append((due.dispatch_ms - now_ms) / 1000)
        moments += await self._claim(due, now_ms)
        return max(0.0, min(moments))

    async def _look(self, now_ms: int) -> Due:
        """Look for what is due; from now on, what is accepted has its turn after that."""
        self._looked_for |= self._behind
        self._behind = set()
        self._left = set()
        due = await self._table.due(now_ms, SPREAD)
        self._looked_for = {item.message.user for item in due.opened}
        # Before it is looked at how much room there is: whatever leaves room after that has it looked at again.
        self._has_waiting = bool(due.deliveries_ms or self._left)
        has_more = len(due.opened) == SPREAD
        self._short = self._left | {
            service for service in Service if has_more or due.deliveries_ms.get(service, math.inf) <= now_ms
        }
        return due

    async def _claim(self, due: Due, now_ms: int) -> list[float]:
        """Start what waited in the database and there is room for; return after how many seconds to look again."""
        moments: list[float] = []
        for service, at_ms in due.deliveries_ms.items():
            if self._stopping:
                break
            room = self._spreader.room(service)
            if room <= 0:
                # Woken when something is settled, and when an operator changes the lane.
                if self._lanes.is_shut(service) and (opens_s := self._lanes.opens_in_s(service)) is not None:
                    moments.append(opens_s)
                continue
            moments.append((at_ms - now_ms) / 1000)
            if at_ms <= now_ms:
                claim = self._in_flight.claim
                await self._resume(await self._table.claim(claim, service, now_ms, min(room, BATCH)), now_ms)
        return moments

    async def _free_keys(self, now_ms: int) -> None:
        """Make due what waits for a stopped key: all of it where the key is stopped no longer, else one to be tried."""
        for service, key in self._lanes.freed_keys():
            if await self._lane_table.free(service, key, now_ms, BATCH) < BATCH:
                self._lanes.forget_freed(service, key)
            else:
                # The rest with the next pass: others have their turn in between.
                self.wake()
        for service, key in self._lanes.keys_to_try():
            await self._lane_table.free(service, key, now_ms, 1)

    async def _expire(self, now_ms: int) -> None:
        """End a batch of what waits and has expired."""
        if self._next_expiry_ms > now_ms:
            return
        async with self._stock.books:
            ended, next_ms = await self._table.expire(now_ms, BATCH, self._lanes.waits())
            self.tell_ended(ended)
        if next_ms is None:
            self._next_expiry_ms = math.inf
        elif next_ms > now_ms or len(ended.waiting) == BATCH:
            self._next_expiry_ms = next_ms
        else:
            self._next_expiry_ms = now_ms + EXPIRY_REST_S * 1000

    def tell_ended(self, ended: Ended) -> None:
        """Tell of deliveries that have ended without an attempt; what is worked on is told of when it is settled."""
        self._in_flight.note_ended(ended.claimed)
        for delivery in ended.removed:
            self._in_flight.note_removed(delivery.id)
        for job in self._in_flight.topics.drop(ended.claimed):
            self._settling.add(Settlement(job.delivery, attempted=False))
        for delivery in ended.waiting:
            _log(delivery)
        if ended.waiting or ended.done or ended.removed:
            settlements = [Settlement(delivery, attempted=False) for delivery in ended.waiting]
            settlements += [
                cancelled(delivery, self.now_ms())
                for delivery in ended.removed
                if not (delivery.outcome.is_settled or delivery.id in self._in_flight)
            ]
            self._observer.settled(settlements, Settled(disabled=(), done=ended.done, removed=ended.removed))
            self._waiters.finish(ended.done)

    def start(self, job: Job) -> None:
        """Start what was parked, now that it may."""
        if self._stopping:
            # It stays claimed until the next start.
            self._in_flight.leave(job.delivery)
        else:
            self._start_next(job)

    def sheet(self, messages: Sequence[Message]) -> Sheet:
        """Return what becomes of messages that are accepted now, of those that need not wait for their turn.

        They wait where devices must be read first, or something waits for the same user or the same push service.
        """
        now_ms = self.now_ms()
        mine: list[Message] = []
        devices: dict[str, Devices] = {}
        room = 0 if self._stopping or len(self._short) == len(Service) else BATCH
        for message in messages:
            if message.due_at_ms > now_ms or message.kind is DispatchKind.BROADCAST:
                continue
            if message.user in self._behind or message.user in self._looked_for:
                continue
            found = devices.get(message.user) or self._recipients.at_hand(message.user)
            if found is None or not self._short.isdisjoint(target.service for target in found.active.values()):
                continue
            room -= max(1, len(found.active))
            if room < 0:
                break
            if message.user not in devices:
                devices[message.user] = found
                self._recipients.used(message.user)
            mine.append(message)
        return self._spreader.sheet(mine, devices, now_ms)

    def leave(self, users: Iterable[str]) -> None:
        """Note that something is due for some users, which is to be started before what is accepted later for them."""
        self._behind.update(users)

    def begin(self, sheet: Sheet, ended: Ended) -> None:
        """Start what was written down of messages, and tell of it; while `Stock.books` are held."""
        self._broadcasts.topics_changed({topic.name for topic in sheet.spread.topics.values()})
        self._observer.deliveries_made(sheet.spread.deliveries)
        settled = tuple(delivery for delivery in sheet.spread.deliveries if delivery.outcome.is_settled)
        done = (*ended.done, *(to_dispatch(message, DispatchState.DONE) for message in sheet.empty))
        self.tell_ended(Ended((*settled, *ended.waiting), ended.claimed, done))
        self._next_expiry_ms = min(self._next_expiry_ms, sheet.expires_at_ms)
        self._short |= sheet.left
        self._left |= sheet.left
        if self._stopping:
            # They stay claimed until the next start.
            return
        self._start([job for job in sheet.starting if job.delivery.id not in ended.claimed])
        for job in sheet.starting:
            if job.delivery.id in ended.claimed:
                self._give_back(Settlement(job.delivery, attempted=False))

    async def _spread(self, due: Sequence[Open], now_ms: int) -> float:
        """Make a delivery for each device of what is due; put off what is for users whose devices cannot be read.

        Returns:
            When to look for what of it has not started, in milliseconds since the epoch; never, if all of it has.
        """
        devices = await self._recipients.find(due)
        if self._stopping:
            return math.inf
        messages = [item.message for item in due]
        unread = [message.id for message in messages if message.user not in devices]
        async with self._stock.books:
            found = [message for message in messages if message.user in devices]
            sheet = self._spreader.sheet(found, devices, now_ms)
            ended = await self._table.spread(*sheet.spread, now_ms)
            self._stock.queued -= len(found)
            self.begin(sheet, ended)
        if unread:
            await self._table.put_off(unread, put_off_until(now_ms))
        if sheet.left:
            return now_ms
        return put_off_until(now_ms) if unread else math.inf

    async def _resume(self, claimed: Sequence[Claimed], now_ms: int) -> None:
        """Start what waited in the database, on the devices as they are now."""
        devices = await self._recipients.find(claimed)
        if self._stopping:
            # None of them was tried: they wait as they did.
            async with self._stock.books:
                await self._table.release_claims(self._in_flight.ids)
            return
        jobs: list[Job] = []
        lost: list[Delivery] = []
        for item in claimed:
            delivery, mine = item.delivery, devices.get(item.delivery.user)
            if self._broadcasts.is_paused(delivery.dispatch):
                self._give_back(wait_until(delivery, item.message.expires_at_ms, IS_PAUSED, now_ms))
            elif mine is None:
                self._give_back(put_off(delivery, now_ms))
            elif delivery.subscription in mine.active:
                jobs.append(Job(delivery, item.message, mine.active[delivery.subscription]))
            else:
                lost.append(delivery)
        self._start(jobs)
        if lost:
            for settlement in await self._recipients.give_up(lost, now_ms):
                self._give_back(settlement)

    def _start(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            self._in_flight.take(job.delivery)
            self._start_next(job)

    def _start_next(self, job: Job) -> None:
        """Start a delivery, or park it until what is under way of its topic to its device is settled."""
        topics = self._in_flight.topics
        if topics.enter(job):
            attempt = asyncio.create_task(self._attempt(job), name=f"delivery {job.delivery.id}")
            self._attempts.add(attempt)
            attempt.add_done_callback(self._attempts.discard)
        elif (replaced := topics.park(job)) is not None:
            self._settling.add(Settlement(replaced.delivery, attempted=False))

    async def _attempt(self, job: Job) -> None:
        self._settling.add(await self._pusher.attempt(job, self._in_flight.is_wanted))

    def _give_back(self, settlement: Settlement) -> None:
        """Settle what was claimed and cannot be sent."""
        self._in_flight.take(settlement.delivery)
        self._settling.add(settlement)

    def now_ms(self) -> int:
        """Return the time, in milliseconds since the epoch."""
        return round(self._clock.time() * 1000)


def _log(delivery: Delivery) -> None:
    with bound(dispatch=Id(delivery.dispatch), device=Id(delivery.subscription)):
        log_delivery(delivery)
