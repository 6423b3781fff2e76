"""Percentiles out of buckets, against those of all the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.histogram import LEAST_MS, MOST_MS, RELATIVE_ERROR, Histogram
from pushdesk.engine.statistics import percentile

LATENCIES = st.lists(st.floats(LEAST_MS, MOST_MS))
PERCENTS = st.integers(1, 100)


def histogram_of(latencies: list[float]) -> Histogram:
    histogram = Histogram()
    for latency in latencies:
        histogram.add(latency)
    return histogram


@given(LATENCIES, PERCENTS)
def test_a_percentile_is_within_the_error_that_is_told(latencies: list[float], percent: int) -> None:
    exact = percentile(latencies, percent)
    expected = None if exact is None else pytest.approx(exact, rel=RELATIVE_ERROR)
    assert histogram_of(latencies).percentile(percent) == expected


@given(LATENCIES, LATENCIES, PERCENTS)
def test_two_that_are_merged_are_one_of_all_their_values(some: list[float], others: list[float], percent: int) -> None:
    merged = histogram_of(some)
    merged.merge(histogram_of(others))
    assert merged.percentile(percent) == histogram_of(some + others).percentile(percent)


def test_of_nothing_there_is_no_percentile() -> None:
    assert Histogram().percentile(95) is None


@pytest.mark.parametrize(
    ("latency_ms", "told_ms"),
    [(0.0, LEAST_MS), (0.04, LEAST_MS), (LEAST_MS, LEAST_MS), (MOST_MS, MOST_MS), (MOST_MS * 1000, MOST_MS)],
)
def test_what_is_out_of_range_is_told_as_the_nearest_that_is_in_it(latency_ms: float, told_ms: float) -> None:
    assert histogram_of([latency_ms]).percentile(50) == pytest.approx(told_ms, rel=RELATIVE_ERROR)
