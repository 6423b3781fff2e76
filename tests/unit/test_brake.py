"""A brake: what is believed, and from when on nothing is. Its clock is handed in."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.brake import FEWEST, REMEMBERED, SHARE, STEP_S, WINDOW_S, Brake

NOON = 43_200.0


def end(brake: Brake, number: int, *, now: float = NOON, first: int = 0) -> list[bool]:
    """Have so many subscriptions end, each by one attempt; returns which are held."""
    held = []
    for index in range(first, first + number):
        brake.attempted(now)
        held.append(brake.ended(f"device-{index}", 1, now))
    return held


def attempt(brake: Brake, number: int, *, now: float = NOON) -> None:
    for _ in range(number):
        brake.attempted(now)


@pytest.mark.parametrize(
    ("fine", "believed"),
    [
        (0, FEWEST),
        (100, FEWEST),
        (200, FEWEST),
        # A fifth of all the attempts, those that end among them.
        (400, 100),
        (4000, 1000),
    ],
)
def test_fifty_may_end_or_a_fifth_of_the_attempts_and_the_next_one_is_held(fine: int, believed: int) -> None:
    brake = Brake()
    attempt(brake, fine)
    assert end(brake, believed) == [False] * believed
    assert brake.reason == ""
    assert end(brake, 3, first=believed) == [True] * 3
    assert brake.is_on
    assert brake.reason.startswith(f"{believed + 1} subscriptions ended within 10 minutes, by ")


def test_what_ended_longer_ago_than_the_window_does_not_count() -> None:
    brake = Brake()
    assert not any(end(brake, FEWEST))
    assert not any(end(brake, FEWEST, now=NOON + WINDOW_S, first=100))
    assert end(brake, 1, now=NOON + WINDOW_S + 1, first=200) == [True]


def test_what_ended_just_within_the_window_counts() -> None:
    brake = Brake()
    assert not any(end(brake, FEWEST))
    assert end(brake, 1, now=NOON + WINDOW_S - STEP_S, first=100) == [True]


def test_attempts_of_long_ago_do_not_make_room() -> None:
    brake = Brake()
    attempt(brake, 10_000)
    assert not any(end(brake, FEWEST, now=NOON + WINDOW_S))
    assert end(brake, 1, now=NOON + WINDOW_S, first=100) == [True]


def test_it_stays_on_until_it_is_taken_off_and_then_counts_anew() -> None:
    brake = Brake()
    end(brake, FEWEST + 1)
    assert end(brake, 1, now=NOON + 100 * WINDOW_S, first=100) == [True]
    brake.take_off()
    assert (brake.is_on, brake.reason) == (False, "")
    assert end(brake, FEWEST + 1, now=NOON + 100 * WINDOW_S, first=200) == [False] * FEWEST + [True]


def test_what_was_on_before_a_restart_is_on() -> None:
    brake = Brake()
    brake.put_on("Because.")
    assert (end(brake, 1), brake.reason) == ([True], "Because.")


def test_a_subscription_counts_once_however_many_pushes_to_it_end() -> None:
    brake = Brake()
    for _ in range(3):
        assert not any(end(brake, FEWEST))
    assert end(brake, 1, first=100) == [True]
    # It was believed before that: what is still under way to it changes nothing.
    assert end(brake, 1) == [False]
    # Subscribed again since, it is another.
    assert brake.ended("device-0", 2, NOON)


def test_its_memory_is_fixed() -> None:
    brake = Brake()
    for index in range(2 * REMEMBERED):
        now = NOON + index * STEP_S
        attempt(brake, 5, now=now)
        assert end(brake, 1, now=now, first=index) == [False]
    assert len(brake._steps) <= WINDOW_S // STEP_S
    assert len(brake._believed) == REMEMBERED


@given(st.lists(st.tuples(st.floats(0, 300), st.integers(0, 200), st.integers(0, 60)), max_size=60))
def test_never_are_more_believed_than_may_end(rounds: list[tuple[float, int, int]]) -> None:
    """However attempts and ends come, no window has more that are believed than may be, and none is held too soon."""
    brake, now, number = Brake(), NOON, 0
    attempts: deque[float] = deque()
    believed: deque[float] = deque()
    for wait, fine, ending in rounds:
        now += wait
        attempt(brake, fine, now=now)
        attempts.extend([now] * fine)
        for _ in range(ending):
            number += 1
            (is_held,) = end(brake, 1, now=now, first=number)
            attempts.append(now)
            lately = sum(moment > now - WINDOW_S for moment in believed)
            may_end = max(FEWEST, SHARE * sum(moment > now - WINDOW_S for moment in attempts))
            if is_held:
                # Steps are of ten seconds: what is counted lies within the window.
                fewest = max(FEWEST, SHARE * sum(moment > now - WINDOW_S + STEP_S for moment in attempts))
                assert lately + 1 > fewest
                brake.take_off()
                attempts.clear()
                believed.clear()
            else:
                believed.append(now)
                assert sum(moment > now - WINDOW_S + STEP_S for moment in believed) <= may_end
