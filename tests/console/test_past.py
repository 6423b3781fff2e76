"""What charts show of a history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pushdesk.console.past import (
    axis_of,
    check,
    hits_of_lookups,
    last,
    lookups_per_s,
    misses_per_s,
    next_span,
    peak,
    sends_per_s,
    then_idle,
    whole_hit_ratio,
)
from pushdesk.errors import PushdeskError
from pushdesk.model import History, Outcome, Span
from tests.console.fake_desk import NOON
from tests.console.scenes import past

SHORT = History(
    Span.MINUTES,
    2.0,
    4,
    NOON,
    sends=(4, 0, 7),
    p50_ms=(60.0, None, 80.0),
    p95_ms=(90.0, None, 180.0),
    outcomes={Outcome.ACCEPTED: (4, 0, 6), Outcome.GONE: (0, 0, 1)},
    cache_hits=(3, 0, 5),
    cache_lookups=(4, 0, 5),
    queue=(0, 2, 1),
)


def test_series_are_per_second_and_a_ratio_of_nothing_is_none() -> None:
    assert sends_per_s(SHORT) == (2.0, 0.0, 3.5)
    assert lookups_per_s(SHORT) == (2.0, 0.0, 2.5)
    assert misses_per_s(SHORT) == (0.5, 0.0, 0.0)
    assert hits_of_lookups(SHORT) == ((3, 0, 5), (4, 0, 5))
    assert whole_hit_ratio(SHORT) == pytest.approx(8 / 9)
    assert whole_hit_ratio(History(Span.DAY, 600.0, 144, NOON)) is None
    assert last(SHORT.p50_ms) == 80.0
    assert last((1.0, None)) == 1.0
    assert peak((None, 3.0, 2.0)) == 3.0
    assert last(()) is peak((None,)) is None


def test_a_step_in_which_nothing_happened_is_a_step_of_every_series() -> None:
    later = then_idle(then_idle(SHORT, 1), 1)
    assert later.end == NOON + timedelta(seconds=4)
    assert later.sends == (0, 7, 0, 0)
    assert later.p95_ms == (None, 180.0, None, None)
    assert later.outcomes == {Outcome.ACCEPTED: (0, 6, 0, 0), Outcome.GONE: (0, 1, 0, 0)}
    assert (later.cache_hits, later.cache_lookups) == ((0, 5, 0, 0), (0, 5, 0, 0))
    assert later.queue == (2, 1, 1, 1)
    assert later.steps == SHORT.steps


def test_spans_follow_one_another_and_begin_again() -> None:
    assert [next_span(span) for span in Span] == [Span.HOUR, Span.DAY, Span.MINUTES]


def test_the_newest_steps_are_paired_where_some_were_left_out() -> None:
    torn = msgspec.structs.replace(SHORT, cache_hits=(0, 5))
    assert hits_of_lookups(torn) == ((0, 5), (0, 5))
    assert hits_of_lookups(msgspec.structs.replace(SHORT, cache_lookups=())) == ((), ())


@pytest.mark.parametrize("span", list(Span))
def test_what_servers_tell_is_sound(span: Span) -> None:
    check(past(span))
    assert axis_of(past(span), NOON.tzinfo).steps == past(span).steps


@pytest.mark.parametrize(
    "fields",
    [
        {"steps": 0},
        {"steps": -4},
        {"steps": 10**9},
        {"step_s": 0.0},
        {"step_s": -2.0},
        {"step_s": float("inf")},
        {"step_s": float("nan")},
        {"end": datetime.max.replace(tzinfo=UTC)},
        {"end": datetime.min.replace(tzinfo=UTC)},
        {"sends": (0,) * 10_001},
        {"outcomes": {Outcome.GONE: (0,) * 10_001}},
    ],
)
def test_what_cannot_be_drawn_is_an_error(fields: dict[str, object]) -> None:
    with pytest.raises(PushdeskError, match="makes no sense"):
        check(msgspec.structs.replace(SHORT, **fields))
