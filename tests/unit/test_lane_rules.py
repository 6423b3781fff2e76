"""What holds of a lane whatever it is told, and in whatever order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pushdesk.engine.breaker import WINDOW_S
from pushdesk.engine.lane import HELD, Lane
from pushdesk.engine.token_bucket import BURST_S
from pushdesk.model import LaneState, Outcome
from pushdesk.webpush.services import Verdict

if TYPE_CHECKING:
    from random import Random

    from pushdesk.engine.lane import Slot

SUBSCRIPTIONS = st.sampled_from([f"device-{number}" for number in range(6)])
KEYS = st.sampled_from(["11111111", "22222222"])
OUTCOMES = st.sampled_from(
    [
        Outcome.ACCEPTED,
        Outcome.TRANSIENT,
        Outcome.TRANSIENT,
        Outcome.THROTTLED,
        Outcome.OUR_CONFIGURATION,
        Outcome.GONE,
        Outcome.REFUSED,
    ]
)
VERDICTS = st.none() | st.builds(Verdict, OUTCOMES, st.just("It said so."), st.none() | st.floats(0, 1e9), st.just({}))
RATE = 500
CONCURRENCY = 30
A_WHILE_S = 1.0


class LaneRules(RuleBasedStateMachine):
    """Whoever asks first, as the senders do, and starts only what may start."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.lane = Lane(concurrency=CONCURRENCY, rate=RATE)
        self.under_way: list[Slot] = []
        self.started: deque[float] = deque()

    @rule(subscription=SUBSCRIPTIONS, key=KEYS, burst=st.integers(1, CONCURRENCY))
    def start(self, subscription: str, key: str, burst: int) -> None:
        for _ in range(burst):
            self._start(subscription, key)

    def _start(self, subscription: str, key: str) -> None:
        if self.lane.room(self.now) and self.lane.obstacle(subscription, key, self.now, 1e12) is None:
            self.under_way.append(self.lane.start(subscription, key, self.now))
            self.started.append(self.now)

    @precondition(lambda self: self.under_way)
    @rule(chosen=st.randoms(use_true_random=False), verdict=VERDICTS, burst=st.integers(1, CONCURRENCY))
    def finish(self, chosen: Random, verdict: Verdict | None, burst: int) -> None:
        for _ in range(min(burst, len(self.under_way))):
            slot = self.under_way.pop(chosen.randrange(len(self.under_way)))
            self.lane.finish(slot, verdict, self.now)

    @rule(seconds=st.floats(0, 1) | st.floats(0, 2000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(verdict=VERDICTS, key=KEYS)
    def storm(self, verdict: Verdict | None, key: str) -> None:
        """As many as may start, and all come to the same."""
        for number in range(CONCURRENCY):
            self._start(f"device-{number % 6}", key)
        while self.under_way:
            self.lane.finish(self.under_way.pop(), verdict, self.now)
            self.now += 0.02

    @rule()
    def wait_until_it_opens(self) -> None:
        moments = (self.lane.next_at(self.now), self.lane.keys.next_trial_at)
        self.now = max((moment for moment in moments if moment is not None), default=self.now)

    @rule()
    def pause(self) -> None:
        self.lane.pause(self.now)

    @rule()
    def resume(self) -> None:
        self.lane.resume()

    @rule()
    def reset(self) -> None:
        self.lane.reset()

    @invariant()
    def no_more_are_under_way_than_may_be(self) -> None:
        assert self.lane.under_way == len(self.under_way) <= CONCURRENCY

    @invariant()
    def no_more_start_than_the_rate_allows(self) -> None:
        while self.started and self.started[0] < self.now - A_WHILE_S:
            self.started.popleft()
        assert len(self.started) <= RATE * (A_WHILE_S + BURST_S) + 1

    @invariant()
    def a_lane_without_anything_under_way_opens_by_itself_unless_it_is_paused(self) -> None:
        if self.under_way or self.lane.condition(self.now).state is LaneState.PAUSED:
            return
        at, looks = self.now, 0
        while self.lane.room(at) == 0:
            later = self.lane.next_at(at)
            assert later is not None
            assert later > at
            at, looks = later, looks + 1
            assert looks < 4

    @invariant()
    def whoever_is_told_why_is_told_in_words(self) -> None:
        condition = self.lane.condition(self.now)
        assert (condition.state is LaneState.OPEN) == (condition.since is None) == (condition.reason == "")
        assert condition.since is None or condition.since <= self.now
        assert all(stop.reason and stop.since <= self.now for stop in condition.stopped)

    @invariant()
    def trials_are_made_one_at_a_time(self) -> None:
        breaker = self.lane._breaker
        if breaker.is_broken:
            assert sum(slot.epoch == breaker.epoch for slot in self.under_way) <= 1
        for stop in self.lane.condition(self.now).stopped:
            of_this_stop = self.lane.keys._refused[stop.key]
            assert sum(slot.trial is of_this_stop for slot in self.under_way) <= 1

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.lane._held) <= HELD
        assert len(self.lane._breaker._seconds) <= WINDOW_S + 1
        assert len(self.lane._throttled) <= 3


TestLaneRules = LaneRules.TestCase
TestLaneRules.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
