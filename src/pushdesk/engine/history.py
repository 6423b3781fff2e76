"""The past, for charts: how the server has been doing, in steps of three lengths. Memory is fixed.

What happens is counted in the shortest steps. One that is over is added to the longer one that it is a part of, and
its figures are kept for as long as its span; of a step in which nothing happened nothing is kept. The steps follow one
another on the monotonic clock from when the server started: the wall clock says when the last one ended, and no more.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pushdesk.engine.histogram import Histogram
from pushdesk.model import History, Outcome, Span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.clock import Clock

STEP_S: Final = 2
"""Seconds of the shortest step."""


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is kept of a step that is over."""

    number: int
    sends: int
    p50_ms: float | None
    p95_ms: float | None
    outcomes: Mapping[Outcome, int]
    cache_hits: int
    cache_lookups: int
    queue: int


class _Step:
    """What happens within a step. They are numbered from the start of the server."""

    __slots__ = ("cache_hits", "cache_lookups", "latencies", "number", "outcomes", "queue", "sends")

    def __init__(self, number: int) -> None:
        self.number = number
        self.sends = 0
        self.latencies = Histogram()
        self.outcomes: Counter[Outcome] = Counter()
        self.cache_hits = 0
        self.cache_lookups = 0
        self.queue = 0

    @property
    def is_idle(self) -> bool:
        """Whether nothing happened."""
        return not (self.outcomes or self.cache_lookups or self.queue)

    def merge(self, part: _Step) -> None:
        """Add what happened within a part of it."""
        self.sends += part.sends
        self.latencies.merge(part.latencies)
        self.outcomes.update(part.outcomes)
        self.cache_hits += part.cache_hits
        self.cache_lookups += part.cache_lookups
        self.queue = max(self.queue, part.queue)

    def figures(self) -> _Figures:
        return _Figures(
            number=self.number,
            sends=self.sends,
            p50_ms=self.latencies.percentile(50),
            p95_ms=self.latencies.percentile(95),
            outcomes=dict(self.outcomes),
            cache_hits=self.cache_hits,
            cache_lookups=self.cache_lookups,
            queue=self.queue,
        )


class _Series:
    """The steps of one span.

    Args:
        steps: How many the span has.
        parts: How many of the shortest steps are one of these.
        longer: The series whose steps are made of these.
    """

    def __init__(self, steps: int, parts: int, longer: _Series | None = None) -> None:
        self.steps = steps
        self.step_s = float(parts * STEP_S)
        self.open = _Step(0)
        """The one that is not over yet."""
        self.last = _Step(-1)
        """The one before it."""
        self._parts = parts
        self._longer = longer
        self._over: deque[_Figures] = deque(maxlen=steps)
        """Those in which something happened."""

    def move_to(self, moment: int) -> None:
        """Begin the step that a moment is in, which is counted in the shortest steps."""
        number = moment // self._parts
        if number <= self.open.number:
            return
        if not self.open.is_idle:
            self._over.append(self.open.figures())
            if self._longer is not None:
                self._longer.open.merge(self.open)
        self.last = self.open if self.open.number == number - 1 else _Step(number - 1)
        self.open = _Step(number)
        if self._longer is not None:
            self._longer.move_to(moment)

    def over(self) -> list[_Figures]:
        """Return every step of the span that is over, the newest last."""
        happened = {figures.number: figures for figures in self._over}
        numbers = range(max(0, self.open.number - self.steps), self.open.number)
        return [happened.get(number, _NOTHING) for number in numbers]


_NOTHING: Final = _Step(-1).figures()


class HistoryRecorder:
    """Remembers what happened since the server started, for as long as the longest span.

    Args:
        clock: Its monotonic time decides which step something is in, its wall-clock time is what is told of that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started_s = clock.monotonic()
        self._day = _Series(144, 300)
        self._hour = _Series(120, 15, self._day)
        self._minutes = _Series(150, 1, self._hour)
        self._cache_hits = 0
        self._cache_lookups = 0

    def settled(self, outcome: Outcome, latency_ms: float | None) -> None:
        """Count what a delivery came to, and how long the push service took if it was asked."""
        step = self._now()
        step.outcomes[outcome] += 1
        if latency_ms is not None:
            step.sends += 1
            step.latencies.add(latency_ms)

    def looked(self, *, queue: int, cache_hits: int, cache_lookups: int) -> None:
        """Note how things stand, once a second.

        Args:
            queue: Deliveries that are not settled.
            cache_hits: Of the look-ups, those that were served.
            cache_lookups: Look-ups in the cache since the server started: what is new since the last time counts now.
        """
        step = self._now()
        step.queue = max(step.queue, queue)
        step.cache_hits += cache_hits - self._cache_hits
        step.cache_lookups += cache_lookups - self._cache_lookups
        self._cache_hits, self._cache_lookups = cache_hits, cache_lookups

    def sends_per_s(self) -> float:
        """Return how many requests to push services ended per second, in the last of the shortest steps."""
        self._now()
        return self._minutes.last.sends / STEP_S

    def p95_ms(self) -> float | None:
        """Return the 95th percentile of their latencies in the last half to whole minute; None of none."""
        self._now()
        latencies = Histogram()
        latencies.merge(self._hour.last.latencies)
        latencies.merge(self._hour.open.latencies)
        return latencies.percentile(95)

    def history(self, span: Span) -> History:
        """Return the steps of a span that are over."""
        self._now()
        series = {Span.MINUTES: self._minutes, Span.HOUR: self._hour, Span.DAY: self._day}[span]
        steps = series.over()
        since_end_s = self._clock.monotonic() - self._started_s - series.open.number * series.step_s
        return History(
            span=span,
            step_s=series.step_s,
            steps=series.steps,
            end=datetime.fromtimestamp(self._clock.time(), UTC) - timedelta(seconds=since_end_s),
            sends=tuple(step.sends for step in steps),
            p50_ms=tuple(step.p50_ms for step in steps),
            p95_ms=tuple(step.p95_ms for step in steps),
            outcomes={
                outcome: tuple(step.outcomes.get(outcome, 0) for step in steps)
                for outcome in Outcome
                if any(outcome in step.outcomes for step in steps)
            },
            cache_hits=tuple(step.cache_hits for step in steps),
            cache_lookups=tuple(step.cache_lookups for step in steps),
            queue=tuple(step.queue for step in steps),
        )

    def _now(self) -> _Step:
        """Return the step that is not over yet."""
        self._minutes.move_to(int((self._clock.monotonic() - self._started_s) // STEP_S))
        return self._minutes.open
