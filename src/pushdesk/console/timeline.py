"""What became of a subscription from the day it was made, one line each, the latest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from pushdesk.console.happenings import SUBSCRIBED, attempt_key, device_of
from pushdesk.console.status import BAD, GOOD, SUBSCRIPTIONS, Look, delivery_status, service_name
from pushdesk.console.text import plain
from pushdesk.model import Delivery, Outcome, SubscriptionState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from textual.content import Content

    from pushdesk.model import Attempt, Subscription

LAST_SUCCESS = Look("✓", "last success", GOOD)
LAST_FAILURE = Look("✗", "last failure", BAD)
ENDINGS = {SubscriptionState.GONE: Outcome.GONE, SubscriptionState.KEY_MISMATCH: Outcome.KEY_MISMATCH}
"""What a delivery comes to that ends a subscription so."""


ENDED = 1_000_000
"""The place of an end: after any attempt."""


class Moment(NamedTuple):
    """A line of a timeline."""

    key: str
    time: datetime
    status: Content
    remark: str
    delivery: Delivery | None = None
    """The attempt that it tells of, if it tells of one."""
    place: int = 1
    """Of what happened at the same time, the highest is the latest."""

    @property
    def attempt(self) -> Delivery | None:
        """The attempt that it is; None of what is only told by one."""
        return self.delivery if self.place < ENDED else None


def timeline(
    subscription: Subscription, deliveries: Sequence[Delivery], attempts: Mapping[str, Sequence[Attempt]]
) -> list[Moment]:
    """Return the lines, the latest first.

    Args:
        subscription: What it is about.
        deliveries: The latest that were sent to it.
        attempts: Those at deliveries of which they are known, by the delivery's id.
    """
    lines = [line for delivery in deliveries for line in _of(delivery, attempts.get(delivery.id, ()))]
    if (state := _of_state(subscription, deliveries)) is not None:
        lines.append(state)
    lines += _noted(subscription, lines)
    lines.append(Moment("subscribed", subscription.created_at, SUBSCRIBED.content(), device_of(subscription), place=0))
    return sorted(lines, key=lambda line: (line.time, line.place), reverse=True)


def _of(delivery: Delivery, attempts: Sequence[Attempt]) -> list[Moment]:
    return [_attempt(_as_it_was(delivery, attempt)) for attempt in attempts] or [_attempt(delivery)]


def _attempt(delivery: Delivery) -> Moment:
    status, reason = delivery_status(delivery), plain(delivery.reason)
    return Moment(attempt_key(delivery), delivery.at, status, reason, delivery, place=max(1, delivery.attempts))


def _as_it_was(delivery: Delivery, attempt: Attempt) -> Delivery:
    """Return a delivery as it was after an attempt."""
    return structs.replace(
        delivery,
        at=attempt.at,
        outcome=attempt.outcome,
        status=attempt.status,
        reason=attempt.reason,
        latency_ms=attempt.latency_ms,
        attempts=attempt.number,
        next_attempt_at=delivery.next_attempt_at if attempt.number == delivery.attempts else None,
    )


def _of_state(subscription: Subscription, deliveries: Sequence[Delivery]) -> Moment | None:
    """Return since when, and on which answer, it is not sent to; None if it is, or if that is not known."""
    state = subscription.state
    if state is SubscriptionState.ACTIVE:
        return None
    cause = max((one for one in deliveries if one.outcome is ENDINGS.get(state)), key=lambda one: one.at, default=None)
    time = cause.at if cause is not None else subscription.last_failure_at
    if time is None:
        return None
    remark = "nothing is sent to it any more"
    if cause is not None:
        who = service_name(cause.service)
        answered = f"{who[0].upper()}{who[1:]} answered {cause.status}" if cause.status else plain(cause.reason)
        remark = f"{answered}: {remark}"
    return Moment(f"state/{state}", time, SUBSCRIPTIONS[state].content(), remark, cause, place=ENDED)


def _noted(subscription: Subscription, lines: Sequence[Moment]) -> list[Moment]:
    """Return the last success and the last failure, where they are of before what is kept."""
    oldest = min((line.time for line in lines), default=None)
    noted = (
        ("success", subscription.last_success_at, LAST_SUCCESS),
        ("failure", subscription.last_failure_at, LAST_FAILURE),
    )
    return [
        Moment(name, time, look.content(), "what it was is not kept any more")
        for name, time, look in noted
        if time is not None and (oldest is None or time < oldest)
    ]
