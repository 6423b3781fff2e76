"""A broadcast as the engine knows it while something is left to do for it: what became of it so far."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from pushdesk.engine.broadcast_pace import Pace
from pushdesk.model import (
    Broadcast,
    BroadcastPart,
    BroadcastState,
    DispatchState,
    Outcome,
    Service,
)
from pushdesk.storage.retention import ENDED
from pushdesk.storage.times import to_datetime, to_datetime_or_none

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

    from pushdesk.model import Delivery, Dispatch
    from pushdesk.storage.records import Chunk, StoredBroadcast


class Run:
    """What is known of a broadcast in memory, in step with the database.

    Args:
        stored: How it is there.
        unsettled: The deliveries of it that are not settled.
    """

    def __init__(self, stored: StoredBroadcast, unsettled: Iterable[Delivery] = ()) -> None:
        self.stored = stored
        self.done: Counter[Service] = Counter(stored.done)
        self.counts: Counter[Outcome] = Counter(stored.counts)
        self.unsettled = {delivery.id: (delivery.outcome, delivery.service) for delivery in unsettled}
        """Its deliveries that are not settled, by their ids: what they came to so far, and their push services."""
        self.waiting: Counter[Service] = Counter(delivery.service for delivery in unsettled)
        """How many of its deliveries are not settled, per push service."""
        self.paces: dict[Service, Pace] = {}
        self.halts = 0
        """How many are about to end it."""
        self.work: asyncio.Task[None] | None = None
        """What sends it, once that has begun."""

    @property
    def id(self) -> str:
        """Its dispatch's."""
        return self.stored.dispatch.id

    @property
    def listed(self) -> str | None:
        """The list that it is for; None for all users."""
        return None if self.stored.users is None else self.id

    @property
    def is_paused(self) -> bool:
        """Whether an operator paused it."""
        return self.stored.paused_at_ms is not None

    @property
    def is_ended(self) -> bool:
        """Whether its dispatch has ended."""
        return self.stored.dispatch.state in ENDED

    @property
    def is_halted(self) -> bool:
        """Whether nothing more of it may start, as it has ended or somebody is about to end it."""
        return self.halts > 0 or self.is_ended

    @property
    def left(self) -> int:
        """How many it has not got to yet, and will."""
        if self.stored.started_at_ms is None or self.stored.reached_at_ms is not None:
            return 0
        return sum(max(0, number - self.done[service]) for service, number in self.stored.plan.planned.items())

    def pace(self, service: Service) -> Pace:
        """Return how fast it goes at one push service."""
        return self.paces.setdefault(service, Pace())

    def set_paused(self, paused_at_ms: int | None) -> None:
        """Note since when it is paused, which it may be already; None if it goes on."""
        if paused_at_ms is None or not self.is_paused:
            self.stored = replace(self.stored, paused_at_ms=paused_at_ms)

    def chunk_settled(self, chunk: Chunk, now: float) -> None:
        """Note what came of a chunk."""
        self.done[chunk.service] += chunk.recipients
        self.pace(chunk.service).note(now, chunk.recipients)
        self.counts[Outcome.SUPERSEDED] += chunk.superseded
        for delivery in (*(item.delivery for item in chunk.settlements), *chunk.under_way):
            self._count(delivery)

    def delivery_settled(self, delivery: Delivery) -> None:
        """Note what a delivery came to."""
        before = self.unsettled.pop(delivery.id, None)
        if before is None:
            # Told of before: as what a commit wrote that only seemed to fail.
            return
        outcome, service = before
        self.counts[outcome] -= 1
        self.waiting[service] -= 1
        self._count(delivery)

    def delivery_removed(self, delivery: Delivery) -> None:
        """Count a delivery no more, that is not in the database any more."""
        outcome = delivery.outcome
        if (counted := self.unsettled.pop(delivery.id, None)) is not None:
            outcome, service = counted
            self.waiting[service] -= 1
        self.counts[outcome] -= 1

    def reached(self, outcome: Outcome, now_ms: int, *, is_complete: bool) -> None:
        """Note that nobody more is got to; unless it is complete, the others come to this."""
        if self.stored.reached_at_ms is not None:
            return
        unreached = 0 if is_complete else self.left if self.stored.started_at_ms is not None else self._planned
        self.counts[outcome] += unreached
        self.stored = replace(self.stored, reached_at_ms=now_ms, unreached=unreached)

    def ended(self, dispatch: Dispatch, outcome: Outcome, now_ms: int) -> None:
        """Note that nothing is left to do for it; those who were not got to come to this."""
        self.reached(outcome, now_ms, is_complete=False)
        self.stored = replace(self.stored, dispatch=dispatch, settled_at_ms=now_ms)

    def shown(self, now: float) -> Broadcast:
        """Return it as it is at a moment of the monotonic clock."""
        stored = replace(self.stored, done=self.done, counts=self.counts)
        planned = stored.plan.planned
        left = {service: number - self.done[service] for service, number in planned.items()}
        rates = {service: self.pace(service).per_s(now) for service, number in left.items() if number > 0}
        is_sent = stored.reached_at_ms is None and not self.is_paused
        known = [rate for rate in rates.values() if rate]
        if not is_sent or not known:
            return to_broadcast(stored)
        lasts = [left[service] / rate for service, rate in rates.items() if rate]
        return to_broadcast(stored, per_s=sum(known), left_s=max(lasts) if len(lasts) == len(rates) else None)

    @property
    def _planned(self) -> int:
        return sum(self.stored.plan.planned.values())

    def _count(self, delivery: Delivery) -> None:
        self.counts[delivery.outcome] += 1
        if not delivery.outcome.is_settled:
            self.unsettled[delivery.id] = (delivery.outcome, delivery.service)
            self.waiting[delivery.service] += 1


