"""A chain: what of a broadcast goes to one push service, one chunk after the other, at that one's own pace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.broadcast_chunks import OpenChunk
from pushdesk.engine.rest import BACK_OFF_S, wait_at_most
from pushdesk.log import write
from pushdesk.log_events import BroadcastFailed
from pushdesk.log_fields import Failure, Id
from pushdesk.storage.records import Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pushdesk.clock import Clock
    from pushdesk.engine.broadcast_chunks import Chunks
    from pushdesk.engine.broadcast_run import Run
    from pushdesk.engine.broadcast_turns import Turns
    from pushdesk.engine.in_flight import InFlight
    from pushdesk.engine.lanes import Lanes
    from pushdesk.model import PushTarget, Service
    from pushdesk.storage.broadcasts import BroadcastTable
    from pushdesk.storage.records import Ended, Message

RECIPIENTS: Final = 500
"""The most recipients of a chunk."""
LONGEST_S: Final = 2.0
"""A chunk ends after so many seconds, however few recipients it has: a crash repeats no more than that."""
OPEN: Final = 3
"""The most chunks of a chain that wait for their last answers, or to be written down, while the next one is sent to."""
MOST_UNSETTLED: Final = 10_000
"""No more of a broadcast is sent to a push service while so many of its deliveries there are to be tried again."""
LONGEST_WAIT_S: Final = 30.0
"""It is looked at least this often whether it goes on: clocks can jump."""


class Chain:
    """What of a broadcast goes to one push service.

    Args:
        run: The broadcast.
        service: The push service.
        stretches: What is still to be sent to.
        message: What is sent.
        table: Tells who is sent to.
        chunks: Sends, and settles.
        lanes: Say what may be sent.
        turns: Say whose turn it is.
        in_flight: What is worked on.
        tell_ended: Called with what has ended without an attempt.
        clock: When its time is over.
        yield_turn: Called when it waits for what may take long.
    """

    def __init__(
        self,
        run: Run,
        service: Service,
        *,
        stretches: Sequence[Stretch],
        message: Message,
        table: BroadcastTable,
        chunks: Chunks,
        lanes: Lanes,
        turns: Turns,
        in_flight: InFlight,
        tell_ended: Callable[[Ended], None],
        clock: Clock,
        yield_turn: Callable[[], None],
    ) -> None:
        self._run = run
        self._service = service
        self._stretches = stretches
        self._message = message
        self._table = table
        self._chunks = chunks
        self._lanes = lanes
        self._turns = turns
        self._in_flight = in_flight
        self._tell_ended = tell_ended
        self._clock = clock
        self._yield_turn = yield_turn
        self._is_over = False
        self._awake = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._changed: set[str] = set()
        """Users whose subscriptions have changed since some were read."""
        self._is_stale = False
        """Whether all that was read may have changed."""
        self._has_failed = False
        """Whether a chunk could not be written down."""

    @property
    def due(self) -> tuple[int, str]:
        """What chains are ordered by."""
        return self._run.stored.due_at_ms, self._run.id

    @property
    def is_under_way(self) -> bool:
        """Whether something is left to be sent, and it waits for nothing that may take long."""
        return not (self._is_over or self._is_held_up())

    def wake(self) -> None:
        """See whether it goes on."""
        self._awake.set()

    def users_changed(self, users: Collection[str]) -> None:
        """Note that subscriptions of these users have changed: what was read of them is out of date."""
        self._changed.update(users)

    def topics_changed(self, topics: Collection[str]) -> None:
        """Note that something newer of these topics is on its way."""
        if self._message.topic in topics:
            self._is_stale = True

    async def run(self) -> bool:
        """Send until everybody was got to, its time is over or it is halted; returns whether everybody was."""
        try:
            for stretch in self._stretches:
                after = stretch.after
                while after < stretch.last:
                    if not await self._may_go_on():
                        return False
                    try:
                        after = await self._send_some(Stretch(after, stretch.last))
                    except Exception as error:  # noqa: BLE001 (logged, and the next try may fare better)
                        write(BroadcastFailed(Failure.of(error), dispatch=Id(self._run.id)))
                        await wait_at_most(BACK_OFF_S, self._awake)
        finally:
            self._is_over = True
            self._turns.give_up(self._service, self)
            self._yield_turn()
            await asyncio.gather(*self._closing, return_exceptions=True)
        return not self._has_failed

    async def _send_some(self, stretch: Stretch) -> str:
        """Send to the first of a stretch; returns the last one that needs not be sent to any more."""
        self._changed.clear()
        self._is_stale = False
        targets, unmarked = await self._table.recipients(
            self._service, stretch, RECIPIENTS, self._run.listed, self._now_ms()
        )
        newer = await self._overtake(targets)
        chunk = OpenChunk(self._run, self._service, stretch.after, unmarked)
        sent_to = await self._feed(chunk, targets, newer)
        if sent_to == len(targets):
            last = stretch.last if sent_to < RECIPIENTS else targets[-1].subscription
        elif sent_to:
            last = targets[sent_to - 1].subscription
        else:
            return stretch.after
        while len(self._closing) >= OPEN:
            await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)
        closing = asyncio.create_task(self._chunks.close(chunk, last), name=f"chunk after {stretch.after}")
        self._closing.add(closing)
        closing.add_done_callback(self._closed)
        return last

    async def _feed(self, chunk: OpenChunk, targets: Sequence[PushTarget], newer: frozenset[str]) -> int:
        """Send to one after the other, as long as nothing comes in between; returns to how many."""
        ends_at = self._clock.monotonic() + LONGEST_S
        for number, target in enumerate(targets):
            if target.subscription in newer:
                chunk.superseded += 1
                continue
            if not await self._chunks.room(self._service):
                return number
            is_current = not (self._is_stale or target.user in self._changed)
            if not (is_current and self._goes_on() and self._has_room()) or self._clock.monotonic() > ends_at:
                self._chunks.give_room(self._service)
                return number
            self._chunks.send(chunk, self._message, target)
        return len(targets)

    async def _overtake(self, targets: Sequence[PushTarget]) -> frozenset[str]:
        topic = self._run.stored.topic
        if topic is None or not targets:
            return frozenset()
        ids = [target.subscription for target in targets]
        ended, newer = await self._table.overtake(self._run.id, topic, ids, self._now_ms())
        self._tell_ended(ended)
        return newer

    async def _may_go_on(self) -> bool:
        """Return True once something may be sent; False if nothing is to be any more."""
        while True:
            self._awake.clear()
            left_s = (self._run.stored.expires_at_ms - self._now_ms()) / 1000
            if self._run.is_halted or left_s <= 0:
                return False
            if self._goes_on() and self._has_room() and self._turns.take(self._service, self):
                self._run.pace(self._service).begin(self._clock.monotonic())
                return True
            if self._is_held_up() or not self._goes_on():
                self._turns.give_up(self._service, self)
                self._yield_turn()
            seconds = min(left_s, LONGEST_WAIT_S)
            if self._lanes.is_shut(self._service) and (opens_s := self._lanes.opens_in_s(self._service)) is not None:
                seconds = min(seconds, opens_s)
            await wait_at_most(seconds, self._awake)

    def _goes_on(self) -> bool:
        run = self._run
        return not (run.is_halted or run.is_paused) and self._now_ms() < run.stored.expires_at_ms

    def _has_room(self) -> bool:
        at_hand = self._in_flight.of(self._service)
        return not self._is_held_up() and self._lanes.room(self._service, at_hand) > 0

    def _is_held_up(self) -> bool:
        return self._run.waiting[self._service] >= MOST_UNSETTLED or self._lanes.is_shut(self._service)

    def _closed(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if closing.cancelled() or closing.exception() is not None:
            self._has_failed = True

    def _now_ms(self) -> int:
        return round(self._clock.time() * 1000)
