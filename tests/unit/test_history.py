"""What is kept of the past: its steps against a list of everything that happened, its clocks, its memory."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.histogram import RELATIVE_ERROR
from pushdesk.engine.history import HistoryRecorder
from pushdesk.engine.statistics import percentile
from pushdesk.model import Outcome, Span
from tests.engine.cache_memory import measured

if TYPE_CHECKING:
    from collections.abc import Sequence

STEPS: Final = {Span.MINUTES: (150, 2), Span.HOUR: (120, 30), Span.DAY: (144, 600)}
OUTCOMES: Final = tuple(Outcome)


class Clock:
    """Its two times go their own ways."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.steady = 4321.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.steady

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


class Settled(NamedTuple):
    """A delivery was settled."""

    outcome: Outcome
    latency_ms: float | None


class Looked(NamedTuple):
    """Somebody looked at the queue, and at the cache, where there was more meanwhile."""

    queue: int
    hits: int
    misses: int


class Jumped(NamedTuple):
    """The wall clock was set."""

    seconds: float


SETTLED = st.builds(Settled, st.sampled_from(OUTCOMES), st.none() | st.floats(0.1, 30_000))
LOOKED = st.builds(Looked, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
JUMPED = st.builds(Jumped, st.floats(-1e8, 1e8))
PAUSES = st.sampled_from([0.0, 0.5, 1.0, 2.0, 7.3, 30.0, 299.9, 600.0, 3600.0, 86_400.0])
HAPPENINGS = st.lists(st.tuples(PAUSES, SETTLED | LOOKED | JUMPED), max_size=40)


@given(HAPPENINGS, PAUSES)
def test_every_step_has_what_happened_in_it(
    happenings: Sequence[tuple[float, Settled | Looked | Jumped]], pause: float
) -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    began = clock.steady
    settled: list[tuple[float, Settled]] = []
    looked: list[tuple[float, Looked]] = []
    hits = lookups = 0
    for waited, happening in happenings:
        clock.advance(waited)
        match happening:
            case Settled():
                recorder.settled(*happening)
                settled.append((clock.steady - began, happening))
            case Looked():
                hits += happening.hits
                lookups += happening.hits + happening.misses
                recorder.looked(queue=happening.queue, cache_hits=hits, cache_lookups=lookups)
                looked.append((clock.steady - began, happening))
            case Jumped():
                clock.wall += happening.seconds
    clock.advance(pause)
    ran = clock.steady - began
    for span, (steps, step_s) in STEPS.items():
        history = recorder.history(span)
        assert (history.span, history.steps, history.step_s) == (span, steps, step_s)
        over = int(ran // step_s)
        assert history.end.timestamp() == pytest.approx(clock.wall - (ran - over * step_s), abs=1e-3)
        numbers = range(max(0, over - steps), over)
        attempts = [[one for when, one in settled if when // step_s == number] for number in numbers]
        looks = [[one for when, one in looked if when // step_s == number] for number in numbers]
        latencies = [[one.latency_ms for one in step if one.latency_ms is not None] for step in attempts]
        assert history.sends == tuple(map(len, latencies))
        for told, percent in ((history.p50_ms, 50), (history.p95_ms, 95)):
            exact = [percentile(values, percent) for values in latencies]
            assert told == tuple(value and pytest.approx(value, rel=RELATIVE_ERROR) for value in exact)
        assert history.outcomes == {
            outcome: tuple(sum(one.outcome is outcome for one in step) for step in attempts)
            for outcome in Outcome
            if any(one.outcome is outcome for step in attempts for one in step)
        }
        assert history.cache_hits == tuple(sum(one.hits for one in step) for step in looks)
        assert history.cache_lookups == tuple(sum(one.hits + one.misses for one in step) for step in looks)
        assert history.queue == tuple(max((one.queue for one in step), default=0) for step in looks)


def test_a_server_that_has_just_started_has_no_past() -> None:
    clock = Clock()
    history = HistoryRecorder(clock).history(Span.MINUTES)
    assert (history.sends, history.p50_ms, history.queue, history.outcomes) == ((), (), (), {})
    assert history.end == datetime.fromtimestamp(clock.wall, UTC)


def test_a_step_in_which_a_queue_only_stood_is_remembered() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    recorder.looked(queue=5, cache_hits=0, cache_lookups=0)
    clock.advance(2)
    assert recorder.history(Span.MINUTES).queue == (5,)


def test_a_step_is_there_once_it_is_over() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    recorder.settled(Outcome.ACCEPTED, 10.0)
    clock.advance(1.999)
    assert recorder.history(Span.MINUTES).sends == ()
    clock.advance(0.001)
    assert recorder.history(Span.MINUTES).sends == (1,)
    assert recorder.history(Span.HOUR).sends == ()
    clock.advance(28)
    assert recorder.history(Span.HOUR).sends == (1,)


def test_all_spans_have_the_same_sums() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    # Within the last five minutes of a step of ten: the shortest span has all of it too.
    clock.advance(1200 + 300)
    for number in range(300):
        recorder.settled(OUTCOMES[number % len(OUTCOMES)], float(number) if number % 3 else None)
        recorder.looked(queue=number, cache_hits=2 * number, cache_lookups=3 * number)
        clock.advance(1)
    minutes, *others = (recorder.history(span) for span in Span)
    assert (sum(minutes.sends), max(minutes.queue)) == (200, 299)
    assert (sum(minutes.cache_hits), sum(minutes.cache_lookups)) == (2 * 299, 3 * 299)
    for other in others:
        assert sum(other.sends) == sum(minutes.sends)
        assert sum(other.cache_hits) == sum(minutes.cache_hits)
        assert sum(other.cache_lookups) == sum(minutes.cache_lookups)
        assert max(other.queue) == max(minutes.queue)
        assert {outcome: sum(series) for outcome, series in other.outcomes.items()} == {
            outcome: sum(series) for outcome, series in minutes.outcomes.items()
        }


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_moves_the_end_and_nothing_else(jump: float) -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    recorder.settled(Outcome.ACCEPTED, 10.0)
    clock.advance(3)
    before = recorder.history(Span.MINUTES)
    clock.wall += jump
    recorder.settled(Outcome.GONE, 10.0)
    after = recorder.history(Span.MINUTES)
    assert (after.sends, after.outcomes) == (before.sends, before.outcomes)
    assert after.end.timestamp() - before.end.timestamp() == jump
    assert after.end.timestamp() == clock.wall - 1


def test_the_rate_is_that_of_the_last_two_seconds_that_are_over() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    for _ in range(3):
        recorder.settled(Outcome.ACCEPTED, 10.0)
    recorder.settled(Outcome.EXPIRED, None)
    rates = []
    for seconds in (0, 1.5, 0.5, 1.9, 0.2):
        clock.advance(seconds)
        rates.append(recorder.sends_per_s())
    assert rates == [0.0, 0.0, 1.5, 1.5, 0.0]


def test_after_hours_without_a_call_there_is_no_rate_and_no_latency() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    recorder.settled(Outcome.ACCEPTED, 10.0)
    clock.advance(7200)
    assert (recorder.sends_per_s(), recorder.p95_ms()) == (0.0, None)


def test_the_latency_is_that_of_the_last_half_to_whole_minute() -> None:
    clock = Clock()
    recorder = HistoryRecorder(clock)
    told = []
    for latency_ms, seconds in ((100.0, 2), (200.0, 2), (None, 25.9), (None, 0.2), (None, 29.8), (None, 0.2)):
        if latency_ms is not None:
            recorder.settled(Outcome.ACCEPTED, latency_ms)
        clock.advance(seconds)
        told.append(recorder.p95_ms())
    low, high = (pytest.approx(latency_ms, rel=RELATIVE_ERROR) for latency_ms in (100.0, 200.0))
    assert told == [low, high, high, high, high, None]


def test_memory_is_fixed() -> None:
    clock = Clock()
    counter = count(10**6)

    def fill(recorder: HistoryRecorder) -> None:
        """Have much happen in every step of every span."""
        for steps, step_s in reversed(STEPS.values()):
            for number in range(steps):
                for outcome in Outcome:
                    recorder.settled(outcome, 1.2 ** (number % 50))
                recorder.looked(queue=10**6, cache_hits=(hits := next(counter)), cache_lookups=2 * hits)
                clock.advance(step_s)

    with measured() as first:
        recorder = HistoryRecorder(clock)
        fill(recorder)
    with measured() as then:
        for _ in range(3):
            fill(recorder)
    assert first.size < 500_000
    # What replaces what was measured before counts, and what it replaces does not.
    assert then.size < first.size * 1.02


def test_quiet_steps_cost_nothing() -> None:
    clock = Clock()
    with measured() as taken:
        recorder = HistoryRecorder(clock)
        for _ in range(2000):
            clock.advance(2)
            recorder.looked(queue=0, cache_hits=0, cache_lookups=0)
    assert taken.size < 20_000
