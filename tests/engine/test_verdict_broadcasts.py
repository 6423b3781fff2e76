"""What is known of a broadcast and a device, whether it has a delivery for it or not, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs

from pushdesk.engine.verdicts import of_delivery, of_device, of_user
from pushdesk.measures import commands
from pushdesk.model import (
    DispatchKind,
    DispatchState,
    LaneState,
    Measure,
    Outcome,
    Remedy,
    Service,
    ServiceHealth,
    SubscriptionState,
    VerdictCode,
)
from pushdesk.storage.explaining import DeliveryFacts, Device, Sent
from pushdesk.storage.explaining_broadcasts import Reach
from tests.engine.verdict_facts import (
    ANSWERED_AT,
    HERE,
    LATER,
    NOW,
    SENT_AT,
    delivery,
    device,
    of_a_user,
    sending,
    sent,
)

ENDED = NOW - timedelta(minutes=2)
PAUSED = NOW - timedelta(minutes=4)
BROADCAST = sending(DispatchState.SENDING, kind=DispatchKind.BROADCAST, id="b1", title="To all", user=None)
ENDED_BROADCAST = replace(BROADCAST, dispatch=structs.replace(BROADCAST.dispatch, state=DispatchState.DONE))
ABORTED = replace(BROADCAST, dispatch=structs.replace(BROADCAST.dispatch, state=DispatchState.CANCELLED))


def reach(sending_: Any = BROADCAST, *, is_for: bool = True, is_settled: bool = False, **changes: Any) -> Reach:
    return Reach(sending_, is_for, is_settled, **changes)


def on(how: Reach, **changes: Any) -> Device:
    """Return a device to which the newest broadcast stands like this."""
    return replace(device(**changes), reach=how)


@pytest.mark.parametrize(
    ("how", "code", "remedy", "since", "part"),
    [
        (reach(), VerdictCode.WAITING, Remedy.WAIT, SENT_AT, "has not got to this device yet"),
        (reach(paused_at=PAUSED), VerdictCode.WAITING, Remedy.WAIT, PAUSED, "that somebody has paused"),
        (reach(is_settled=True), VerdictCode.ACCEPTED, Remedy.TEST, SENT_AT, "not noted for each device"),
        (
            reach(ENDED_BROADCAST, is_settled=True, reached_at=ENDED),
            VerdictCode.ACCEPTED,
            Remedy.TEST,
            SENT_AT,
            "has got to this device",
        ),
        (reach(ABORTED, reached_at=ENDED), VerdictCode.CANCELLED, Remedy.SEND_AGAIN, ENDED, "was aborted before"),
        (
            reach(ENDED_BROADCAST, reached_at=ENDED, is_cut_short=True),
            VerdictCode.EXPIRED,
            Remedy.SEND_AGAIN,
            ENDED,
            "was over before it got to this device",
        ),
        (
            reach(ENDED_BROADCAST, reached_at=ENDED),
            VerdictCode.NOTHING_SENT,
            Remedy.TEST,
            SENT_AT,
            "passed this device over",
        ),
        (reach(is_for=False), VerdictCode.NOTHING_SENT, Remedy.TEST, None, "before this device subscribed"),
    ],
)
def test_what_became_of_a_broadcast_that_has_no_delivery_for_a_device(
    how: Reach, code: VerdictCode, remedy: Remedy, since: Any, part: str
) -> None:
    one = on(how)
    for verdict in (of_device(one, HERE), of_user(of_a_user(one), HERE)):
        assert (verdict.code, verdict.remedy, verdict.delivery) == (code, remedy, None)
        assert verdict.since == (one.subscription.created_at if since is None else since)
        assert part in verdict.says
        assert verdict.dispatch == "b1"
        assert any(fact.text == "The broadcast “To all” was accepted here." for fact in verdict.evidence)
    assert commands(of_device(one, HERE)) == (["pushdesk broadcasts resume b1"] if how.paused_at else [])


def test_what_was_taken_of_a_broadcast_is_told_as_likely_and_what_is_noted_of_it_as_such() -> None:
    verdict = of_device(on(reach(is_settled=True), last_success_at=SENT_AT - timedelta(minutes=5)), HERE)
    texts = {fact.text for fact in verdict.evidence}
    assert {
        "Last success (noted at most once an hour).",
        "A success since then would be noted at most once an hour.",
    } <= texts


def test_a_broadcast_s_delivery_tells_of_its_device_and_a_pause_of_it_comes_first() -> None:
    waiting = Sent(delivery(Outcome.TRANSIENT, dispatch="b1", status=503, next_attempt_at=LATER), BROADCAST)
    verdict = of_device(on(reach(is_settled=True), latest=waiting), HERE)
    assert (verdict.code, verdict.delivery) == (VerdictCode.TRANSIENT, "v1")
    health = ServiceHealth(Service.MOZILLA, state=LaneState.PAUSED, since=PAUSED)
    paused = on(reach(is_settled=True, paused_at=PAUSED), latest=waiting)
    for around in (HERE, replace(HERE, services={Service.MOZILLA: health})):
        for verdict in (of_device(paused, around), of_delivery(DeliveryFacts(waiting, paused, True), around)):
            assert (verdict.code, verdict.measures, verdict.until) == (VerdictCode.WAITING, (Measure.RESUME,), None)
            assert commands(verdict) == ["pushdesk broadcasts resume b1"]
    # Of what is not of it, it says nothing.
    other = replace(paused, latest=sent(Outcome.TRANSIENT, status=503, next_attempt_at=LATER))
    later = replace(other, latest=replace(other.latest, sending=sending(due_at=SENT_AT + timedelta(minutes=1))))  # type: ignore[type-var]  # there is one
    assert (of_device(later, HERE).code, of_device(later, HERE).measures) == (VerdictCode.TRANSIENT, ())


def test_a_broadcast_that_its_push_service_keeps_from_a_device_is_told_by_that() -> None:
    health = ServiceHealth(Service.MOZILLA, state=LaneState.PAUSED, since=PAUSED)
    verdict = of_device(on(reach()), replace(HERE, services={Service.MOZILLA: health}))
    assert (verdict.code, verdict.since) == (VerdictCode.WAITING, PAUSED)
    assert commands(verdict) == ["pushdesk services resume mozilla"]
    broken = structs.replace(health, state=LaneState.BROKEN, until=LATER)
    verdict = of_device(on(reach()), replace(HERE, services={Service.MOZILLA: broken}))
    assert (verdict.code, verdict.until) == (VerdictCode.TRANSIENT, LATER)
    busy = ServiceHealth(Service.MOZILLA, waiting=10)
    assert "has not got to" in of_device(on(reach()), replace(HERE, services={Service.MOZILLA: busy})).says


def test_of_a_user_what_was_sent_last_is_told_be_it_a_broadcast_or_not() -> None:
    reached, missed = on(reach(is_settled=True)), on(reach(is_for=False), id_="s2")
    before = sending(due_at=SENT_AT - timedelta(minutes=1))
    refused = (delivery(Outcome.REFUSED, status=400),)
    verdict = of_user(of_a_user(reached, missed, latest=before, deliveries=refused), HERE)
    assert (verdict.code, verdict.subscription) == (VerdictCode.NOTHING_SENT, "s2")
    assert verdict.says.startswith("Of the last broadcast, 1 of 2 devices got it, as far as is known. ")
    since = sending(due_at=SENT_AT + timedelta(minutes=1))
    assert of_user(of_a_user(reached, missed, latest=since, deliveries=refused), HERE).code is VerdictCode.REFUSED
    # What is for later, or for one of them alone, hides it not.
    for other in (sending(DispatchState.SCHEDULED, due_at=LATER), replace(since, subscription="s1")):
        assert of_user(of_a_user(reached, missed, latest=other), HERE).code is VerdictCode.NOTHING_SENT


def test_whoever_subscribed_after_a_broadcast_is_told_that_it_passed_them_by() -> None:
    tested = Sent(delivery(Outcome.ACCEPTED, status=201), sending(due_at=SENT_AT + timedelta(minutes=1)))
    later = on(reach(is_for=False), latest=tested, created_at=SENT_AT + timedelta(minutes=1))
    text = "The broadcast “To all” was accepted before that: it is not for this device."
    for verdict in (of_device(later, HERE), of_user(of_a_user(later), HERE)):
        assert verdict.code is VerdictCode.ACCEPTED
        assert {fact.text: fact.time for fact in verdict.evidence}[text] == SENT_AT
    # One that was over by then is nothing that they missed.
    long_after = on(reach(is_for=False), created_at=SENT_AT + timedelta(days=2))
    assert text not in {fact.text for fact in of_device(long_after, HERE).evidence}


def test_a_device_that_has_ended_is_told_by_that() -> None:
    gone = on(reach(is_settled=True), state=SubscriptionState.GONE, last_failure_at=ANSWERED_AT)
    assert of_device(gone, HERE).code is VerdictCode.GONE
    assert of_user(of_a_user(gone), HERE).code is VerdictCode.GONE
