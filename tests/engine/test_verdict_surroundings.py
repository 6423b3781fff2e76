"""What keeps a delivery waiting besides its own last answer, and what an operator can do about it, from facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs

from pushdesk.engine.lane import LEFT_ALONE
from pushdesk.engine.lanes import WAITED
from pushdesk.engine.verdict_surroundings import Surroundings
from pushdesk.engine.verdicts import of_delivery, of_device, of_user
from pushdesk.measures import commands
from pushdesk.model import (
    BrakeOn,
    DispatchKind,
    DispatchState,
    KeyState,
    LaneState,
    Measure,
    Outcome,
    Remedy,
    Service,
    ServiceHealth,
    StoppedKey,
    SubscriptionState,
    VerdictCode,
)
from pushdesk.storage.ending import BEFORE, CANCELLED, LAST
from pushdesk.storage.explaining import DeliveryFacts, Newer
from tests.engine.verdict_facts import (
    ANSWERED_AT,
    HERE,
    LATER,
    NOW,
    SENT_AT,
    delivery,
    device,
    of_a_delivery,
    of_a_user,
    sending,
    sent,
)

if TYPE_CHECKING:
    from pushdesk.model import Verdict

SINCE = NOW - timedelta(minutes=3)
BEFORE_IT = SENT_AT - timedelta(minutes=3)
STOP = StoppedKey("0a1b2c3d", SINCE, "What is signed with key 0a1b2c3d is refused: BadVapidPublicKey", LATER)


def at(**changes: Any) -> Surroundings:
    """Return a server whose way to Mozilla is so."""
    return Surroundings(NOW, services={Service.MOZILLA: ServiceHealth(Service.MOZILLA, **changes)})


def waits(around: Surroundings, outcome: Outcome = Outcome.WAITING, **changes: Any) -> Verdict:
    """Return the verdict on a delivery that is not settled, to a device that is sent to."""
    return of_delivery(of_a_delivery(outcome, device(), **changes), around)


def said(verdict: Verdict) -> dict[str, Any]:
    return {fact.text: fact.time for fact in verdict.evidence}


@pytest.mark.parametrize(
    ("health", "code", "remedy", "measure", "part"),
    [
        ({"state": LaneState.PAUSED}, VerdictCode.WAITING, Remedy.WAIT, Measure.RESUME, "is paused by an operator"),
        ({"state": LaneState.THROTTLED, "until": LATER}, VerdictCode.THROTTLED, Remedy.WAIT, Measure.RESET, "too much"),
        ({"state": LaneState.BROKEN, "until": LATER}, VerdictCode.TRANSIENT, Remedy.WAIT, Measure.RESET, "a fault"),
        (
            {"stopped": (STOP,), "until": LATER},
            VerdictCode.OUR_CONFIGURATION,
            Remedy.SEE_KEYS,
            Measure.RESET,
            "refuses what this server signs with the key",
        ),
    ],
)
def test_what_waits_for_its_push_service_says_so_with_reason_and_times(
    health: dict[str, Any], code: VerdictCode, remedy: Remedy, measure: Measure, part: str
) -> None:
    verdict = waits(at(since=SINCE, reason="It was so.", **health), attempts=0)
    assert (verdict.code, verdict.remedy, verdict.measures) == (code, remedy, (measure,))
    assert part in verdict.says
    assert (verdict.since, verdict.until) == (SINCE, health.get("until"))
    assert SINCE in said(verdict).values()
    (command,) = commands(verdict)
    assert command == f"pushdesk services {measure} mozilla"


def test_what_began_to_wait_after_its_push_service_was_paused_waits_since_then() -> None:
    assert waits(at(state=LaneState.PAUSED, since=BEFORE_IT), attempts=0).since == SENT_AT


def test_a_pause_is_told_before_all_else_and_a_key_before_what_ends_by_itself() -> None:
    paused = at(state=LaneState.PAUSED, since=SINCE, stopped=(STOP,))
    assert waits(paused, Outcome.THROTTLED, next_attempt_at=LATER).measures == (Measure.RESUME,)
    stopped = at(state=LaneState.BROKEN, since=SINCE, reason="It was so.", until=LATER, stopped=(STOP,))
    verdict = waits(stopped)
    assert verdict.code is VerdictCode.OUR_CONFIGURATION
    assert "reset the push service" in verdict.advice
    assert said(verdict)["Mozilla's push service is broken: It was so."] == SINCE
    # Another key is another matter.
    assert waits(at(stopped=(structs.replace(STOP, key="ffffffff"),))).code is VerdictCode.WAITING


def test_what_its_own_answer_puts_off_for_longer_is_told_by_that() -> None:
    throttled = at(state=LaneState.THROTTLED, since=SINCE, until=NOW + timedelta(minutes=1))
    verdict = waits(throttled, Outcome.TRANSIENT, status=503, next_attempt_at=LATER)
    assert (verdict.code, verdict.until, verdict.measures) == (VerdictCode.TRANSIENT, LATER, ())
    assert waits(throttled, Outcome.TRANSIENT, next_attempt_at=NOW).code is VerdictCode.THROTTLED


@pytest.mark.parametrize("outcome", [Outcome.WAITING, Outcome.TRANSIENT])
def test_a_device_that_another_push_was_throttled_to_is_left_alone(outcome: Outcome) -> None:
    verdict = waits(at(), outcome, reason=LEFT_ALONE, next_attempt_at=LATER)
    assert (verdict.code, verdict.until) == (VerdictCode.THROTTLED, LATER)
    assert "after another push to it" in verdict.says


def test_what_has_others_before_it_says_how_many() -> None:
    verdict = waits(at(waiting=1200), attempts=0)
    assert (verdict.code, verdict.measures) == (VerdictCode.WAITING, ())
    assert "1200 deliveries wait for Mozilla's push service." in verdict.says
    slow = waits(replace(at(waiting=1200), rate=50), attempts=0)
    assert "1200 deliveries wait for Mozilla's push service, of which 50 a second may start." in slow.says
    assert "in line" not in waits(at(waiting=1), attempts=0).says
    queued = of_user(of_a_user(device(), latest=sending(DispatchState.QUEUED)), replace(HERE, queued=70))
    assert "70 wait to be made into a delivery for each device." in said(queued)


def test_what_is_settled_or_to_nobody_is_not_told_by_the_lane() -> None:
    paused = at(state=LaneState.PAUSED, since=SINCE, reason="An operator paused it.")
    accepted = of_delivery(of_a_delivery(Outcome.ACCEPTED, device(), status=201), paused)
    assert (accepted.code, accepted.measures) == (VerdictCode.ACCEPTED, ())
    assert not any("paused" in text for text in said(accepted))
    removed = of_delivery(of_a_delivery(Outcome.WAITING, None), paused)
    assert removed.remedy is Remedy.INVITE
    # What is sent to it next would wait.
    assert "Mozilla's push service is paused: An operator paused it." in said(of_device(device(), paused))


@pytest.mark.parametrize(
    ("last", "part"),
    [
        (WAITED[LaneState.PAUSED], "while its push service was paused by an operator"),
        (WAITED[LaneState.THROTTLED].format("3 were told. Last: slow down"), "had asked this server to wait"),
        (WAITED[LaneState.BROKEN].format("10 of 20 failed."), "while Mozilla's push service had a fault"),
        (LEFT_ALONE, "asked to leave this device alone"),
        (STOP.reason, "refused the key that this server signs with"),
        (WAITED[LaneState.PAUSED] + BEFORE + "Answered 503.", "while its push service was paused"),
        ("Answered 503.", "before a push service took it"),
    ],
)
def test_what_expired_says_what_it_waited_for_last(last: str, part: str) -> None:
    verdict = of_delivery(of_a_delivery(Outcome.EXPIRED, device(), reason=f"It was over.{LAST}{last}"), HERE)
    assert (verdict.code, verdict.remedy, verdict.since) == (VerdictCode.EXPIRED, Remedy.SEND_AGAIN, ANSWERED_AT)
    assert part in verdict.says


def test_what_is_superseded_says_by_what() -> None:
    newer = Newer("mail", structs.replace(sending().dispatch, id="d2", title="Two mails"), Outcome.ACCEPTED)
    facts = of_a_delivery(Outcome.SUPERSEDED, device())
    verdict = of_delivery(replace(facts, sent=replace(facts.sent, newer=newer)), HERE)
    assert (verdict.code, verdict.remedy) == (VerdictCode.SUPERSEDED, Remedy.NONE)
    assert said(verdict)["The notification “Two mails” (d2) took its place, of the topic “mail”; that is accepted."]
    # So it is for a user, of whom more is known by the device.
    on = device(latest=replace(facts.sent, newer=newer))
    user = of_user(of_a_user(on, latest=sending(), deliveries=(facts.sent.delivery,)), HERE)
    assert any("took its place" in text for text in said(user))


def test_what_is_held_is_for_an_operator_to_decide_while_the_brake_is_on() -> None:
    on = at(brake=BrakeOn(SINCE, "60 of 100 ended within 10 minutes.", 60))
    held = device(state=SubscriptionState.HELD, last_failure_at=NOW)
    for verdict in (of_device(held, on), of_delivery(of_a_delivery(Outcome.HELD, held), on)):
        assert (verdict.code, verdict.remedy) == (VerdictCode.HELD, Remedy.SEE_KEYS)
        assert commands(verdict) == ["pushdesk services release mozilla", "pushdesk services confirm mozilla"]
        assert said(verdict)["The brake is on: 60 of 100 ended within 10 minutes."] == SINCE
    assert of_device(held, at()).measures == ()


@pytest.mark.parametrize("state", [SubscriptionState.GONE, SubscriptionState.KEY_MISMATCH])
def test_what_is_disabled_can_be_restored_until_it_is_removed(state: SubscriptionState) -> None:
    kept = replace(HERE, keeps_disabled_s=86_400)
    ended = replace(device(state=state), disabled_at=SENT_AT)
    verdict = of_device(ended, kept)
    assert verdict.remedy is Remedy.INVITE
    assert commands(verdict) == ["pushdesk subscriptions restore s1"]
    assert said(verdict)["The subscription can be restored until it is removed."] == SENT_AT + timedelta(days=1)
    assert of_delivery(of_a_delivery(Outcome.GONE, ended), kept).measures == (Measure.RESTORE,)
    assert "The subscription can be restored for as long as it is kept." in said(of_device(ended, HERE))
    # It is about to be removed, or its key has ended.
    assert of_device(replace(ended, disabled_at=NOW - timedelta(days=2)), kept).measures == ()
    for key in (KeyState.RETIRED, KeyState.REVOKED, None):
        assert of_device(replace(ended, key=key), kept).measures == ()


def test_what_is_scheduled_can_be_cancelled() -> None:
    verdict = of_user(of_a_user(device(), latest=sending(DispatchState.SCHEDULED, due_at=LATER)), HERE)
    assert (verdict.code, verdict.until) == (VerdictCode.SCHEDULED, LATER)
    assert commands(verdict) == ["pushdesk cancel d1"]
    turn = sending(DispatchState.SCHEDULED, due_at=LATER, kind=DispatchKind.TURN)
    assert of_user(of_a_user(device(), latest=turn), HERE).measures == (Measure.CANCEL,)


def test_what_somebody_cancelled_is_told_from_what_went_with_its_device() -> None:
    by_somebody = of_delivery(of_a_delivery(Outcome.CANCELLED, device(), reason=CANCELLED), HERE)
    assert by_somebody.says == "Somebody cancelled it before it was sent."
    told = of_delivery(of_a_delivery(Outcome.CANCELLED, None, reason="The subscription was removed."), HERE)
    assert told.says == "It was taken back before it was sent."


def test_of_several_devices_a_pause_is_told_before_what_ends_by_itself() -> None:
    deliveries = (
        delivery(Outcome.TRANSIENT, "v1", subscription="s1", service=Service.FCM, status=503, next_attempt_at=LATER),
        delivery(Outcome.WAITING, "v2", subscription="s2", attempts=0),
    )
    devices = (device("s1", service=Service.FCM), device("s2"))
    paused = at(state=LaneState.PAUSED, since=SINCE, reason="An operator paused it.")
    verdict = of_user(of_a_user(*devices, latest=sending(), deliveries=deliveries), paused)
    assert (verdict.delivery, verdict.measures) == ("v2", (Measure.RESUME,))
    assert said(verdict)["Mozilla's push service is paused: An operator paused it."] == SINCE


def test_where_nothing_is_sent_no_lane_is_the_matter() -> None:
    off = replace(at(state=LaneState.PAUSED, since=SINCE), sends=False)
    verdict = of_delivery(DeliveryFacts(sent(Outcome.WAITING), device(), True), off)
    assert (verdict.code, verdict.measures) == (VerdictCode.PUSH_DISABLED, ())
