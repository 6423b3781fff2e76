"""Every verdict and the action that helps, from facts alone."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pushdesk.engine.recipients import cancelled, put_off
from pushdesk.engine.user_agent import BROWSERS, PLATFORMS
from pushdesk.engine.verdicts import WORST_FIRST, of_delivery, of_device, of_user
from pushdesk.model import (
    Attempt,
    DispatchKind,
    DispatchState,
    KeyState,
    Outcome,
    Remedy,
    Service,
    SubscriptionState,
    Verdict,
    VerdictCode,
)
from pushdesk.storage.explaining import DeliveryFacts, Device, Sent, UserFacts
from pushdesk.storage.records import KEY_NOT_USED
from pushdesk.storage.times import to_milliseconds
from tests.engine.verdict_facts import (
    ANSWERED_AT,
    HERE,
    LATER,
    NOW,
    OFF,
    SENT_AT,
    delivery,
    device,
    of_a_delivery,
    of_a_user,
    sending,
    sent,
)
from tests.programs import CHECKOUT
from tests.unit.push_answers import ANSWERS

if TYPE_CHECKING:
    from tests.unit.push_answers import PushServiceAnswer

GONE, MISMATCH, HELD = SubscriptionState.GONE, SubscriptionState.KEY_MISMATCH, SubscriptionState.HELD
RETIRED, REVOKED = KeyState.RETIRED, KeyState.REVOKED


def of_sent(outcome: Outcome, to: Device | None = None, **changes: Any) -> Verdict:
    """Return the verdict on a delivery, to a device that is sent to unless one is given."""
    return of_delivery(of_a_delivery(outcome, to or device(), **changes), HERE)


@pytest.mark.parametrize(
    ("outcome", "changes", "code", "remedy"),
    [
        (Outcome.WAITING, {"attempts": 0}, VerdictCode.WAITING, Remedy.WAIT),
        (Outcome.ACCEPTED, {"status": 201}, VerdictCode.ACCEPTED, Remedy.TEST),
        (Outcome.OUR_CONFIGURATION, {"status": 401}, VerdictCode.OUR_CONFIGURATION, Remedy.CONFIGURE),
        (Outcome.REFUSED, {"status": 413, "reason": "no"}, VerdictCode.REFUSED, Remedy.SEND_AGAIN),
        (Outcome.REFUSED, {"status": 302}, VerdictCode.REFUSED, Remedy.CONFIGURE),
        (Outcome.REFUSED, {"status": 403}, VerdictCode.REFUSED, Remedy.CONFIGURE),
        (Outcome.REFUSED, {"status": 400}, VerdictCode.REFUSED, Remedy.TEST),
        (Outcome.REFUSED, {"reason": "The endpoint is not https."}, VerdictCode.REFUSED, Remedy.CONFIGURE),
        (Outcome.THROTTLED, {"status": 429}, VerdictCode.THROTTLED, Remedy.WAIT),
        (Outcome.TRANSIENT, {"status": 503}, VerdictCode.TRANSIENT, Remedy.WAIT),
        (Outcome.EXPIRED, {"status": 503}, VerdictCode.EXPIRED, Remedy.SEND_AGAIN),
        (Outcome.SUPERSEDED, {}, VerdictCode.SUPERSEDED, Remedy.NONE),
        (Outcome.HELD, {"to": device(state=HELD)}, VerdictCode.HELD, Remedy.SEE_KEYS),
        # Released, and confirmed, since.
        (Outcome.HELD, {}, VerdictCode.HELD, Remedy.SEND_AGAIN),
        (Outcome.HELD, {"to": device(state=GONE)}, VerdictCode.HELD, Remedy.INVITE),
        (Outcome.CANCELLED, {}, VerdictCode.CANCELLED, Remedy.SEND_AGAIN),
        (Outcome.CANCELLED, {"to": device(state=GONE), "has_live": False}, VerdictCode.CANCELLED, Remedy.INVITE),
        (Outcome.GONE, {"to": device(state=GONE), "status": 410}, VerdictCode.GONE, Remedy.INVITE),
        (Outcome.KEY_MISMATCH, {"to": device(state=MISMATCH), "status": 401}, VerdictCode.KEY_MISMATCH, Remedy.INVITE),
        (Outcome.KEY_MISMATCH, {"to": device(key=None), "status": None}, VerdictCode.KEY_MISMATCH, Remedy.SEE_KEYS),
        (Outcome.KEY_MISMATCH, {"to": device(key=RETIRED)}, VerdictCode.KEY_ENDED, Remedy.SEE_KEYS),
        (Outcome.KEY_MISMATCH, {"to": device(key=REVOKED)}, VerdictCode.KEY_ENDED, Remedy.INVITE),
        # Subscribed again since, by the same subscription.
        (Outcome.GONE, {"status": 410}, VerdictCode.GONE, Remedy.SEND_AGAIN),
        (Outcome.KEY_MISMATCH, {"status": 401}, VerdictCode.KEY_MISMATCH, Remedy.SEND_AGAIN),
        # Not sent to any more, which is what is to be mended, unless it is more than the device's fault.
        (Outcome.REFUSED, {"to": device(state=GONE), "status": 413}, VerdictCode.REFUSED, Remedy.INVITE),
        (Outcome.REFUSED, {"to": device(key=RETIRED), "status": 400}, VerdictCode.REFUSED, Remedy.SEE_KEYS),
        (Outcome.EXPIRED, {"to": device(state=MISMATCH)}, VerdictCode.EXPIRED, Remedy.INVITE),
        (Outcome.THROTTLED, {"to": device(state=GONE), "status": 429}, VerdictCode.THROTTLED, Remedy.INVITE),
        (Outcome.OUR_CONFIGURATION, {"to": device(state=GONE)}, VerdictCode.OUR_CONFIGURATION, Remedy.CONFIGURE),
        # Taken then, and there is nobody any more.
        (Outcome.ACCEPTED, {"to": device(state=GONE), "has_live": False}, VerdictCode.ACCEPTED, Remedy.INVITE),
    ],
)
def test_what_became_of_a_delivery(
    outcome: Outcome, changes: dict[str, Any], code: VerdictCode, remedy: Remedy
) -> None:
    verdict = of_sent(outcome, **changes)
    assert (verdict.code, verdict.remedy) == (code, remedy)
    assert (verdict.user, verdict.subscription, verdict.delivery) == ("ada", "s1", "v1")
    assert verdict.about == "Firefox · Linux"


def test_every_outcome_has_its_verdict() -> None:
    for outcome in Outcome:
        assert of_sent(outcome, device(state=GONE), status=400).code == outcome.value
    assert {VerdictCode(outcome) for outcome in Outcome} <= set(WORST_FIRST)


def test_the_document_lists_the_verdicts_the_worst_first() -> None:
    heading, *rows = re.findall(r"^\| `(\w+)` \|", (CHECKOUT / "docs" / "why.md").read_text("utf-8"), re.MULTILINE)
    assert heading == "code"
    assert set(rows) == set(VerdictCode)
    assert [row for row in rows if row in WORST_FIRST] == list(WORST_FIRST)


def test_without_its_device_a_delivery_whose_key_had_ended_is_told_so() -> None:
    facts = of_a_delivery(Outcome.KEY_MISMATCH, reason=KEY_NOT_USED)
    assert of_delivery(facts, HERE).code is VerdictCode.KEY_ENDED
    facts = of_a_delivery(Outcome.KEY_MISMATCH, reason="The subscription was found to belong to another key.")
    assert of_delivery(facts, HERE).code is VerdictCode.KEY_MISMATCH


def test_of_what_was_accepted_what_is_still_to_come_is_not_told_first() -> None:
    verdict = of_delivery(of_a_delivery(Outcome.ACCEPTED, status=201), HERE)
    times = [fact.time for fact in verdict.evidence if fact.time is not None]
    assert times[0] <= NOW < times[-1]


def test_what_is_tried_again_says_since_when_and_when_and_what_was_tried() -> None:
    again = Attempt(1, SENT_AT, Outcome.TRANSIENT, reason="The push service did not answer in time.")
    last = Attempt(2, ANSWERED_AT, Outcome.THROTTLED, 429, "Too many.")
    tried = delivery(Outcome.THROTTLED, status=429, reason="Too many.", attempts=2, next_attempt_at=LATER)
    verdict = of_delivery(DeliveryFacts(Sent(tried, sending(), (last, again)), device(), True), HERE)
    assert (verdict.since, verdict.until) == (SENT_AT, LATER)
    said = [(fact.text, fact.time) for fact in verdict.evidence]
    assert ("Answered 429: Too many.", ANSWERED_AT) in said
    assert ("Attempt 1: The push service did not answer in time.", SENT_AT) in said
    assert ("It was tried 2 times.", None) in said
    assert not any(text.startswith("Attempt 2") for text, _ in said)


@pytest.mark.parametrize(
    "outcome", [Outcome.WAITING, Outcome.ACCEPTED, Outcome.REFUSED, Outcome.THROTTLED, Outcome.EXPIRED]
)
@pytest.mark.parametrize("has_live", [False, True])
def test_to_a_device_that_was_removed_nothing_is_sent_again(outcome: Outcome, *, has_live: bool) -> None:
    removed = of_a_delivery(outcome, None, has_live=has_live, status=400, next_attempt_at=LATER)
    verdict = of_delivery(removed, HERE)
    assert (verdict.code, verdict.remedy, verdict.until) == (outcome.value, Remedy.INVITE, None)
    assert "by itself" not in verdict.advice
    assert ("no other" in verdict.advice) != has_live


def test_what_is_due_by_now_has_no_end_ahead() -> None:
    assert of_sent(Outcome.TRANSIENT, next_attempt_at=NOW - timedelta(seconds=1)).until is None
    assert of_sent(Outcome.WAITING, next_attempt_at=LATER).until is None


def test_a_delivery_that_waits_where_push_is_off_is_told_so_and_a_settled_one_is_not() -> None:
    for outcome in Outcome:
        verdict = of_delivery(of_a_delivery(outcome, device(state=GONE)), OFF)
        assert (verdict.code is VerdictCode.PUSH_DISABLED) == (not outcome.is_settled)


@pytest.mark.parametrize(
    ("on", "code", "remedy"),
    [
        (device(), VerdictCode.NOTHING_SENT, Remedy.TEST),
        (device(last_success_at=SENT_AT), VerdictCode.NOTHING_SENT, Remedy.TEST),
        (device(latest=sent(Outcome.ACCEPTED)), VerdictCode.ACCEPTED, Remedy.TEST),
        (device(latest=sent(Outcome.THROTTLED)), VerdictCode.THROTTLED, Remedy.WAIT),
        (device(state=GONE), VerdictCode.GONE, Remedy.INVITE),
        (device(state=GONE, key=RETIRED), VerdictCode.GONE, Remedy.INVITE),
        (device(state=MISMATCH), VerdictCode.KEY_MISMATCH, Remedy.INVITE),
        (device(key=None), VerdictCode.KEY_MISMATCH, Remedy.SEE_KEYS),
        (device(key=RETIRED), VerdictCode.KEY_ENDED, Remedy.SEE_KEYS),
        (device(state=MISMATCH, key=RETIRED), VerdictCode.KEY_ENDED, Remedy.SEE_KEYS),
        (device(key=REVOKED), VerdictCode.KEY_ENDED, Remedy.INVITE),
        (device(state=HELD), VerdictCode.HELD, Remedy.SEE_KEYS),
        # Gone once, and subscribed again.
        (device(latest=sent(Outcome.GONE)), VerdictCode.NOTHING_SENT, Remedy.TEST),
        (device(key=KeyState.RETIRING, latest=sent(Outcome.KEY_MISMATCH)), VerdictCode.NOTHING_SENT, Remedy.TEST),
    ],
)
def test_what_keeps_a_device_from_getting_anything(on: Device, code: VerdictCode, remedy: Remedy) -> None:
    verdict = of_device(on, HERE)
    assert (verdict.code, verdict.remedy) == (code, remedy)
    assert (verdict.about, verdict.user, verdict.subscription) == ("Firefox · Linux", "ada", "s1")
    off = of_device(on, OFF)
    assert (off.code, off.remedy) == (VerdictCode.PUSH_DISABLED, Remedy.CONFIGURE)


def test_a_device_that_is_gone_says_since_when_and_on_which_answer() -> None:
    ending = sent(Outcome.GONE, status=410, reason="errno 106: No such subscription")
    found_so = sent(Outcome.GONE, id_="v2", at=NOW, reason="The subscription was found to be gone.")
    gone = device(state=GONE, latest=found_so, ending=ending, last_failure_at=NOW)
    verdict = of_device(gone, HERE)
    assert (verdict.since, verdict.delivery) == (ANSWERED_AT, "v1")
    assert "Answered 410: errno 106: No such subscription" in {fact.text for fact in verdict.evidence}
    # What ended it once is not what it is held for.
    held = device(state=HELD, ending=ending, last_failure_at=NOW)
    assert of_device(held, HERE).since == NOW
    # Where no answer of then is kept, its last failure is when it ended.
    assert of_device(device(state=GONE, last_failure_at=NOW), HERE).since == NOW


@pytest.mark.parametrize(
    ("facts", "code", "remedy"),
    [
        (of_a_user(is_known=False), VerdictCode.UNKNOWN_USER, Remedy.INVITE),
        (of_a_user(), VerdictCode.NO_SUBSCRIPTION, Remedy.INVITE),
        (of_a_user(lost=sent(Outcome.ACCEPTED)), VerdictCode.NO_SUBSCRIPTION, Remedy.INVITE),
        (of_a_user(device()), VerdictCode.NOTHING_SENT, Remedy.TEST),
        (of_a_user(device(state=GONE), latest=sending()), VerdictCode.GONE, Remedy.INVITE),
        (of_a_user(device(key=RETIRED), latest=sending()), VerdictCode.KEY_ENDED, Remedy.SEE_KEYS),
        (of_a_user(device(), latest=sending(DispatchState.QUEUED)), VerdictCode.WAITING, Remedy.WAIT),
        (of_a_user(device(), latest=sending(DispatchState.SENDING)), VerdictCode.WAITING, Remedy.WAIT),
        (of_a_user(device(), latest=sending(DispatchState.CANCELLED)), VerdictCode.CANCELLED, Remedy.SEND_AGAIN),
        (of_a_user(device(), latest=sending()), VerdictCode.NO_SUBSCRIPTION, Remedy.SEND_AGAIN),
        (
            of_a_user(device(), latest=sending(DispatchState.SCHEDULED, due_at=LATER)),
            VerdictCode.SCHEDULED,
            Remedy.WAIT,
        ),
        # Due by now: the next look at the queue takes it.
        (of_a_user(device(), latest=sending(DispatchState.SCHEDULED)), VerdictCode.WAITING, Remedy.WAIT),
        (
            of_a_user(device(), latest=sending(), deliveries=(delivery(Outcome.EXPIRED),)),
            VerdictCode.EXPIRED,
            Remedy.SEND_AGAIN,
        ),
    ],
)
def test_why_a_user_did_not_get_it(facts: UserFacts, code: VerdictCode, remedy: Remedy) -> None:
    verdict = of_user(facts, HERE)
    assert (verdict.code, verdict.remedy) == (code, remedy)
    assert (verdict.about, verdict.user) == ("ada", "ada")
    assert len(verdict.devices) == len(facts.devices)
    off = of_user(facts, OFF)
    assert (off.code, off.remedy) == (VerdictCode.PUSH_DISABLED, Remedy.CONFIGURE)


def test_every_code_is_told_by_something() -> None:
    told = {
        *(of_sent(outcome, device(state=GONE)).code for outcome in Outcome),
        of_device(device(key=RETIRED), HERE).code,
        of_user(of_a_user(is_known=False), HERE).code,
        of_user(of_a_user(), HERE).code,
        of_user(of_a_user(device()), HERE).code,
        of_user(of_a_user(device()), OFF).code,
        of_user(of_a_user(device(), latest=sending(DispatchState.SCHEDULED, due_at=LATER)), HERE).code,
    }
    assert told == set(VerdictCode)


def test_what_is_scheduled_says_for_when() -> None:
    verdict = of_user(of_a_user(device(), latest=sending(DispatchState.SCHEDULED, due_at=LATER)), HERE)
    assert (verdict.since, verdict.until) == (SENT_AT, LATER)
    turn = sending(DispatchState.SCHEDULED, due_at=LATER, kind=DispatchKind.TURN)
    assert "summary" in of_user(of_a_user(device(), latest=turn), HERE).says


def on_three(*outcomes: Outcome) -> UserFacts:
    """Return what is known of a user with a device for each outcome of what was sent to them last."""
    deliveries = tuple(
        delivery(outcome, f"v{number}", subscription=f"s{number}", device=f"Firefox · Linux {number}", status=400)
        for number, outcome in enumerate(outcomes)
    )
    devices = [device(f"s{number}") for number in range(len(outcomes))]
    return of_a_user(*devices, latest=sending(), deliveries=deliveries)


def test_of_several_devices_the_worst_is_told_and_how_many_got_it() -> None:
    verdict = of_user(on_three(Outcome.ACCEPTED, Outcome.THROTTLED, Outcome.ACCEPTED), HERE)
    assert (verdict.code, verdict.remedy, verdict.delivery) == (VerdictCode.THROTTLED, Remedy.WAIT, "v1")
    assert verdict.says.startswith("It was taken for 2 of 3 devices. Firefox · Linux 1: Mozilla's push service asks")
    assert {f"Firefox · Linux {number}: Answered 400." for number in range(3)} <= {one.text for one in verdict.evidence}

    verdict = of_user(on_three(Outcome.REFUSED, Outcome.EXPIRED, Outcome.OUR_CONFIGURATION), HERE)
    assert (verdict.code, verdict.delivery) == (VerdictCode.OUR_CONFIGURATION, "v2")
    assert verdict.says.startswith("It was taken for 0 of 3 devices.")

    verdict = of_user(on_three(Outcome.ACCEPTED, Outcome.ACCEPTED), HERE)
    assert verdict.code is VerdictCode.ACCEPTED
    assert verdict.says.startswith("It was taken for all 2 devices.")


def test_what_was_sent_to_one_device_alone_counts_for_that_device() -> None:
    facts = on_three(Outcome.REFUSED, Outcome.EXPIRED)
    first, second = facts.devices
    alone = sending(subscription="s0")
    after = Sent(delivery(Outcome.ACCEPTED, "v9", subscription="s0", device="Firefox · Linux 0"), alone)
    again = replace(facts, devices=(replace(first, latest=after), second))
    verdict = of_user(again, HERE)
    assert (verdict.code, verdict.delivery) == (VerdictCode.EXPIRED, "v1")
    assert verdict.says.startswith("It was taken for 1 of 2 devices.")
    # What was sent to it alone before, and what was sent to all, is what the sum was of.
    for other in (replace(after, sending=sending()), replace(after, delivery=delivery(Outcome.ACCEPTED, "v"))):
        told = of_user(replace(facts, devices=(replace(first, latest=other), second)), HERE)
        assert told.code is VerdictCode.REFUSED


def test_what_is_scheduled_besides_is_evidence() -> None:
    later = sending(DispatchState.SCHEDULED, due_at=LATER, title="Later")
    refused = of_a_user(device(), latest=sending(), upcoming=later, deliveries=(delivery(Outcome.REFUSED),))
    verdict = of_user(refused, HERE)
    assert verdict.code is VerdictCode.REFUSED
    assert {fact.text: fact.time for fact in verdict.evidence}["The notification “Later” is scheduled."] == LATER


def test_what_was_for_one_device_that_was_removed_says_nothing_of_the_others() -> None:
    verdict = of_user(of_a_user(device(), latest=sending(subscription="s9")), HERE)
    assert (verdict.code, verdict.remedy) == (VerdictCode.NO_SUBSCRIPTION, Remedy.TEST)
    assert verdict.says.startswith("It was for one device only, which was removed")


def test_of_more_devices_than_are_told_of_none_is_counted_or_taken_for_removed() -> None:
    ended = of_a_user(device("s1", state=GONE), device("s2", state=GONE), has_more_devices=True)
    assert of_user(ended, HERE).says.startswith("None of the user's more than 50 devices is sent to")
    untold = delivery(Outcome.EXPIRED, subscription="s2")
    facts = of_a_user(device("s1"), latest=sending(), deliveries=(untold,), has_more_devices=True)
    assert of_user(facts, HERE).remedy is Remedy.SEND_AGAIN


def test_of_devices_none_of_which_is_sent_to_the_worst_is_told() -> None:
    facts = of_a_user(device("s1", state=GONE), device("s2", key=RETIRED), latest=sending())
    verdict = of_user(facts, HERE)
    assert (verdict.code, verdict.subscription) == (VerdictCode.KEY_ENDED, "s2")
    assert verdict.says.startswith("None of the user's 2 devices is sent to any more. Firefox · Linux: ")


def test_a_device_that_is_left_out_by_now_does_not_spoil_what_the_others_got() -> None:
    taken = delivery(Outcome.ACCEPTED, subscription="s2")
    facts = of_a_user(device("s2"), device("s1", state=GONE), latest=sending(), deliveries=(taken,))
    verdict = of_user(facts, HERE)
    assert verdict.code is VerdictCode.ACCEPTED
    assert "1 other device is not sent to any more." in {fact.text for fact in verdict.evidence}


def test_who_has_subscribed_since_is_to_be_sent_it_again() -> None:
    lost = delivery(Outcome.GONE, status=410)
    since = device("s2", created_at=SENT_AT + timedelta(minutes=1))
    facts = of_a_user(since, device("s1", state=GONE), latest=sending(), deliveries=(lost,))
    verdict = of_user(facts, HERE)
    assert (verdict.code, verdict.remedy) == (VerdictCode.GONE, Remedy.SEND_AGAIN)
    # To the user: to the device it cannot be sent.
    assert (verdict.subscription, verdict.delivery) == (None, None)
    removed = of_a_user(since, latest=sending(), deliveries=(delivery(Outcome.EXPIRED),))
    assert of_user(removed, HERE).advice == verdict.advice
    # Whom another device has got it for needs it no second time.
    taken = delivery(Outcome.ACCEPTED, "v2", subscription="s3")
    facts = of_a_user(since, device("s3"), device("s1", state=GONE), latest=sending(), deliveries=(lost, taken))
    assert of_user(facts, HERE).remedy is Remedy.INVITE
    before = device("s2")
    facts = of_a_user(before, device("s1", state=GONE), latest=sending(), deliveries=(lost,))
    assert of_user(facts, HERE).remedy is Remedy.INVITE


def test_who_has_no_device_any_more_is_told_what_there_was_and_why_it_may_be_gone() -> None:
    facts = of_a_user(lost=sent(Outcome.ACCEPTED, status=201), invited_until=LATER, revoked_at=NOW)
    verdict = of_user(facts, HERE)
    assert "any more" in verdict.says
    assert "invitation" in verdict.advice
    said = {fact.text: fact.time for fact in verdict.evidence}
    assert said["Firefox · Linux, which is not theirs any more: Answered 201."] == ANSWERED_AT
    assert said["The keys were revoked: devices that had subscribed with them were removed."] == NOW
    assert said["An invitation that nobody has used ends."] == LATER
    # Before its last push, a revocation is not what took the device away.
    earlier = of_a_user(lost=sent(Outcome.ACCEPTED, status=201), revoked_at=SENT_AT)
    assert not any("revoked" in fact.text for fact in of_user(earlier, HERE).evidence)


@pytest.mark.parametrize(
    ("service", "reason", "part", "remedy"),
    [
        (Service.APPLE, "BadJwtToken", "subscriber in [push]", Remedy.CONFIGURE),
        (Service.APPLE, "BadVapidPublicKey", "See the keys", Remedy.SEE_KEYS),
        (Service.APPLE, "BadAuthorizationHeader", "Authorization header", Remedy.CONFIGURE),
        (Service.FCM, "exp claim MUST NOT be more than 24 hours", "clock", Remedy.CONFIGURE),
        (Service.FCM, "aud claim in the token MUST include the origin", "redirects", Remedy.CONFIGURE),
        (Service.FCM, "authorization header must be specified.", "Authorization header", Remedy.CONFIGURE),
        (Service.MOZILLA, "errno 109: The VAPID token expiration is too long", "clock", Remedy.CONFIGURE),
        (Service.MOZILLA, "errno 109: Invalid VAPID public key", "See the keys", Remedy.SEE_KEYS),
        (Service.MOZILLA, "errno 109: Error while validating token", "pushdesk doctor", Remedy.CONFIGURE),
        (Service.WNS, "Domain Blocked", "domain", Remedy.CONFIGURE),
        (Service.OTHER, "JWT: token expired", "clock", Remedy.CONFIGURE),
        (Service.OTHER, "No experience with you; your trial has expired", "subscriber in [push]", Remedy.CONFIGURE),
    ],
)
def test_what_is_known_of_a_service_s_refusal_of_ours_is_advised(
    service: Service, reason: str, part: str, remedy: Remedy
) -> None:
    verdict = of_sent(Outcome.OUR_CONFIGURATION, service=service, status=403, reason=reason)
    assert part in verdict.advice
    assert verdict.remedy is remedy


@pytest.mark.parametrize(
    ("service", "status", "reason", "part", "remedy"),
    [
        (Service.APPLE, 413, "PayloadTooLarge", "less text", Remedy.SEND_AGAIN),
        (
            Service.MOZILLA,
            400,
            "errno 104: ... limited in size. Converted buffer is too long",
            "less",
            Remedy.SEND_AGAIN,
        ),
        (Service.APPLE, 400, "BadWebPushTopic", "topic", Remedy.SEND_AGAIN),
        (Service.APPLE, 400, "BadTtl", "ttl", Remedy.SEND_AGAIN),
        (Service.WNS, 400, "Ttl value conflicts with X-WNS-Cache-Policy.", "ttl", Remedy.SEND_AGAIN),
        (Service.OTHER, 400, "Throttled", "test push", Remedy.TEST),
        (Service.OTHER, 400, "A subtopical matter", "test push", Remedy.TEST),
        (Service.FCM, 400, "UnauthorizedRegistration Error 400", "switch notifications on", Remedy.INVITE),
        (Service.OTHER, 403, "Invalid VAPID token: exp is more than 24 hours ahead", "clock", Remedy.CONFIGURE),
        (Service.OTHER, 403, "Answered 403.", "subscriber", Remedy.CONFIGURE),
    ],
)
def test_what_is_known_of_a_refusal_is_advised(
    service: Service, status: int, reason: str, part: str, remedy: Remedy
) -> None:
    verdict = of_sent(Outcome.REFUSED, service=service, status=status, reason=reason)
    assert part in verdict.advice
    assert verdict.remedy is remedy


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_whatever_a_push_service_answers_is_told_in_full(answer: PushServiceAnswer) -> None:
    if answer.says:
        verdict = of_sent(answer.outcome, device(state=GONE), service=answer.service, reason=answer.says)
        assert any(answer.says in fact.text for fact in verdict.evidence)
        assert answer.says not in verdict.says + verdict.advice


def test_what_the_engine_itself_says_is_understood() -> None:
    waits = delivery(Outcome.WAITING)
    for made, part in (
        (put_off(waits, to_milliseconds(NOW)).delivery, "disk"),
        (delivery(Outcome.TRANSIENT, reason="A mistake of this server's; its log tells more."), "log"),
        (delivery(Outcome.TRANSIENT, reason="The push service did not answer in time."), "doctor"),
    ):
        assert part in of_delivery(DeliveryFacts(Sent(made, sending()), device(), True), HERE).advice
    ended = cancelled(waits, to_milliseconds(NOW)).delivery
    verdict = of_delivery(DeliveryFacts(Sent(ended, sending()), None, False), HERE)
    assert (verdict.code, verdict.remedy) == (VerdictCode.CANCELLED, Remedy.INVITE)


def test_an_expired_one_that_was_never_tried_is_told_from_one_that_was() -> None:
    assert "not running" in of_sent(Outcome.EXPIRED, attempts=0).says
    assert "not running" not in of_sent(Outcome.EXPIRED, attempts=3).says


@pytest.mark.parametrize("platform", [name for _, name in PLATFORMS])
def test_where_to_look_depends_on_the_device(platform: str) -> None:
    advice = {
        name: of_sent(Outcome.ACCEPTED, device=f"{name} · {platform}").advice for name in (name for _, name in BROWSERS)
    }
    unknown = of_sent(Outcome.ACCEPTED, device="device 0a1b2c3d").advice
    assert unknown not in advice.values()
    # Safari need not be running, of the others that are on a Mac.
    assert (advice["Safari"] == advice["Firefox"]) == (platform != "macOS")
