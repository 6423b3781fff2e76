"""The retry schedule, as a function of its arguments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.retry import SCHEDULE_S, SOONEST_S, next_attempt_in_s


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


def test_the_waits_grow_and_the_last_one_repeats() -> None:
    waits = [
        next_attempt_in_s(attempt, retry_after_s=None, remaining_s=1e9, uniform=longest)
        for attempt in range(1, len(SCHEDULE_S) + 3)
    ]
    assert waits == [*SCHEDULE_S, SCHEDULE_S[-1], SCHEDULE_S[-1]]


def test_jitter_is_full() -> None:
    assert next_attempt_in_s(5, retry_after_s=None, remaining_s=1e9, uniform=shortest) == SOONEST_S


def test_what_ends_sooner_than_the_schedule_is_tried_shortly_before_its_end() -> None:
    assert next_attempt_in_s(7, retry_after_s=None, remaining_s=3600, uniform=longest) == 3599


def test_a_last_chance_is_the_last() -> None:
    assert next_attempt_in_s(1, retry_after_s=None, remaining_s=1.9, uniform=shortest) is None
    assert next_attempt_in_s(1, retry_after_s=None, remaining_s=2, uniform=longest) == 1


def test_never_sooner_than_asked_for() -> None:
    assert next_attempt_in_s(1, retry_after_s=120, remaining_s=1e9, uniform=shortest) == 120


@given(
    attempts=st.integers(1, 1000),
    retry_after_s=st.none() | st.floats(0, 1e12),
    remaining_s=st.floats(0, 2419200),
    share=st.floats(0, 1),
)
def test_never_after_the_ttl(attempts: int, retry_after_s: float | None, remaining_s: float, share: float) -> None:
    wait = next_attempt_in_s(
        attempts,
        retry_after_s=retry_after_s,
        remaining_s=remaining_s,
        uniform=lambda low, high: low + (high - low) * share,
    )
    assert wait is None or max(SOONEST_S, retry_after_s or 0) <= wait < remaining_s
