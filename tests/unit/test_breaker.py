"""A breaker breaks by what was answered within its window."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.breaker import FEWEST, SHARE, WINDOW_S, Breaker

if TYPE_CHECKING:
    from collections.abc import Iterator


RUNS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0, WINDOW_S / 2]), st.booleans(), st.integers(1, FEWEST)), max_size=9
)
"""How much later than the last, whether with a fault, and how often."""


def answers(runs: list[tuple[float, bool, int]]) -> Iterator[tuple[float, bool]]:
    now = 0.0
    for later, fault, count in runs:
        now += later
        yield from [(now, fault)] * count


@given(RUNS)
def test_it_breaks_where_the_share_of_faults_within_its_window_is_too_high(runs: list[tuple[float, bool, int]]) -> None:
    breaker = Breaker()
    told: list[tuple[int, bool]] = []
    for now, fault in answers(runs):
        told.append((int(now), fault))
        breaker.answered(breaker.epoch, now, fault=fault, said="")
        faults = [was_fault for second, was_fault in told if second > int(now) - WINDOW_S]
        is_too_much = len(faults) >= FEWEST and sum(faults) >= SHARE * len(faults)
        assert breaker.is_broken is is_too_much
        if is_too_much:
            assert breaker.reason.startswith(f"{sum(faults)} of {len(faults)} ")
            breaker.reset()
            told.clear()
