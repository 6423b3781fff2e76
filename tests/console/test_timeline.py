"""What became of a subscription, and what happens next to a delivery, as pure functions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pushdesk.console.figures import duration
from pushdesk.console.prospects import prospect
from pushdesk.console.timeline import timeline
from pushdesk.model import (
    Attempt,
    Delivery,
    LaneState,
    Outcome,
    Service,
    ServiceHealth,
    Subscription,
    SubscriptionState,
)
from tests.console.fake_desk import NOON


def device(**fields: object) -> Subscription:
    wanted = {
        "id": "sub",
        "user": "ada",
        "service": Service.FCM,
        "fingerprint": "3779b1",
        "browser": "Chrome",
        "platform": "Android",
        "key_id": "7f3a92aa",
        "state": SubscriptionState.ACTIVE,
        "created_at": NOON - timedelta(days=9),
    }
    return Subscription(**(wanted | fields))  # type: ignore[arg-type]  # the test's own


def sent(number: int, outcome: Outcome, days: float, **fields: object) -> Delivery:
    wanted = {
        "id": f"delivery-{number}",
        "dispatch": "dispatch",
        "user": "ada",
        "subscription": "sub",
        "service": Service.FCM,
        "outcome": outcome,
        "at": NOON - timedelta(days=days),
        "attempts": 1,
    }
    return Delivery(**(wanted | fields))  # type: ignore[arg-type]  # the test's own


def said(*args: object) -> list[str]:
    return [f"{line.status.plain} {line.remark}".strip() for line in timeline(*args)]  # type: ignore[arg-type]


def test_the_latest_comes_first() -> None:
    deliveries = [sent(2, Outcome.ACCEPTED, 1, status=201), sent(1, Outcome.EXPIRED, 3, reason="too late")]
    assert said(device(), deliveries, {}) == ["✓ 201", "✗ expired too late", "+ subscribed Chrome · Android"]


def test_every_attempt_has_a_line_and_its_own_answer() -> None:
    delivery = sent(1, Outcome.ACCEPTED, 1, status=201, attempts=2)
    attempts = (
        Attempt(1, NOON - timedelta(days=1, minutes=1), Outcome.THROTTLED, 429, "Slow down", 7.0),
        Attempt(2, NOON - timedelta(days=1), Outcome.ACCEPTED, 201),
    )
    lines = timeline(device(), [delivery], {"delivery-1": attempts})
    assert [line.status.plain for line in lines] == ["✓ 201", "↻ 429 throttled", "+ subscribed"]
    assert lines[1].attempt is not None
    assert (lines[1].attempt.attempts, lines[1].attempt.latency_ms) == (1, 7.0)


def test_attempts_of_the_same_moment_are_told_in_their_order() -> None:
    attempts = tuple(Attempt(number, NOON, Outcome.TRANSIENT, 500 + number) for number in (1, 2, 3))
    lines = timeline(device(created_at=NOON), [sent(1, Outcome.TRANSIENT, 0, attempts=3)], {"delivery-1": attempts})
    assert [line.status.plain[2:5] for line in lines] == ["503", "502", "501", "sub"]


def test_the_end_names_the_answer_on_which_it_came() -> None:
    gone = sent(2, Outcome.GONE, 1, status=410, reason="unsubscribed")
    lines = said(device(state=SubscriptionState.GONE), [gone, sent(1, Outcome.ACCEPTED, 2, status=201)], {})
    assert lines[:2] == ["✗ gone FCM answered 410: nothing is sent to it any more", "✗ 410 gone unsubscribed"]


def test_a_push_service_without_a_name_is_called_what_it_is() -> None:
    gone = sent(1, Outcome.GONE, 1, status=404, service=Service.OTHER)
    assert said(device(state=SubscriptionState.GONE), [gone], {})[0].startswith("✗ gone The push service answered 404")
    taken = sent(1, Outcome.ACCEPTED, 1, service=Service.OTHER)
    assert prospect(taken, NOON, NOON) == "Nothing: the push service has taken it and hands it to the browser."


def test_the_end_that_nothing_is_kept_of_is_told_by_the_last_failure() -> None:
    ended = device(state=SubscriptionState.GONE, last_failure_at=NOON - timedelta(days=2))
    assert said(ended, [], {})[0] == "✗ gone nothing is sent to it any more"
    assert said(device(state=SubscriptionState.HELD), [], {}) == ["+ subscribed Chrome · Android"]


def test_a_success_and_a_failure_that_are_older_than_what_is_kept_are_told() -> None:
    one = device(last_success_at=NOON - timedelta(days=5), last_failure_at=NOON - timedelta(days=6))
    lines = said(one, [sent(1, Outcome.ACCEPTED, 1, status=201)], {})
    assert [line.split(" what")[0] for line in lines[1:3]] == ["✓ last success", "✗ last failure"]
    assert len(said(device(last_success_at=NOON), [sent(1, Outcome.ACCEPTED, 1, status=201)], {})) == 2


@pytest.mark.parametrize(
    ("outcome", "next_s", "says"),
    [
        (Outcome.ACCEPTED, None, "Nothing: FCM has taken it and hands it to the browser."),
        (Outcome.WAITING, None, "It is sent as soon as it is its turn, until 13:03:44."),
        (Outcome.THROTTLED, 42, "It is tried again at 12:04:26, in 00:42, until 13:03:44."),
        (Outcome.TRANSIENT, -1, "It is sent as soon as it is its turn, until 13:03:44."),
        (Outcome.TRANSIENT, 3600, "It is given up at 13:03:44: it would be tried again too late."),
        (Outcome.HELD, None, "Nothing: its device is held until somebody confirms that it has ended, or releases it."),
        (Outcome.EXPIRED, None, "Nothing: its time to live is over."),
    ],
)
def test_what_happens_next_is_said(outcome: Outcome, next_s: int | None, says: str) -> None:
    following = None if next_s is None else NOON + timedelta(seconds=next_s)
    delivery = sent(1, outcome, 0, next_attempt_at=following)
    assert prospect(delivery, NOON + timedelta(hours=1), NOON) == says


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome.is_settled])
def test_nothing_happens_next_to_what_is_settled(outcome: Outcome) -> None:
    says = prospect(sent(1, outcome, 0), NOON, NOON)
    assert says.startswith("Nothing: ")
    # Its device may have been removed since, or have subscribed again.
    assert not any(word in says for word in ("as before", "any more, until", "others"))


@pytest.mark.parametrize(("seconds", "says"), [(0, "0 d"), (90, "90 s"), (5400, "90 min"), (86400, "1 d")])
def test_a_duration_is_said_in_its_largest_whole_unit(seconds: int, says: str) -> None:
    assert duration(seconds) == says


@pytest.mark.parametrize(
    ("health", "says"),
    [
        (
            ServiceHealth(Service.FCM, state=LaneState.PAUSED),
            "It waits until somebody resumes it, as FCM is paused; at 13:03:44 it is given up.",
        ),
        (
            ServiceHealth(Service.FCM, state=LaneState.BROKEN, until=NOON + timedelta(seconds=90)),
            "It waits until 12:05:14, in 01:30, as FCM is broken; at 13:03:44 it is given up.",
        ),
        (
            ServiceHealth(Service.FCM, state=LaneState.THROTTLED),
            "It waits until that is over, as FCM is throttled; at 13:03:44 it is given up.",
        ),
        (ServiceHealth(Service.FCM), "It is sent as soon as it is its turn, until 13:03:44."),
        (ServiceHealth(Service.OTHER, state=LaneState.PAUSED), "It is sent as soon as it is its turn, until 13:03:44."),
    ],
)
def test_what_is_for_a_push_service_whose_lane_is_shut_waits_for_that(health: ServiceHealth, says: str) -> None:
    waiting = sent(1, Outcome.WAITING, 0)
    assert prospect(waiting, NOON + timedelta(hours=1), NOON, [health]) == says
