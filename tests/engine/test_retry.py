"""The retry schedule, as a function of its arguments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.retry import SCHEDULE_S, SOONEST_S, NextAttempt, next_attempt


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


def test_the_waits_grow_and_the_last_one_repeats() -> None:
    waits = [
        next_attempt(attempt, retry_after_s=None, remaining_s=1e9, uniform=longest)
        for attempt in range(1, len(SCHEDULE_S) + 3)
    ]
    assert waits == [NextAttempt(wait) for wait in (*SCHEDULE_S, SCHEDULE_S[-1], SCHEDULE_S[-1])]


def test_jitter_is_full() -> None:
    assert next_attempt(5, retry_after_s=None, remaining_s=1e9, uniform=shortest) == NextAttempt(SOONEST_S)


def test_what_ends_sooner_than_the_schedule_is_tried_shortly_before_its_end() -> None:
    assert next_attempt(7, retry_after_s=None, remaining_s=3600, uniform=longest) == NextAttempt(3599)


def test_a_last_chance_is_the_last() -> None:
    assert next_attempt(1, retry_after_s=None, remaining_s=1.9, uniform=shortest) is None
    assert next_attempt(1, retry_after_s=None, remaining_s=2, uniform=longest) == NextAttempt(1)


def test_never_sooner_than_asked_for() -> None:
    assert next_attempt(1, retry_after_s=120, remaining_s=1e9, uniform=shortest) == NextAttempt(120)


@pytest.mark.parametrize("asked_s", [59.5, 60, 365 * 86400])
def test_what_is_asked_for_beyond_the_ttl_is_cut_short_to_the_last_chance(asked_s: float) -> None:
    cut_short = NextAttempt(59, is_cut_short=True)
    assert next_attempt(1, retry_after_s=asked_s, remaining_s=60, uniform=shortest) == cut_short
    assert next_attempt(1, retry_after_s=59, remaining_s=60, uniform=shortest) == NextAttempt(59)


@given(
    attempts=st.integers(1, 1000),
    retry_after_s=st.none() | st.floats(0, 1e12),
    remaining_s=st.floats(0, 2419200),
    share=st.floats(0, 1),
)
def test_never_after_the_ttl_and_before_it_while_there_is_time(
    attempts: int, retry_after_s: float | None, remaining_s: float, share: float
) -> None:
    found = next_attempt(
        attempts,
        retry_after_s=retry_after_s,
        remaining_s=remaining_s,
        uniform=lambda low, high: low + (high - low) * share,
    )
    assert (found is None) == (remaining_s < 2)
    if found is not None:
        assert SOONEST_S <= found.in_s < remaining_s
        assert found.in_s >= (retry_after_s or 0) or found.is_cut_short
