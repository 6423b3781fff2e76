"""The broadcasts' worker: begins what is due, a chain for each push service, and ends what everybody was got to."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine.broadcast_chain import LONGEST_WAIT_S, Chain
from pushdesk.engine.broadcast_pace import gaps
from pushdesk.engine.broadcast_run import Run
from pushdesk.engine.broadcast_turns import AT_ONCE, Turns
from pushdesk.engine.rest import BACK_OFF_S, wait_at_most
from pushdesk.errors import DatabaseError
from pushdesk.log import write
from pushdesk.log_events import BroadcastFailed, BroadcastListKept, BroadcastReached, OutboxPassFailed
from pushdesk.log_fields import Failure, Id
from pushdesk.model import DispatchState, Outcome
from pushdesk.storage.records import IS_PAUSED, Settled
from pushdesk.storage.times import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushdesk.clock import Clock
    from pushdesk.engine.broadcast_chunks import Chunks
    from pushdesk.engine.broadcast_runs import Runs
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.outbox_observer import Observer
    from pushdesk.engine.stock import Stock
    from pushdesk.storage.broadcast_users import BroadcastUsers
    from pushdesk.storage.broadcasts import BroadcastTable
    from pushdesk.storage.records import Ended

FREED: Final = 500
"""The most deliveries that are made due at once."""
REMOVED: Final = 2000
"""The most users of a list that are removed at once."""
HALT_S: Final = 20.0
"""How long a broadcast may take to stop; what is under way then is nobody's to wait for."""