def to_broadcast(stored: StoredBroadcast, *, per_s: float | None = None, left_s: float | None = None) -> Broadcast:
    """Return what may be shown of a broadcast.

    Args:
        stored: It.
        per_s: How many it got to per second, lately.
        left_s: How long it will take.
    """
    dispatch = stored.dispatch
    is_ended = dispatch.state in ENDED
    return Broadcast(
        id=dispatch.id,
        title=dispatch.title,
        state=_state(stored),
        accepted_at=dispatch.accepted_at,
        parts=tuple(
            BroadcastPart(service, planned, _done(stored, service, planned))
            for service, planned in sorted(stored.plan.planned.items())
        ),
        counts=_present(stored.counts),
        users=stored.users,
        send_at=dispatch.send_at,
        started_at=to_datetime_or_none(stored.started_at_ms),
        ended_at=to_datetime(max(stored.reached_at_ms or 0, stored.settled_at_ms or 0)) if is_ended else None,
        per_s=per_s,
        left_s=left_s,
    )


def _state(stored: StoredBroadcast) -> BroadcastState:
    match stored.dispatch.state:
        case DispatchState.DONE:
            return BroadcastState.DONE
        case DispatchState.CANCELLED:
            return BroadcastState.CANCELLED
        case _ if stored.paused_at_ms is not None:
            return BroadcastState.PAUSED
        case DispatchState.SCHEDULED:
            return BroadcastState.SCHEDULED
        case _:
            return BroadcastState.SENDING


def _done(stored: StoredBroadcast, service: Service, planned: int) -> int:
    """Return how many it has got to: all of them, once there is nobody left, even if some were removed before."""
    is_complete = stored.reached_at_ms is not None and not stored.unreached
    return planned if is_complete else min(planned, stored.done.get(service, 0))


def _present(counts: Mapping[Outcome, int]) -> dict[Outcome, int]:
    return {outcome: counts[outcome] for outcome in Outcome if counts.get(outcome)}
