"""What just happened, one line each, in the words of an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pushdesk.console.figures import milliseconds
from pushdesk.console.status import BAD, GOOD, KEYS, QUIET, SERVICES, SUBSCRIPTIONS, Look, delivery_status
from pushdesk.console.text import plain
from pushdesk.desk import CacheChanged, DeliveryChanged, KeyChanged, SubscriptionChanged, SubscriptionRemoved
from pushdesk.model import CacheChange, Outcome, SubscriptionState

if TYPE_CHECKING:
    from datetime import datetime

    from textual.content import Content

    from pushdesk.desk import AnyEvent
    from pushdesk.model import Delivery, Subscription

SUBSCRIBED = Look("+", "subscribed", GOOD)
REMOVED = Look("-", "removed", QUIET)
DISCARDED = Look("↻", "stale read", QUIET)
FAILED = Look("✗", "error", BAD)


class Happening(NamedTuple):
    """A line of what happened."""

    key: str
    """What happens again to the same attempt takes the place of what was said of it."""
    time: datetime
    status: Content
    user: str
    device: str
    remark: str
    delivery: Delivery | None = None
    """The attempt that it tells of, if it tells of one."""
    error: str = ""
    """The whole text of an error."""

    def is_of(self, subscription: str) -> bool:
        """Return whether it happened to this subscription."""
        return self.key.startswith(f"subscription/{subscription}/") or (
            self.delivery is not None and self.delivery.subscription == subscription
        )


def attempt_key(delivery: Delivery) -> str:
    """Return the key of an attempt: a delivery that waits becomes its own first attempt."""
    return f"{delivery.id}/{max(delivery.attempts, 1)}"


def device_of(subscription: Subscription) -> str:
    """Return what a person calls a device: `Firefox · Linux`."""
    return " · ".join(plain(part) for part in (subscription.browser, subscription.platform) if part) or "unknown"


def delivery_device(delivery: Delivery) -> str:
    """Return the device of a delivery, or its push service where the device is not known."""
    return plain(delivery.device) or SERVICES[delivery.service]


def delivery_remark(delivery: Delivery) -> str:
    """Return what is worth saying of a delivery: how long it took, or why it did not arrive."""
    if delivery.outcome is Outcome.ACCEPTED:
        return milliseconds(delivery.latency_ms)
    return plain(delivery.reason)


def of_delivery(delivery: Delivery) -> Happening:
    """Return the line of a delivery."""
    return Happening(
        attempt_key(delivery),
        delivery.at,
        delivery_status(delivery),
        plain(delivery.user),
        delivery_device(delivery),
        delivery_remark(delivery),
        delivery,
    )


def of_event(event: AnyEvent) -> Happening | None:
    """Return the line of an event, or None if it is not worth one."""
    match event:
        case DeliveryChanged(delivery=delivery):
            return of_delivery(delivery)
        case SubscriptionChanged(subscription=subscription):
            return _of_subscription(event.time, subscription)
        case SubscriptionRemoved(user=user, id=subscription_id):
            return Happening(
                f"removed/{subscription_id}", event.time, REMOVED.content(), plain(user), "", "unsubscribed"
            )
        case CacheChanged(change=CacheChange.DISCARDED, user=user, entry=entry) if user:
            held = f"generation {entry.generation} is held" if entry is not None else "nothing is held"
            return Happening(f"discarded/{plain(user)}", event.time, DISCARDED.content(), plain(user), "", held)
        case KeyChanged(key=key):
            return Happening(
                f"key/{key.id}/{key.state}", event.time, KEYS[key.state].content(), "", "", f"VAPID key {plain(key.id)}"
            )
        case _:
            return None


def _of_subscription(time: datetime, subscription: Subscription) -> Happening | None:
    is_new = subscription.last_success_at is None and subscription.last_failure_at is None
    is_active = subscription.state is SubscriptionState.ACTIVE
    if is_active and not is_new:
        # A success that is noted on an active subscription says nothing that its delivery did not say.
        return None
    if subscription.state is SubscriptionState.GONE:
        # Only the answer to a delivery says so, and that has a line.
        return None
    return Happening(
        f"subscription/{subscription.id}/{subscription.state}",
        time,
        (SUBSCRIBED if is_active else SUBSCRIPTIONS[subscription.state]).content(),
        plain(subscription.user),
        device_of(subscription),
        "",
    )


def of_failure(time: datetime, text: str) -> Happening:
    """Return the line of an error that the console met."""
    return Happening(f"failure/{time.isoformat()}/{text}", time, FAILED.content(), "", "", plain(text), error=text)