class BroadcastWorker:
    """Sends broadcasts.

    Args:
        table: The broadcasts in the database.
        users: Their lists there.
        runs: Those of which something is left to do.
        chunks: Sends, and settles.
        lanes: Say what may be sent.
        in_flight: What is worked on.
        stock: Kept in step.
        observer: Told what happens.
        tell_ended: Called with what has ended without an attempt.
        clock: What is due.
        wake: Called when deliveries are due.
    """

    def __init__(
        self,
        table: BroadcastTable,
        users: BroadcastUsers,
        *,
        runs: Runs,
        chunks: Chunks,
        lanes: Lanes,
        in_flight: InFlight,
        stock: Stock,
        observer: Observer,
        tell_ended: Callable[[Ended], None],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._table = table
        self._users = users
        self._runs = runs
        self._chunks = chunks
        self._lanes = lanes
        self._in_flight = in_flight
        self._stock = stock
        self._observer = observer
        self._tell_ended = tell_ended
        self._clock = clock
        self._wake_others = wake
        self._turns = Turns()
        self._awake = asyncio.Event()
        self._stopping = False
        self._lists: dict[str, None] = {}
        """Those that are not needed any more."""

    async def take_up(self) -> None:
        """Take in what an earlier process left, before anything is accepted or tried again.

        Raises:
            DatabaseError: It could not be read.
        """
        self._lists = dict.fromkeys(await self._users.left_over())
        await self._take_in()

    async def run(self) -> None:
        """Begin what is due until it is stopped."""
        while not self._stopping:
            self._awake.clear()
            try:
                wait_s = await self._look()
            except Exception as error:  # noqa: BLE001 (logged, and the next pass may fare better)
                write(OutboxPassFailed(Failure.of(error)))
                self._stock.is_unsure = True
                wait_s = BACK_OFF_S
            await wait_at_most(wait_s, self._awake)
        await asyncio.gather(*(run.work for run in self._runs if run.work is not None), return_exceptions=True)

    def wake(self) -> None:
        """See at once what is due, and what goes on."""
        self._awake.set()
        self._runs.wake()

    def stop(self) -> None:
        """Let `run` end: nothing more starts, and what has started is written down."""
        self._stopping = True
        self._chunks.stop()
        for run in self._runs:
            run.halts += 1
        self.wake()

    async def drain(self, timeout_s: float) -> int:
        """Let what is under way end; returns how much of it did not in time, and was given up."""
        return await self._chunks.drain(timeout_s)

    def drop_list(self, broadcast: str) -> None:
        """Have a list removed that is not needed any more."""
        self._lists[broadcast] = None
        self._awake.set()

    @asynccontextmanager
    async def halted(self, broadcast: str, sender: str | None) -> AsyncIterator[None]:
        """Let nothing of a broadcast start while the caller ends it; nothing happens to other dispatches.

        What is under way is written down before. If it has not ended after that, it goes on.

        Raises:
            PushdeskError: `not_found`; `forbidden` for another one's; `already_ended`.
            DatabaseError: It could not be read, or does not stop.
        """
        run = self._runs.get(broadcast)
        if run is None:
            yield
            return
        await self._table.check(broadcast, sender)
        run.halts += 1
        self.wake()
        try:
            if run.work is not None:
                done, _ = await asyncio.wait((run.work,), timeout=HALT_S)
                if not done:
                    raise DatabaseError("The broadcast could not be stopped in time.", hint="Try again.")
            yield
        finally:
            run.halts -= 1
            if not run.is_ended:
                self.wake()
            elif run.listed is not None:
                self.drop_list(run.id)

    async def free(self, broadcast: str) -> None:
        """Make due what waited while a broadcast was paused.

        Raises:
            DatabaseError: Some of it still waits.
        """
        # What is put off from now on may lie before what is made due: then it is noted anew.
        self._runs.to_free.discard(broadcast)
        after: str | None = ""
        try:
            while after is not None:
                after = await self._table.free(broadcast, after, self._now_ms(), FREED)
                self._wake_others()
        except Exception:
            self._runs.to_free.add(broadcast)
            self._awake.set()
            raise

    async def _look(self) -> float:
        """Begin what is due; return after how many seconds to look again."""
        if self._runs.is_unsure:
            await self._take_in()
        for broadcast in tuple(self._runs.to_free):
            await self.free(broadcast)
        next_s = await self._begin_what_is_due()
        while self._lists and not self._stopping:
            await self._remove_list()
            if self._awake.is_set():
                # Others come first.
                return 0.0
        return next_s

    async def _begin_what_is_due(self) -> float:
        """Return after how many seconds the next one is due."""
        moments = [LONGEST_WAIT_S]
        under_way = sum(self._is_under_way(run) for run in self._runs)
        for run in sorted(self._runs, key=lambda run: (run.stored.due_at_ms, run.id)):
            if self._stopping:
                break
            if run.is_halted or run.stored.reached_at_ms is not None or (run.work and not run.work.done()):
                continue
            due_s = (run.stored.due_at_ms - self._now_ms()) / 1000
            if run.stored.started_at_ms is None and run.is_paused:
                # Nor does it begin; it may expire.
                due_s = max(due_s, (run.stored.expires_at_ms - self._now_ms()) / 1000)
            expires_s = (run.stored.expires_at_ms - self._now_ms()) / 1000
            if due_s <= 0 < expires_s and under_way >= AT_ONCE:
                # It waits for its turn, but no longer than it may.
                due_s = expires_s
            moments.append(due_s)
            if due_s <= 0 and await self._begin(run):
                under_way += self._is_under_way(run)
        return max(0.0, min(moments))

    def _is_under_way(self, run: Run) -> bool:
        is_going = run.work is not None and not run.work.done() and not run.is_paused
        return is_going and any(chain.is_under_way for chain in self._runs.chains.get(run.id, ()))

    async def _take_in(self) -> None:
        """Take in what there is in the database."""
        self._runs.is_unsure = False
        try:
            for stored in await self._table.going_on():
                await self._take_in_one(stored.dispatch.id)
        except Exception:
            self._runs.is_unsure = True
            raise

    async def _take_in_one(self, broadcast: str) -> None:
        # Nothing of it is settled while it is read; it may have ended before.
        async with self._stock.books:
            if broadcast in self._runs:
                return
            stored, unsettled = await self._table.find(broadcast), await self._table.unsettled(broadcast)
            run = Run(stored, unsettled)
            if run.is_ended:
                return
            self._runs.add(run)
        if not run.is_paused and any(delivery.reason == IS_PAUSED for delivery in unsettled):
            # It was resumed, and what waited for that not made due.
            self._runs.to_free.add(broadcast)

    async def _begin(self, run: Run) -> bool:
        """Begin to send a broadcast, or go on with it; returns whether there is anything to be sent."""
        stored = run.stored
        is_later = to_milliseconds(stored.dispatch.accepted_at) < stored.due_at_ms and stored.started_at_ms is None
        # What was scheduled is for those who are there when its time has come.
        plan = await self._users.plan(run.listed) if is_later else stored.plan
        now_ms = self._now_ms()
        async with self._stock.books:
            begun = await self._table.begin(run.id, plan, now_ms)
            if begun is None:
                # It has ended by a transaction that seemed to fail.
                self._runs.drop(run)
                return False
            message, is_new = begun
            if is_new:
                self._stock.queued -= 1
        if is_new:
            dispatch = structs.replace(stored.dispatch, state=DispatchState.SENDING, send_at=None)
            # As it is by now: it may have been paused meanwhile.
            run.stored = replace(run.stored, dispatch=dispatch, plan=plan, started_at_ms=now_ms)
            if stored.topic is not None:
                self._runs.topics_changed({stored.topic.name})
        elif stored.started_at_ms is None:
            # It had begun by a transaction that seemed to fail.
            found = await self._table.find(run.id)
            run.stored = replace(found, paused_at_ms=run.stored.paused_at_ms)
        plan = run.stored.plan
        settled = await self._table.settled(run.id)
        chains = tuple(
            Chain(
                run,
                service,
                stretches=gaps(settled.get(service, []), plan.last_subscription),
                message=message,
                table=self._table,
                chunks=self._chunks,
                lanes=self._lanes,
                turns=self._turns,
                in_flight=self._in_flight,
                tell_ended=self._tell_ended,
                clock=self._clock,
                yield_turn=self._awake.set,
            )
            for service, planned in plan.planned.items()
            if planned
        )
        self._runs.chains[run.id] = chains
        run.work = asyncio.create_task(self._work(run, chains), name=f"broadcast {run.id}")
        self._runs.changed(run)
        return True

    async def _work(self, run: Run, chains: tuple[Chain, ...]) -> None:
        """Send until everybody was got to, its time is over or it is halted."""
        try:
            reached = await asyncio.gather(*(chain.run() for chain in chains))
            while not run.is_halted:
                is_over = self._now_ms() >= run.stored.expires_at_ms
                if not (all(reached) or is_over):
                    # A chunk could not be written down: it is sent again.
                    await asyncio.sleep(BACK_OFF_S)
                    break
                try:
                    await self._end(run, is_complete=all(reached))
                except Exception as error:  # noqa: BLE001 (logged, and the next try may fare better)
                    write(BroadcastFailed(Failure.of(error), dispatch=Id(run.id)))
                    await asyncio.sleep(BACK_OFF_S)
                else:
                    break
        finally:
            self._runs.chains.pop(run.id, None)
            self._awake.set()

    async def _end(self, run: Run, *, is_complete: bool) -> None:
        async with self._stock.books:
            done = await self._table.end(run.id, self._now_ms(), is_complete=is_complete)
            run.reached(Outcome.EXPIRED, self._now_ms(), is_complete=is_complete)
            write(BroadcastReached(dispatch=Id(run.id), recipients=run.done.total(), unreached=run.stored.unreached))
            self._observer.settled((), Settled(disabled=(), done=done))
        self._runs.changed(run)
        if run.listed is not None:
            self.drop_list(run.id)

    async def _remove_list(self) -> None:
        broadcast = next(iter(self._lists))
        began = self._clock.monotonic()
        try:
            left = await self._users.remove(broadcast, REMOVED) == REMOVED
        except DatabaseError as error:
            write(BroadcastListKept(Failure.of(error), dispatch=Id(broadcast)))
            left = False
        if not left:
            self._lists.pop(broadcast, None)
        # So that others who write have their turn.
        await wait_at_most(self._clock.monotonic() - began, self._awake)

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
