"""The facts that a verdict rests on, each in a sentence with its time: pure, and bounded whatever is in them."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Final

from pushdesk.engine.verdict_words import KINDS
from pushdesk.model import DispatchState, Evidence, Outcome
from pushdesk.shortening import clean, shorten
from pushdesk.storage.answers import REAPED_AFTER
from pushdesk.storage.explaining import DEVICES_TOLD

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pushdesk.model import Attempt, Delivery
    from pushdesk.storage.explaining import Device, Newer, Sent, UserFacts
    from pushdesk.storage.sendings import Sending

MAX_TEXT: Final = 320
"""Characters of a fact: what a push service said is kept with 200."""
MAX_TITLE: Final = 60
MAX_ABOUT: Final = 140
MAX_FACTS: Final = 16
READ: Final = 4096
"""Characters that are read of a text from outside."""

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def fit(text: str, limit: int = MAX_TEXT) -> str:
    """Make a text from outside one line of so many characters at most, with nothing in it that is not seen."""
    return shorten(clean(text[:READ]), limit)


def in_order(facts: Iterable[Evidence], now: datetime) -> tuple[Evidence, ...]:
    """Return facts with the latest first, then what is to come with the next first, then what has no time.

    Each is there once; of too many there are the first.
    """
    once = list(dict.fromkeys(facts))
    dated = [(fact.time, fact) for fact in once if fact.time is not None]
    past = sorted((one for one in dated if one[0] <= now), key=itemgetter(0), reverse=True)
    to_come = sorted((one for one in dated if one[0] > now), key=itemgetter(0))
    return tuple([fact for _, fact in past + to_come] + [fact for fact in once if fact.time is None])[:MAX_FACTS]


def of_answer(answered: Delivery | Attempt, lead: str = "") -> Evidence:
    """Return what a push service answered, or what was the case in its place.

    Args:
        answered: The delivery, for its latest attempt, or an attempt.
        lead: Whose answer it is, if that has to be said.
    """
    reason = fit(answered.reason)
    said = reason or f"{answered.outcome.value.replace('_', ' ').capitalize()}."
    if answered.status is not None:
        status = f"Answered {answered.status}"
        if not reason:
            said = f"{status}."
        elif not reason.startswith(f"{status}."):
            # Where the push service gave no reason, the status is in it already.
            said = f"{status}: {reason}"
    return Evidence(fit(f"{lead}: {said}" if lead else said), answered.at)


def of_sent(sent: Sent, now: datetime) -> list[Evidence]:
    """Return what is known of a delivery: its answers, and what it is of."""
    delivery = sent.delivery
    facts = [] if delivery.outcome is Outcome.WAITING else [of_answer(delivery)]
    # While it waits for another attempt, the last one is told by the delivery too.
    facts += [of_answer(one, f"Attempt {one.number}") for one in sent.earlier if one.at != delivery.at]
    if delivery.attempts > 1 or not delivery.outcome.is_settled:
        times = {0: "not tried yet", 1: "tried once"}.get(delivery.attempts, f"tried {delivery.attempts} times")
        facts.append(Evidence(f"It was {times}."))
    if sent.newer is not None:
        facts.append(of_newer(sent.newer))
    is_of_use = not delivery.outcome.is_settled or delivery.outcome in {Outcome.ACCEPTED, Outcome.EXPIRED}
    return facts + (of_sending(sent.sending, now) if is_of_use else of_acceptance(sent.sending, now))


def of_newer(newer: Newer) -> Evidence:
    """Return what took the place of something."""
    dispatch, topic = newer.dispatch, fit(newer.topic, MAX_TITLE)
    what = f"{KINDS[dispatch.kind]} “{fit(dispatch.title, MAX_TITLE)}” ({fit(dispatch.id, MAX_TITLE)}) took its place"
    became = newer.outcome.value.replace("_", " ")
    return Evidence(fit(f"{what}, of the topic “{topic}”; that is {became}."), dispatch.accepted_at)


def of_sending(sending: Sending, now: datetime) -> list[Evidence]:
    """Return what was sent, and until when a push service keeps it."""
    ends = "ends" if sending.expires_at > now else "ended"
    time_to_live = Evidence(f"Its time to live of {_length(sending.ttl_s)} {ends}.", sending.expires_at)
    return [*of_acceptance(sending, now), time_to_live]


def of_acceptance(sending: Sending, now: datetime) -> list[Evidence]:
    """Return what was sent."""
    dispatch = sending.dispatch
    what = f"{KINDS[dispatch.kind]} “{fit(dispatch.title, MAX_TITLE)}” was accepted here."
    facts = [Evidence(what, dispatch.accepted_at)]
    if dispatch.state is DispatchState.CANCELLED and sending.due_at > dispatch.accepted_at:
        facts.append(Evidence("It was due, or cancelled before that.", sending.due_at))
    elif sending.due_at > dispatch.accepted_at:
        facts.append(Evidence("It is due." if sending.due_at > now else "It was due.", sending.due_at))
    return facts


def of_subscription(device: Device) -> list[Evidence]:
    """Return what is known of a subscription."""
    subscription = device.subscription
    state = "is not here" if device.key is None else f"is {device.key}"
    facts = [
        Evidence("The device was subscribed.", subscription.created_at),
        Evidence(fit(f"Its key is {subscription.key_id}, which {state}.")),
    ]
    reach = device.reach
    if reach is not None and not reach.is_for and reach.sending.expires_at > subscription.created_at:
        what = f"{KINDS[reach.sending.dispatch.kind]} “{fit(reach.sending.dispatch.title, MAX_TITLE)}”"
        facts.append(
            Evidence(f"{what} was accepted before that: it is not for this device.", reach.sending.dispatch.accepted_at)
        )
    if device.was_reaped:
        facts.append(Evidence(f"{REAPED_AFTER} pushes or more were refused, and none was ever taken."))
    if subscription.last_success_at is not None:
        facts.append(Evidence("Last success (noted at most once an hour).", subscription.last_success_at))
    if subscription.last_failure_at is not None:
        in_a_row = f", {subscription.failures} in a row" if subscription.failures > 1 else ""
        facts.append(Evidence(f"Last failure{in_a_row}.", subscription.last_failure_at))
    return facts


def of_user_around(facts: UserFacts) -> list[Evidence]:
    """Return what is known of a user besides what was sent to their devices."""
    found = []
    ended = [device.subscription.id for device in facts.devices if not device.is_live]
    passed_over = len(set(ended).difference(delivery.subscription for delivery in facts.deliveries))
    if facts.upcoming is not None:
        dispatch = facts.upcoming.dispatch
        what = f"{KINDS[dispatch.kind]} “{fit(dispatch.title, MAX_TITLE)}” is scheduled."
        found.append(Evidence(what, facts.upcoming.due_at))
    if facts.has_more_devices:
        found.append(Evidence(f"The user has more than {DEVICES_TOLD} devices; these are not all."))
    if len(ended) < len(facts.devices):
        if passed_over:
            them = "1 other device is" if passed_over == 1 else f"{passed_over} other devices are"
            found.append(Evidence(f"{them} not sent to any more."))
        return found
    if facts.lost is not None:
        lost = facts.lost.delivery
        found.append(of_answer(lost, f"{fit(lost.device, MAX_TITLE)}, which is not theirs any more"))
        if facts.revoked_at is not None and lost.at <= facts.revoked_at:
            found.append(
                Evidence("The keys were revoked: devices that had subscribed with them were removed.", facts.revoked_at)
            )
    if facts.invited_until is not None:
        found.append(Evidence("An invitation that nobody has used ends.", facts.invited_until))
    return found


def _length(seconds: int) -> str:
    """Return a duration in the largest unit that it is a whole number of."""
    return next(f"{seconds // size} {name}" for size, name in _UNITS if seconds % size == 0)
