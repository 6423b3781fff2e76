"""What charts show of a history. Servers of other versions may leave out steps of one series: the newest are paired."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from pushdesk.console.widgets.plot import Axis
from pushdesk.errors import PushdeskError
from pushdesk.local_time import in_zone
from pushdesk.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from pushdesk.console.widgets.plot import Values
    from pushdesk.model import History

SPANS: Final = {Span.MINUTES: "5 min", Span.HOUR: "1 hour", Span.DAY: "1 day"}
"""What is written of a span."""
FLOORS: Final = (0.0, 0.5, 0.9)
"""Where the scale of a hit ratio may begin: one that is good is seen to change, too."""
MOST_STEPS: Final = 10_000
LONGEST_STEP_S: Final = 7 * 86400.0
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2200


def check(history: History) -> None:
    """Do nothing, unless there is no drawing of a history.

    Raises:
        PushdeskError: `internal`.
    """
    is_sound = (
        1 <= history.steps <= MOST_STEPS
        and 0 < history.step_s <= LONGEST_STEP_S
        and FIRST_YEAR <= history.end.year <= LAST_YEAR
        and all(len(series) <= MOST_STEPS for series in _series(history))
    )
    if not is_sound:
        raise PushdeskError("The server told a history that makes no sense.", hint="Its other figures may be right.")


def _series(history: History) -> Iterator[Sequence[float | None]]:
    yield from (history.sends, history.p50_ms, history.p95_ms, history.cache_hits, history.cache_lookups, history.queue)
    yield from history.outcomes.values()


def _paired(history: History) -> Iterator[tuple[int, int]]:
    """Yield hits and look-ups of each step, the newest last."""
    newest_first = zip(reversed(history.cache_hits), reversed(history.cache_lookups), strict=False)
    yield from reversed(tuple(newest_first))


def is_told(history: History) -> bool:
    """Return whether a step of it is over: what happens is told when its step is."""
    return any(_series(history))


def next_span(span: Span) -> Span:
    """Return the next longer span; after the longest, the shortest."""
    spans = list(Span)
    return spans[(spans.index(span) + 1) % len(spans)]


def axis_of(history: History, zone: tzinfo | None) -> Axis:
    """Return the steps of a history; times are shown in the zone."""
    return Axis(in_zone(history.end, zone), history.step_s, history.steps)


def sends_per_s(history: History) -> Values:
    """Return how many requests to push services ended per second."""
    return tuple(number / history.step_s for number in history.sends)


def hits_of_lookups(history: History) -> tuple[Values, Values]:
    """Return how many look-ups in the cache were served, and how many there were."""
    pairs = tuple(_paired(history))
    return tuple(hits for hits, _ in pairs), tuple(lookups for _, lookups in pairs)


def lookups_per_s(history: History) -> Values:
    """Return how many users were looked up in the cache per second."""
    return tuple(lookups / history.step_s for lookups in history.cache_lookups)


def misses_per_s(history: History) -> Values:
    """Return how many of them were not served from it."""
    return tuple((lookups - hits) / history.step_s for hits, lookups in _paired(history))


def whole_hit_ratio(history: History) -> float | None:
    """Return the share of all look-ups in the cache that were served, from 0 to 1; None if there were none."""
    lookups = sum(history.cache_lookups)
    return sum(history.cache_hits) / lookups if lookups else None


def last(values: Values) -> float | None:
    """Return the newest value that there is."""
    return next((value for value in reversed(values) if value is not None), None)


def peak(values: Values) -> float | None:
    """Return the greatest value that there is."""
    return max((value for value in values if value is not None), default=None)


def then_idle(history: History, queue: int) -> History:
    """Return a history as it is a step later, when nothing happened and so many deliveries were in the queue."""

    def longer(values: tuple[float | None, ...], value: float | None) -> tuple[float | None, ...]:
        return (*values, value)[-history.steps :]

    changed = {name: longer(getattr(history, name), 0) for name in ("sends", "cache_hits", "cache_lookups")}
    changed |= {name: longer(getattr(history, name), None) for name in ("p50_ms", "p95_ms")}
    return msgspec.structs.replace(
        history,
        **changed,
        end=history.end + timedelta(seconds=history.step_s),
        outcomes={outcome: longer(counts, 0) for outcome, counts in history.outcomes.items()},
        queue=longer(history.queue, queue),
    )
