"""Counters, and how push services are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from pushdesk.engine.statistics import Statistics, percentile, utc
from pushdesk.model import Delivery, Outcome, Service
from pushdesk.storage.records import Settlement
from tests.clocks import FrozenClock

if TYPE_CHECKING:
    from datetime import datetime


def delivery(clock: FrozenClock, outcome: Outcome, latency_ms: float | None) -> Delivery:
    return Delivery("d", "m", "ada", "s", Service.FCM, outcome, utc(clock), reason="why", latency_ms=latency_ms)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, None), ([5.0], 95, 5.0), ([4.0, 1.0, 3.0, 2.0], 50, 2.0), (list(range(1, 101)), 95, 95)],
)
def test_percentiles_are_by_nearest_rank(values: list[float], percent: int, expected: float | None) -> None:
    assert percentile(values, percent) == expected


def test_what_no_service_was_asked_for_counts_as_an_outcome_only() -> None:
    clock = FrozenClock()
    statistics = Statistics(clock)
    statistics.count(Settlement(delivery(clock, Outcome.EXPIRED, None)))
    assert statistics.outcomes == {Outcome.EXPIRED: 1}
    assert statistics.services() == ()


def test_what_was_not_tried_tells_nothing_of_the_service() -> None:
    clock = FrozenClock()
    statistics = Statistics(clock)
    statistics.waiting[Service.FCM] = 2
    statistics.count(Settlement(delivery(clock, Outcome.TRANSIENT, 30.0), attempted=False))
    assert (statistics.outcomes, statistics.waiting[Service.FCM]) == ({}, 2)
    statistics.count(Settlement(delivery(clock, Outcome.CANCELLED, 30.0), attempted=False))
    assert (statistics.outcomes, statistics.waiting[Service.FCM]) == ({Outcome.CANCELLED: 1}, 1)
    (health,) = statistics.services()
    assert (health.sent, health.failed, health.last_error) == (0, 0, "")


def test_a_service_shows_its_last_error_and_what_waits_for_it() -> None:
    clock = FrozenClock()
    statistics = Statistics(clock)
    statistics.waiting[Service.FCM] = 2
    statistics.count(Settlement(delivery(clock, Outcome.ACCEPTED, 10.0)))
    statistics.count(Settlement(structs.replace(delivery(clock, Outcome.TRANSIENT, 30.0), reason="It did not answer.")))
    (health,) = statistics.services()
    assert (health.sent, health.accepted, health.failed, health.waiting) == (2, 1, 1, 1)
    assert (health.p50_ms, health.p95_ms, health.last_error) == (10.0, 30.0, "It did not answer.")


def test_what_a_service_throttled_is_tried_again_at_the_latest_moment_unless_it_accepts_something() -> None:
    clock = FrozenClock()
    statistics = Statistics(clock)

    def settle(outcome: Outcome, retry_s: float | None = None) -> None:
        retry_at = None if retry_s is None else utc(clock) + timedelta(seconds=retry_s)
        statistics.count(Settlement(structs.replace(delivery(clock, outcome, 10.0), next_attempt_at=retry_at)))

    def retry_at() -> datetime | None:
        (health,) = statistics.services()
        return health.retry_at

    settle(Outcome.TRANSIENT, 500)
    assert retry_at() is None
    latest = utc(clock) + timedelta(seconds=60)
    for retry_s in (30, 60, 45):
        settle(Outcome.THROTTLED, retry_s)
    settle(Outcome.TRANSIENT, 500)
    assert retry_at() == latest
    clock.advance(59.9)
    assert retry_at() == latest
    clock.advance(0.1)
    assert retry_at() is None
    settle(Outcome.THROTTLED, 30)
    assert retry_at() == utc(clock) + timedelta(seconds=30)
    settle(Outcome.ACCEPTED)
    assert retry_at() is None
