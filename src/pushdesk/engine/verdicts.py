"""Why somebody did not get something, from what is known of it: pure.

A delivery is told by its outcome, and by what has become of its device since. A device is told by its state, if that
keeps it from being sent to, else by its latest delivery. A user is told by what was sent to them last: what it came to
on each device, the worst of it if any got nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from pushdesk.engine import verdict_broadcasts as broadcasts
from pushdesk.engine import verdict_surroundings as surroundings
from pushdesk.engine import verdict_words as words
from pushdesk.engine.verdict_evidence import (
    MAX_ABOUT,
    fit,
    in_order,
    of_answer,
    of_sending,
    of_sent,
    of_subscription,
    of_user_around,
)
from pushdesk.engine.verdict_waiting_words import expired
from pushdesk.model import (
    DispatchKind,
    DispatchState,
    Evidence,
    KeyState,
    Measure,
    Outcome,
    Remedy,
    Service,
    SubscriptionState,
    Verdict,
    VerdictCode,
)
from pushdesk.storage.ending import CANCELLED
from pushdesk.storage.explaining import DEVICES_TOLD, Sent
from pushdesk.storage.records import KEY_NOT_USED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pushdesk.engine.verdict_surroundings import InTheWay, Surroundings
    from pushdesk.engine.verdict_words import Words
    from pushdesk.model import Delivery
    from pushdesk.storage.explaining import DeliveryFacts, Device, UserFacts
    from pushdesk.storage.sendings import Sending

ANSWERS_TOLD: Final = 8
"""Of how many devices the answers are evidence of a verdict on their user."""
WORST_FIRST: Final = (
    VerdictCode.PUSH_DISABLED,
    VerdictCode.OUR_CONFIGURATION,
    VerdictCode.HELD,
    VerdictCode.KEY_ENDED,
    VerdictCode.KEY_MISMATCH,
    VerdictCode.REFUSED,
    VerdictCode.GONE,
    VerdictCode.EXPIRED,
    VerdictCode.CANCELLED,
    VerdictCode.THROTTLED,
    VerdictCode.TRANSIENT,
    VerdictCode.WAITING,
    VerdictCode.SUPERSEDED,
    VerdictCode.NOTHING_SENT,
    VerdictCode.ACCEPTED,
)
"""What may be told of a device, by how much an operator must act on it."""

_KEYS_ENDED: Final = frozenset({KeyState.RETIRED, KeyState.REVOKED})
_DEVICE_ENDED: Final = frozenset({Outcome.GONE, Outcome.KEY_MISMATCH})
_HAVE_A_BEGINNING: Final = frozenset({VerdictCode.GONE, VerdictCode.KEY_MISMATCH, VerdictCode.HELD})
"""The states of a device of which it is known when they began."""
_RETRIED: Final = frozenset({Outcome.THROTTLED, Outcome.TRANSIENT})
_LOST: Final = frozenset({VerdictCode.GONE, VerdictCode.KEY_MISMATCH, VerdictCode.KEY_ENDED, VerdictCode.CANCELLED})
"""What is mended by subscribing again."""
_WHATEVER_THE_DEVICE: Final = frozenset({Remedy.CONFIGURE, Remedy.SEE_KEYS, Remedy.INVITE})
"""What helps, or must be done, whether the device is sent to or not; if it is not, all else is refused or of no use."""


def of_delivery(facts: DeliveryFacts, around: Surroundings) -> Verdict:
    """Say what became of a delivery.

    Args:
        facts: What is known of it.
        around: How the server and the push services are.
    """
    is_live = facts.device is not None and facts.device.is_live
    return _of_sent(facts.sent, facts.device, around, is_live=is_live, has_live_device=facts.has_live_device)


def of_device(device: Device, around: Surroundings) -> Verdict:
    """Say what keeps a device from getting anything, or what became of what was last sent to it; see `of_delivery`."""
    subscription, latest = device.subscription, device.latest
    kept = (VerdictCode.PUSH_DISABLED, words.PUSH_DISABLED) if not around.sends else _kept_from_it(device)
    if kept is None and (reach := broadcasts.untold(device)) is not None:
        return broadcasts.of_device(device, reach, around)
    if kept is None and latest is not None and latest.delivery.outcome not in _DEVICE_ENDED:
        return _of_sent(latest, device, around, is_live=True, has_live_device=True)
    since = None
    if kept is None:
        kept = VerdictCode.NOTHING_SENT, words.NOTHING_SENT_SINCE
        if latest is None:
            never = subscription.last_success_at is None and subscription.last_failure_at is None
            kept = VerdictCode.NOTHING_SENT, words.NOTHING_SENT if never else words.NOTHING_SENT_LATELY
            since = subscription.created_at
    elif kept[0] in _HAVE_A_BEGINNING and subscription.state is not SubscriptionState.ACTIVE:
        ending = device.ending if kept[0] is not VerdictCode.HELD else None
        since = ending.delivery.at if ending is not None else subscription.last_failure_at
    return _of_state(device, *kept, around, since)


def _kept_from_it(device: Device) -> tuple[VerdictCode, Words] | None:
    """Return why a device is not sent to, whatever it was sent; None for one that is."""
    match device.subscription.state, device.key:
        case SubscriptionState.GONE, _:
            return VerdictCode.GONE, words.REAPED if device.was_reaped else words.GONE
        case _, KeyState.RETIRED | KeyState.REVOKED:
            return VerdictCode.KEY_ENDED, words.key_ended(device.key)
        case _, None:
            return VerdictCode.KEY_MISMATCH, words.KEY_MISSING
        case SubscriptionState.KEY_MISMATCH, _:
            return VerdictCode.KEY_MISMATCH, words.KEY_MISMATCH
        case SubscriptionState.HELD, _:
            return VerdictCode.HELD, words.HELD
        case _:
            return None


def of_user(facts: UserFacts, around: Surroundings) -> Verdict:
    """Say why a user did not get what was sent to them last, or that they did; see `of_delivery`."""
    devices = tuple(of_device(device, around) for device in facts.devices)
    told = _told(facts, devices, around)
    return structs.replace(
        told,
        about=fit(facts.user, MAX_ABOUT),
        evidence=in_order([*told.evidence, *of_user_around(facts)], around.now),
        devices=devices,
    )


def _told(facts: UserFacts, devices: Sequence[Verdict], around: Surroundings) -> Verdict:
    """Tell of a user, without their devices."""
    nobody = (VerdictCode.PUSH_DISABLED, words.PUSH_DISABLED) if not around.sends else _nobody(facts)
    if nobody is not None:
        return _of_nobody(facts, *nobody, around.now)
    if not any(device.is_live for device in facts.devices):
        number = f"more than {DEVICES_TOLD}" if facts.has_more_devices else len(devices)
        return _summed_up(devices, f"None of the user's {number} devices is sent to any more.")
    if (told := _told_by_broadcast(facts, devices, around)) is not None:
        return told
    if facts.latest is None:
        return _of_nobody(facts, VerdictCode.NOTHING_SENT, words.NOTHING_SENT_TO_USER, around.now)
    if facts.deliveries:
        return _of_deliveries(facts, facts.latest, around)
    return _of_no_delivery(facts, facts.latest, around)


def _told_by_broadcast(facts: UserFacts, devices: Sequence[Verdict], around: Surroundings) -> Verdict | None:
    """Tell of a user by a broadcast, if that is what was sent to them last."""
    reach = next((device.reach for device in facts.devices if device.reach is not None), None)
    last = facts.latest
    if last is not None and (last.subscription is not None or last.is_later(around.now)):
        # It is for one device, or later.
        last = None
    if reach is None or (last is not None and last.due_at > reach.sending.due_at):
        return None
    each = [told for device, told in zip(facts.devices, devices, strict=True) if device.is_live]
    # What was sent to one of them alone since says nothing of the others.
    taken = sum(one.code is VerdictCode.ACCEPTED for one in each)
    return _summed_up(each, f"Of the last broadcast, {taken} of {len(each)} devices got it, as far as is known.")


def _nobody(facts: UserFacts) -> tuple[VerdictCode, Words] | None:
    """Return why there is nobody to send to; None if there is."""
    if not facts.is_known:
        return VerdictCode.UNKNOWN_USER, words.UNKNOWN_USER
    if facts.devices:
        return None
    said = words.NO_SUBSCRIPTION if facts.lost is None else words.NO_SUBSCRIPTION_ANY_MORE
    if facts.invited_until is not None:
        said = said._replace(advice=words.ASKED_TO_COME)
    return VerdictCode.NO_SUBSCRIPTION, said


def _of_deliveries(facts: UserFacts, latest: Sending, around: Surroundings) -> Verdict:
    """Sum up what became of what was sent last, on each device that it was sent to."""
    devices = {device.subscription.id: device for device in facts.devices}
    each, sent = [], []
    for delivery in facts.deliveries:
        device = devices.get(delivery.subscription)
        # Where not all are told of, one that is not told of may be theirs, and is taken for one that is sent to.
        is_live = device.is_live if device is not None else facts.has_more_devices
        sent.append(_sent_last(Sent(delivery, latest), device))
        each.append(_of_sent(sent[-1], device, around, is_live=is_live, has_live_device=True))
    taken = sum(one.code is VerdictCode.ACCEPTED for one in each)
    told = _summed_up(each, f"It was taken for {taken} of {len(each)} devices.")
    is_back = any(device.is_live and device.subscription.created_at > latest.due_at for device in facts.devices)
    if is_back and not taken and (told.code in _LOST or told.remedy is Remedy.INVITE):
        # To the user, that is: the delivery is to a device that cannot be sent it again.
        told = structs.replace(
            told,
            advice=words.THEY_ARE_BACK,
            remedy=Remedy.SEND_AGAIN,
            subscription=None,
            delivery=None,
            measures=(),
        )
    if len(each) > 1:
        by_need = sorted(zip(each, sent, strict=True), key=lambda one: _place(one[0]))
        answers = [of_answer(one.delivery, one.delivery.device) for _, one in by_need[:ANSWERS_TOLD]]
        services = [fact for one in devices.values() for fact in surroundings.of_device(one, around) if one.is_live]
        told = structs.replace(
            told, evidence=in_order([*of_sending(latest, around.now), *answers, *services], around.now)
        )
    return told


def _sent_last(sent: Sent, device: Device | None) -> Sent:
    """Return what was sent to a device: what was sent to all, or what was sent to it alone since."""
    latest = device.latest if device is not None else None
    if latest is None:
        return sent
    if latest.delivery.id == sent.delivery.id:
        # More is known of it.
        return latest
    is_alone = latest.sending.subscription is not None
    return latest if is_alone and latest.delivery.id > sent.delivery.id else sent


def _of_no_delivery(facts: UserFacts, latest: Sending, around: Surroundings) -> Verdict:
    """Tell of what was not sent to any device: not yet, or there was none."""
    dispatch, now = latest.dispatch, around.now
    if dispatch.state is DispatchState.DONE:
        said = words.NO_SUBSCRIPTION_THEN if latest.subscription is None else words.ONE_DEVICE_REMOVED
        return _of_nobody(facts, VerdictCode.NO_SUBSCRIPTION, said, now)
    if dispatch.state is DispatchState.CANCELLED:
        return _of_nobody(facts, VerdictCode.CANCELLED, words.CANCELLED_BY_SOMEBODY, now)
    if latest.is_later(now):
        said = words.SUMMARISED if dispatch.kind is DispatchKind.TURN else words.SCHEDULED
        told = _of_nobody(facts, VerdictCode.SCHEDULED, said, now)
        return structs.replace(
            told, since=dispatch.accepted_at, until=latest.due_at, measures=(Measure.CANCEL,), dispatch=dispatch.id
        )
    told = _of_nobody(facts, VerdictCode.WAITING, words.WAITING, now)
    if around.queued > 1:
        before = Evidence(f"{around.queued} wait to be made into a delivery for each device.")
        told = structs.replace(told, evidence=in_order([*told.evidence, before], now))
    return structs.replace(told, since=latest.due_at, dispatch=dispatch.id)


def _summed_up(each: Sequence[Verdict], lead: str) -> Verdict:
    """Return the worst of some verdicts, with a sentence before it that is about all of them."""
    worst = min(each, key=_place)
    if len(each) == 1:
        return worst
    if worst.code is VerdictCode.ACCEPTED:
        said = words.accepted_by_all(len(each))
        return structs.replace(worst, says=said.says, advice=said.advice, remedy=said.remedy)
    return structs.replace(worst, says=f"{lead} {worst.about}: {worst.says}")


def _place(verdict: Verdict) -> int:
    """Return the place of a verdict among those of `WORST_FIRST`: what is paused is for an operator, too."""
    return WORST_FIRST.index(VerdictCode.HELD if Measure.RESUME in verdict.measures else verdict.code)


def _of_sent(
    sent: Sent, device: Device | None, around: Surroundings, *, is_live: bool, has_live_device: bool
) -> Verdict:
    """Tell of a delivery.

    Args:
        sent: The delivery.
        device: Whom it was for; None if the user does not have it any more.
        around: How the server and the push services are.
        is_live: Whether that device is sent to.
        has_live_device: Whether the user has any device that is sent to.
    """
    delivery, now = sent.delivery, around.now
    code, said = _judged(delivery, device)
    since = delivery.at if delivery.outcome.is_settled else sent.sending.due_at
    next_at = delivery.next_attempt_at if is_live and delivery.outcome in _RETRIED else None
    measures: tuple[Measure, ...] = ()
    service: Service | None = delivery.service
    if not delivery.outcome.is_settled and not around.sends:
        code, said, next_at = VerdictCode.PUSH_DISABLED, words.PUSH_DISABLED, None
    elif is_live and not delivery.outcome.is_settled:
        found = _in_the_way(sent, device, around)
        if found is not None:
            code, said, next_at, measures = found.code, found.said, found.until, found.measures
            service = delivery.service if found.is_of_service else None
            since = since if found.since is None else max(since, found.since)
    elif is_live and delivery.outcome in _DEVICE_ENDED:
        said = said._replace(advice=words.IT_IS_BACK, remedy=Remedy.SEND_AGAIN)
    elif is_live and delivery.outcome is Outcome.HELD:
        said = said._replace(advice=words.IT_IS_RELEASED, remedy=Remedy.SEND_AGAIN)
    elif delivery.outcome is Outcome.HELD and device is not None and (kept := _kept_from_it(device)) is not None:
        # It was decided since, or is held still.
        said = said._replace(advice=kept[1].advice, remedy=kept[1].remedy)
    elif not is_live and said.remedy not in _WHATEVER_THE_DEVICE:
        kept = _kept_from_it(device) if device is not None else None
        left = words.ONE_LEFT if has_live_device else words.LAST_LEFT
        _, advice, remedy = kept[1] if kept is not None else (said.says, left, Remedy.INVITE)
        said = said._replace(advice=advice, remedy=remedy)
    evidence = of_sent(sent, now)
    if device is not None:
        evidence += of_subscription(device)
        measures = measures or _measures(device, around)
        if delivery.outcome is not Outcome.ACCEPTED:
            evidence += surroundings.of_device(device, around)
    return Verdict(
        code,
        fit(delivery.device or (device.label if device is not None else ""), MAX_ABOUT),
        *said,
        user=delivery.user,
        subscription=delivery.subscription,
        delivery=delivery.id,
        since=since,
        until=next_at if next_at is not None and next_at > now else None,
        evidence=in_order(evidence, now),
        measures=measures,
        service=service,
        dispatch=delivery.dispatch,
    )


def _in_the_way(sent: Sent, device: Device | None, around: Surroundings) -> InTheWay | None:
    """Return what keeps a delivery waiting, besides its own last answer."""
    key = device.subscription.key_id if device is not None else ""
    return broadcasts.paused(sent.sending, device) or surroundings.in_the_way(sent.delivery, key, around)


def _measures(device: Device, around: Surroundings) -> tuple[Measure, ...]:
    """Return what an operator can do for a device that is not sent to."""
    if surroundings.is_braked(device, around):
        return (Measure.RELEASE, Measure.CONFIRM)
    return (Measure.RESTORE,) if surroundings.is_restorable(device, around) else ()


def _judged(delivery: Delivery, device: Device | None) -> tuple[VerdictCode, Words]:
    """Return what an outcome means, and the words for it."""
    match delivery.outcome:
        case Outcome.ACCEPTED:
            said = words.accepted(delivery.service, delivery.device)
        case Outcome.KEY_MISMATCH:
            return _other_key(delivery, device)
        case Outcome.OUR_CONFIGURATION:
            said = words.our_configuration(delivery)
        case Outcome.REFUSED:
            said = words.refused(delivery)
        case Outcome.THROTTLED | Outcome.TRANSIENT:
            said = words.retried(delivery)
        case Outcome.EXPIRED:
            said = expired(delivery)
        case Outcome.CANCELLED if delivery.reason.startswith(CANCELLED):
            said = words.CANCELLED_BY_SOMEBODY
        case outcome:
            said = words.ALWAYS[outcome]
    return VerdictCode(delivery.outcome), said


def _other_key(delivery: Delivery, device: Device | None) -> tuple[VerdictCode, Words]:
    if device is not None and device.key is None:
        return VerdictCode.KEY_MISMATCH, words.KEY_MISSING
    state = device.key if device is not None else None
    if state in _KEYS_ENDED or (delivery.status is None and delivery.reason == KEY_NOT_USED):
        return VerdictCode.KEY_ENDED, words.key_ended(state)
    return VerdictCode.KEY_MISMATCH, words.KEY_MISMATCH


def _of_state(device: Device, code: VerdictCode, said: Words, around: Surroundings, since: datetime | None) -> Verdict:
    """Tell of a device by what it is now, with what was last sent to it for evidence."""
    sent = device.ending if code in _LOST and device.ending is not None else device.latest
    evidence = of_subscription(device) + surroundings.of_device(device, around)
    if sent is not None:
        evidence = of_sent(sent, around.now) + evidence
    return Verdict(
        code,
        fit(device.label, MAX_ABOUT),
        *said,
        user=device.subscription.user,
        subscription=device.subscription.id,
        delivery=None if sent is None else sent.delivery.id,
        since=since,
        evidence=in_order(evidence, around.now),
        measures=_measures(device, around),
        service=device.subscription.service,
        dispatch=None if sent is None else sent.delivery.dispatch,
    )


def _of_nobody(facts: UserFacts, code: VerdictCode, said: Words, now: datetime) -> Verdict:
    """Tell of a user what is not about any device."""
    evidence = [] if facts.latest is None else of_sending(facts.latest, now)
    return Verdict(code, fit(facts.user, MAX_ABOUT), *said, user=facts.user, evidence=in_order(evidence, now))
