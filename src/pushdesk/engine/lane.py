"""A lane: what may be sent to one push service, and when. Pure: moments are handed in, of a clock that never jumps.

The lane as a whole is open, throttled, broken or paused; besides, one key may be stopped, or one subscription held.
One subscription's answer never stops the service. Memory is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.engine.breaker import Breaker
from pushdesk.engine.stopped_keys import StoppedKeys
from pushdesk.engine.token_bucket import TokenBucket
from pushdesk.model import LaneState, Outcome

if TYPE_CHECKING:
    from pushdesk.engine.stopped_keys import Refusals, Stop
    from pushdesk.webpush.services import Verdict

THROTTLED: Final = 3
"""So many different subscriptions that were throttled ..."""
THROTTLED_WITHIN_S: Final = 10.0
"""... within so many seconds throttle the lane."""
SHORTEST_HOLD_S: Final = 1.0
USUAL_HOLD_S: Final = 10.0
"""How long a subscription is left alone whose push service did not say for how long."""
LONGEST_HOLD_S: Final = 86_400.0
"""A subscription that was throttled is tried again after a day at the latest, whatever its push service said."""
LONGEST_THROTTLE_S: Final = 3600.0
"""And so is a lane after an hour."""
HELD: Final = 10_000
"""Subscriptions that are remembered to be held; of one that is forgotten, the next answer says it again."""


class Obstacle(NamedTuple):
    """Why something is not sent for now."""

    reason: str
    until: float | None = None
    """When to look again; None: when something else has happened."""
    key: str | None = None
    """The key that is stopped, if it is because of that: it is for the lane to say when one is tried."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A request that is under way in a lane."""

    subscription: str
    key: str
    epoch: int
    """The breaker's when it started."""
    trial: Refusals | None
    """What it is the trial of, if its key is stopped."""


class Condition(NamedTuple):
    """How a lane is. Moments are the lane's."""

    state: LaneState
    since: float | None
    reason: str
    until: float | None
    """When it changes by itself; None where that is for somebody else to say."""
    stopped: tuple[Stop, ...]


class _Throttle(NamedTuple):
    since: float
    until: float
    reason: str


