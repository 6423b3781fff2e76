"""Any facts have a verdict, which can be sent and shown, whatever strangers wrote into them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from pushdesk.engine.verdict_evidence import MAX_ABOUT, MAX_FACTS, MAX_TEXT
from pushdesk.engine.verdict_surroundings import Surroundings
from pushdesk.engine.verdicts import of_delivery, of_device, of_user
from pushdesk.model import (
    Attempt,
    BrakeOn,
    Delivery,
    Dispatch,
    KeyState,
    Outcome,
    Service,
    ServiceHealth,
    StoppedKey,
    Subscription,
    Verdict,
)
from pushdesk.storage.explaining import DeliveryFacts, Device, Newer, Sent, UserFacts
from pushdesk.storage.explaining_broadcasts import Reach
from pushdesk.storage.sendings import Sending

MAX_SAYS: Final = 640
"""A sentence on all devices, one device, and what is said of it."""

HOSTILE = (
    st.text(max_size=300)
    | st.sampled_from(
        [
            "\x1b[31mred\x1b[0m",
            "\u202eevil",
            "[bold]x[/]",
            "e" + "\u0301" * 10_000,
            "\x00\x9b1m",
            "\ud800",
            "a" * 10_000,
        ]
    )
    | st.builds("".join, st.lists(st.sampled_from("a\u0301\u200d\u202e\U0001f468[/]\x1b]0;\x07 \n"), max_size=400))
)
TIMES = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 (hypothesis adds the zone)
SUBSCRIPTIONS = st.builds(
    Subscription,
    id=st.sampled_from(["s1", "s2", "s3"]),
    user=HOSTILE,
    fingerprint=HOSTILE,
    browser=HOSTILE,
    platform=HOSTILE,
    key_id=HOSTILE,
    created_at=TIMES,
    last_success_at=st.none() | TIMES,
    last_failure_at=st.none() | TIMES,
    failures=st.integers(0),
)
DISPATCHES = st.builds(
    Dispatch, id=HOSTILE, user=HOSTILE, title=HOSTILE, accepted_at=TIMES, counts=st.just({}), deliveries=st.just(())
)
DELIVERIES = st.builds(
    Delivery,
    id=HOSTILE,
    dispatch=HOSTILE,
    user=HOSTILE,
    subscription=st.sampled_from(["s1", "s2", "s3"]),
    at=TIMES,
    status=st.none() | st.integers(),
    reason=HOSTILE,
    attempts=st.integers(0),
    latency_ms=st.none() | st.floats(),
    next_attempt_at=st.none() | TIMES,
    device=HOSTILE,
)
ATTEMPTS = st.builds(
    Attempt, number=st.integers(1), at=TIMES, status=st.none() | st.integers(), reason=HOSTILE, headers=st.just({})
)
SENDINGS = st.builds(Sending, DISPATCHES, TIMES, TIMES, st.integers(0, 2419200), st.none() | st.just("s1"))
NEWER = st.builds(Newer, HOSTILE, DISPATCHES, st.sampled_from(Outcome))
SENT = st.builds(Sent, DELIVERIES, SENDINGS, st.lists(ATTEMPTS, max_size=5).map(tuple), st.none() | NEWER)
SENDING = st.builds(Sending, DISPATCHES, TIMES, TIMES, st.integers(0, 2419200), st.none())
REACHES = st.builds(Reach, SENDING, st.booleans(), st.booleans(), st.none() | TIMES, st.none() | TIMES, st.booleans())
DEVICES = st.builds(
    Device,
    SUBSCRIPTIONS,
    HOSTILE,
    st.none() | st.sampled_from(KeyState),
    st.none() | SENT,
    st.none() | SENT,
    st.booleans(),
    st.none() | TIMES,
    st.none() | REACHES,
)
HEALTH = st.builds(
    ServiceHealth,
    service=st.sampled_from(Service),
    waiting=st.integers(0),
    since=st.none() | TIMES,
    reason=HOSTILE,
    until=st.none() | TIMES,
    stopped=st.lists(st.builds(StoppedKey, HOSTILE, TIMES, HOSTILE, TIMES), max_size=2).map(tuple),
    brake=st.none() | st.builds(BrakeOn, TIMES, HOSTILE, st.integers(0)),
)
AROUND = st.builds(
    Surroundings,
    TIMES,
    sends=st.booleans(),
    services=st.dictionaries(st.sampled_from(Service), HEALTH),
    queued=st.integers(0),
    rate=st.integers(0),
    keeps_disabled_s=st.integers(0, 10**10),
)
USERS = st.builds(
    UserFacts,
    HOSTILE,
    st.booleans(),
    st.lists(DEVICES, max_size=4).map(tuple),
    st.booleans(),
    st.none() | SENDINGS,
    st.none() | SENDINGS,
    st.lists(DELIVERIES, max_size=4).map(tuple),
    st.none() | SENT,
    st.none() | TIMES,
    st.none() | TIMES,
)


def assert_fit(verdict: Verdict, now: datetime) -> None:
    """Have a verdict be one that can be sent and shown."""
    assert 0 < len(verdict.says) <= MAX_SAYS
    assert 0 < len(verdict.advice) <= MAX_TEXT
    assert len(verdict.about) <= MAX_ABOUT
    assert len(verdict.evidence) <= MAX_FACTS
    assert all(0 < len(fact.text) <= MAX_TEXT for fact in verdict.evidence)
    times = [fact.time for fact in verdict.evidence if fact.time is not None]
    past, to_come = [time for time in times if time <= now], [time for time in times if time > now]
    assert times == sorted(past, reverse=True) + sorted(to_come)
    assert {fact.time is None for fact in verdict.evidence[len(times) :]} <= {True}
    for text in (verdict.about, verdict.says, verdict.advice, *(fact.text for fact in verdict.evidence)):
        text.encode()
        assert not any(character in text for character in "\x1b\n\r\u202e")
    for each in verdict.devices:
        assert each.devices == ()
        assert_fit(each, now)


@given(facts=USERS, around=AROUND)
def test_any_facts_of_a_user_have_a_verdict(facts: UserFacts, around: Surroundings) -> None:
    assert_fit(of_user(facts, around), around.now)


@given(on=DEVICES, around=AROUND)
def test_any_facts_of_a_device_have_a_verdict(on: Device, around: Surroundings) -> None:
    assert_fit(of_device(on, around), around.now)


@given(facts=st.builds(DeliveryFacts, SENT, st.none() | DEVICES, st.booleans()), around=AROUND)
def test_any_facts_of_a_delivery_have_a_verdict(facts: DeliveryFacts, around: Surroundings) -> None:
    assert_fit(of_delivery(facts, around), around.now)
