"""The lanes of all push services, on this machine's clocks: what the outbox asks before it sends anything."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from pushdesk.engine.lane import Lane
from pushdesk.engine.retry import LAST_CHANCE_S
from pushdesk.engine.statistics import utc
from pushdesk.log import write
from pushdesk.log_events import KeyResumed, KeyStopped, LaneChanged
from pushdesk.log_fields import Id, Reason
from pushdesk.model import LaneState, Service, ServiceHealth, StoppedKey
from pushdesk.storage.times import to_datetime
from pushdesk.webpush.services import NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from pushdesk.clock import Clock
    from pushdesk.engine.lane import Condition, Slot
    from pushdesk.model import Delivery, PushTarget
    from pushdesk.webpush.services import Verdict

IN_FLIGHT_PER_SERVICE: Final = 500
"""Deliveries at hand at once for one push service; what is due beyond waits in the database, not in memory.

For each service by itself: one that hangs takes no room from the others.
"""
AT_HAND_S: Final = 30
"""With a rate, no more are at hand than start within so many seconds."""

WAITED: Final = {
    LaneState.PAUSED: "Its push service was paused.",
    LaneState.THROTTLED: "Its push service was throttled. {}",
    LaneState.BROKEN: "Its push service was broken. {}",
}
"""What is said of something that waited for its push service to the end."""


class Wait(NamedTuple):
    """Why a delivery is not sent for now, and until when it waits in the database. Times in milliseconds."""

    reason: str
    until_ms: int
    key: str | None
    """The key that it waits for, if that is stopped: then the lane says when it is due, which may be before."""

    def put_off(self, delivery: Delivery, now_ms: int) -> Delivery:
        """Return a delivery as it is while it waits."""
        return structs.replace(
            delivery,
            status=None,
            reason=self.reason,
            latency_ms=None,
            next_attempt_at=to_datetime(self.until_ms),
            at=to_datetime(now_ms),
        )


class Lanes:
    """One lane for each push service.

    Args:
        clock: Its monotonic time is the lanes'.
        concurrency: Requests under way at once, per push service.
        rate: Requests that start per second, per push service; 0 is no limit.
    """

    def __init__(self, clock: Clock, *, concurrency: int, rate: int = 0) -> None:
        self._clock = clock
        self._lanes = {service: Lane(concurrency=concurrency, rate=rate) for service in Service}
        self._at_hand = max(IN_FLIGHT_PER_SERVICE, concurrency)
        if rate:
            self._at_hand = min(self._at_hand, rate * AT_HAND_S)
        self._told: dict[Service, tuple[LaneState, frozenset[str]]] = {}
        """What the log was told last."""
        self.listeners: list[Callable[[Service], None]] = []
        """Called when an operator has changed a lane."""

    def take_up(self, paused: Mapping[Service, int], awaited: Iterable[tuple[Service, str]]) -> None:
        """Take over what an earlier process left: what is paused, and the keys that something still waits for."""
        for service, since_ms in paused.items():
            self._lanes[service].pause(self._now() - (self._clock.time() - since_ms / 1000))
        for service, key in awaited:
            # Whether the key is still refused is forgotten: found out anew.
            self._lanes[service].keys.freed.add(key)

    def room(self, service: Service, at_hand: int) -> int:
        """Return how many more deliveries are worth having at hand when there are so many already."""
        lane = self._lanes[service]
        if lane.shut(self._now()) is not None:
            return 0
        return max(0, (1 if lane.is_on_trial else self._at_hand) - at_hand)

    def may_start(self, service: Service) -> int:
        """Return how many requests may start at this moment."""
        return self._lanes[service].room(self._now())

    def is_shut(self, service: Service) -> bool:
        """Whether nothing at all may start."""
        return self._lanes[service].shut(self._now()) is not None

    def waits(self) -> dict[Service, str]:
        """Return what all waits for that is for a push service, in a sentence of later; not of those that are open."""
        conditions = ((service, lane.condition(self._now())) for service, lane in self._lanes.items())
        return {service: WAITED[each.state].format(each.reason) for service, each in conditions if each.state in WAITED}

    def opens_in_s(self, service: Service) -> float | None:
        """Return in how many seconds there may be room by itself; None if that depends on something else."""
        now = self._now()
        moment = self._lanes[service].next_at(now)
        return None if moment is None else max(0.0, moment - now)

    def wait(self, target: PushTarget, expires_at_ms: int) -> Wait | None:
        """Return why nothing is sent to a subscription while its push service's lane is not shut, or None.

        Args:
            target: The subscription.
            expires_at_ms: When the message's TTL ends, in milliseconds since the epoch.
        """
        now, now_ms = self._now(), self._clock.time() * 1000
        last_chance_s = (expires_at_ms - now_ms) / 1000 - LAST_CHANCE_S
        lane = self._lanes[target.service]
        found = lane.obstacle(target.subscription, target.key_id, now, now + last_chance_s)
        if found is None or now_ms >= expires_at_ms:
            return None
        until_ms = expires_at_ms if found.until is None else math.ceil(now_ms + (found.until - now) * 1000)
        return Wait(found.reason, until_ms, found.key)

    def start(self, target: PushTarget) -> Slot:
        """Note that a request to a subscription starts; `finish` it in any case."""
        return self._lanes[target.service].start(target.subscription, target.key_id, self._now())

    def finish(self, service: Service, slot: Slot, verdict: Verdict | None) -> None:
        """Note what a request came to; None if the push service was not asked after all."""
        self._lanes[service].finish(slot, verdict, self._now())
        self._log(service)

    def pause(self, service: Service) -> None:
        """Send nothing to a push service until it is resumed."""
        self._lanes[service].pause(self._now())
        self._changed(service)

    def resume(self, service: Service) -> None:
        """Send to a push service again that was paused."""
        self._lanes[service].resume()
        self._changed(service)

    def reset(self, service: Service) -> None:
        """Forget what was wrong with a push service, and send to it at once; one that is paused stays so."""
        self._lanes[service].reset()
        self._changed(service)

    def keys_to_try(self) -> list[tuple[Service, str]]:
        """Return the stopped keys of which one delivery should be tried now; each is asked for once in a while."""
        now = self._now()
        return [
            (service, key)
            for service, lane in self._lanes.items()
            if lane.keys.next_trial_at is not None and lane.shut(now) is None
            for key in lane.keys.to_try(now)
        ]

    def next_trial_in_s(self) -> float | None:
        """Return in how many seconds `keys_to_try` should be looked at again, if that is known."""
        now = self._now()
        moments = (lane.keys.next_trial_at for lane in self._lanes.values() if lane.shut(now) is None)
        return min((max(0.0, moment - now) for moment in moments if moment is not None), default=None)

    def freed_keys(self) -> list[tuple[Service, str]]:
        """Return keys that are stopped no longer and that deliveries may still wait for."""
        return [(service, key) for service, lane in self._lanes.items() for key in lane.keys.freed]

    def forget_freed(self, service: Service, key: str) -> None:
        """Nothing waits for this key any longer."""
        self._lanes[service].keys.freed.discard(key)

    def told(self, services: Iterable[ServiceHealth]) -> tuple[ServiceHealth, ...]:
        """Return how push services are, with their lanes; those too of which there is only that to be said."""
        known = {health.service: health for health in services}
        now, wall = self._now(), utc(self._clock)
        for service, lane in self._lanes.items():
            condition = lane.condition(now)
            if service in known or lane.under_way or condition.stopped or condition.state is not LaneState.OPEN:
                health = known.get(service, ServiceHealth(service))
                known[service] = _with_lane(health, lane, condition, lambda moment: _at(wall, moment - now))
        return tuple(known[service] for service in sorted(known))

    def health(self, service: Service, services: Iterable[ServiceHealth]) -> ServiceHealth:
        """Return how one push service is, which may not be among those that there is anything to be said of."""
        mine = (health for health in self.told(services) if health.service is service)
        return next(mine, ServiceHealth(service))

    def warnings(self) -> list[str]:
        """Return what an operator should do something about."""
        now = self._now()
        found = []
        for service, lane in self._lanes.items():
            condition = lane.condition(now)
            if condition.state is LaneState.PAUSED:
                found.append(
                    f"{_name(service)}: paused. What is for it waits, and expires by its TTL. "
                    f"`pushdesk services resume {service}` goes on."
                )
            found += [
                f"{_name(service)}: {stop.reason} Nothing is sent there with it but for a trial now and "
                f"then. When it is mended, `pushdesk services reset {service}` goes on at once."
                for stop in condition.stopped
            ]
        return found

    def _changed(self, service: Service) -> None:
        self._log(service)
        for listener in self.listeners:
            listener(service)

    def _log(self, service: Service) -> None:
        condition = self._lanes[service].condition(self._now())
        keys = frozenset(stop.key for stop in condition.stopped)
        state, before = self._told.get(service, (LaneState.OPEN, frozenset[str]()))
        if (state, before) == (condition.state, keys):
            return
        self._told[service] = (condition.state, keys)
        if state is not condition.state:
            write(LaneChanged(service=service, state=condition.state, reason=Reason(condition.reason)))
        for stop in condition.stopped:
            if stop.key not in before:
                write(KeyStopped(service=service, key=Id(stop.key), reason=Reason(stop.reason)))
        for key in sorted(before - keys):
            write(KeyResumed(service=service, key=Id(key)))

    def _now(self) -> float:
        return self._clock.monotonic()


def _with_lane(
    health: ServiceHealth, lane: Lane, condition: Condition, at: Callable[[float], datetime]
) -> ServiceHealth:
    return structs.replace(
        health,
        in_flight=lane.under_way,
        state=condition.state,
        since=None if condition.since is None else at(condition.since),
        reason=condition.reason,
        until=None if condition.until is None else at(condition.until),
        stopped=tuple(StoppedKey(stop.key, at(stop.since), stop.reason, at(stop.until)) for stop in condition.stopped),
    )


def _name(service: Service) -> str:
    name = NAMES[service]
    return name[0].upper() + name[1:]


def _at(wall: datetime, seconds: float) -> datetime:
    """Return a moment to the second: two clocks are never quite in step, and nothing has changed because of that."""
    moment = wall + timedelta(seconds=seconds + 0.5)
    return moment.replace(microsecond=0)