class Lane:
    """One push service's.

    Args:
        concurrency: Requests under way at once.
        rate: Requests that start per second; 0 is no limit.
    """

    def __init__(self, *, concurrency: int, rate: float = 0) -> None:
        self._concurrency = concurrency
        self._bucket = TokenBucket(rate)
        self._breaker = Breaker()
        self._paused_since: float | None = None
        self._throttle: _Throttle | None = None
        self._throttled: dict[str, tuple[float, float]] = {}
        """Of the last few subscriptions that were throttled: when that was, and until when they are held."""
        self._held: dict[str, float] = {}
        self.keys = StoppedKeys()
        self.under_way = 0

    def room(self, now: float) -> int:
        """Return how many requests may start at this moment."""
        if self.shut(now) is not None:
            return 0
        free = self._concurrency - self.under_way
        if self._breaker.is_broken:
            free = min(free, 1)
        return max(0, int(min(free, self._bucket.tokens(now))))

    def next_at(self, now: float) -> float | None:
        """Return when there may be room by itself: `now` if there is; None if that depends on something else."""
        shut = self.shut(now)
        if shut is not None:
            return shut.until
        if self.under_way >= self._concurrency:
            return None
        return self._bucket.next_at(now)

    def shut(self, now: float) -> Obstacle | None:
        """Return why nothing at all may start, or None. Of a broken lane, a trial may."""
        if self._paused_since is not None:
            return Obstacle(_PAUSED)
        if not self._breaker.may_try(now):
            return Obstacle(self._breaker.reason, self._breaker.retry_at)
        if self._throttle is not None and now < self._throttle.until:
            return Obstacle(self._throttle.reason, self._throttle.until)
        return None

    @property
    def is_on_trial(self) -> bool:
        """Whether what starts next is a trial of the lane: no more is worth having at hand."""
        return self._breaker.is_broken

    def obstacle(self, subscription: str, key: str, now: float, last_chance: float) -> Obstacle | None:
        """Return why nothing may start for a subscription while the lane itself is not shut, or None.

        Args:
            subscription: Its id.
            key: The VAPID key that it was made with.
            now: This moment.
            last_chance: When the message would be tried for the last time: a hold gives way to that.
        """
        why = self.keys.why(key, now)
        if why is not None:
            return Obstacle(why, key=key)
        held_until = min(self._held.get(subscription, now), last_chance)
        return Obstacle(LEFT_ALONE, held_until) if held_until > now else None

    def start(self, subscription: str, key: str, now: float) -> Slot:
        """Note that a request starts; `finish` it in any case."""
        self.under_way += 1
        self._bucket.take(now)
        self._breaker.start()
        return Slot(subscription, key, self._breaker.epoch, self.keys.start(key))

    def finish(self, slot: Slot, verdict: Verdict | None, now: float) -> None:
        """Note what a request came to; None if the push service was not asked after all."""
        self.under_way -= 1
        if verdict is None:
            self._breaker.withdraw(slot.epoch)
            self.keys.undecided(slot.key, slot.trial, now, asked=False)
            return
        outcome, said = verdict.outcome, verdict.reason
        self._breaker.answered(slot.epoch, now, fault=outcome is Outcome.TRANSIENT, said=said)
        if outcome is Outcome.OUR_CONFIGURATION:
            self.keys.refused(slot.key, slot.subscription, slot.trial, now, said)
        elif outcome is Outcome.ACCEPTED:
            self.keys.accepted(slot.key)
            self._held.pop(slot.subscription, None)
        else:
            self.keys.undecided(slot.key, slot.trial, now, asked=True)
        if outcome is Outcome.THROTTLED:
            self._hold(slot.subscription, now, now + hold_s(verdict.retry_after_s), said)

    def pause(self, since: float) -> None:
        """Let nothing start, until it is resumed."""
        if self._paused_since is None:
            self._paused_since = since

    def resume(self) -> None:
        """Let things start again, if nothing else is in the way."""
        self._paused_since = None

    def reset(self) -> None:
        """Forget all that was in the way but for a pause: throttling, faults, stopped keys, held subscriptions."""
        self._breaker.reset()
        self.keys.reset()
        self._throttle = None
        self._throttled.clear()
        self._held.clear()

    def condition(self, now: float) -> Condition:
        """Return how the lane is, in words."""
        stopped = tuple(self.keys)
        if self._paused_since is not None:
            return Condition(LaneState.PAUSED, self._paused_since, _PAUSED, None, stopped)
        breaker, throttle = self._breaker, self._throttle
        if breaker.is_broken:
            return Condition(LaneState.BROKEN, breaker.since, breaker.reason, breaker.retry_at, stopped)
        if throttle is not None and now < throttle.until:
            return Condition(LaneState.THROTTLED, throttle.since, throttle.reason, throttle.until, stopped)
        return Condition(LaneState.OPEN, None, "", None, stopped)

    def _hold(self, subscription: str, now: float, until: float, said: str) -> None:
        self._held.pop(subscription, None)
        self._throttled.pop(subscription, None)
        if len(self._held) >= HELD:
            # Those that are over go first, else those that were throttled longest ago: many, so that it is seldom.
            lasting = [(held, end) for held, end in self._held.items() if end > now]
            self._held = dict(lasting[-HELD * 9 // 10 :])
        self._held[subscription] = until
        self._throttled = {
            other: (at, end) for other, (at, end) in self._throttled.items() if at > now - THROTTLED_WITHIN_S
        } | {subscription: (now, until)}
        if len(self._throttled) < THROTTLED:
            return
        latest = min(max(end for _, end in self._throttled.values()), now + LONGEST_THROTTLE_S)
        self._throttled.clear()
        shut = self._throttle if self._throttle is not None and now < self._throttle.until else None
        self._throttle = _Throttle(
            since=now if shut is None else shut.since,
            until=latest if shut is None else max(shut.until, latest),
            reason=f"{THROTTLED} subscriptions were told to wait within {THROTTLED_WITHIN_S:g} s. Last: {said}",
        )


def hold_s(retry_after_s: float | None) -> float:
    """Return for how many seconds a subscription is left alone whose push service asked for that."""
    wanted_s = USUAL_HOLD_S if retry_after_s is None else retry_after_s
    return min(max(wanted_s, SHORTEST_HOLD_S), LONGEST_HOLD_S)


_PAUSED: Final = "An operator paused it."
LEFT_ALONE: Final = "The push service asked to leave this device alone for a while."
