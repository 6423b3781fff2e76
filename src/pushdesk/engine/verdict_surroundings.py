"""What keeps a delivery waiting besides its own last answer: lane, key, device, and those before it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from pushdesk.engine import verdict_waiting_words as words
from pushdesk.engine.lane import LEFT_ALONE
from pushdesk.engine.verdict_evidence import fit
from pushdesk.engine.verdict_words import WHO, our_configuration
from pushdesk.model import Evidence, LaneState, Measure, Outcome, SubscriptionState, VerdictCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pushdesk.engine.verdict_words import Words
    from pushdesk.model import Delivery, Service, ServiceHealth, StoppedKey
    from pushdesk.storage.explaining import Device

_DISABLED: Final = frozenset({SubscriptionState.GONE, SubscriptionState.KEY_MISMATCH})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """How the server and the push services are as a verdict is given."""

    now: datetime
    sends: bool = True
    """Whether this server sends anything."""
    services: Mapping[Service, ServiceHealth] = field(default_factory=dict)
    queued: int = 0
    """Dispatches that are not spread over their devices yet."""
    rate: int = 0
    """Requests that may start per second, per push service; 0 is no limit."""
    keeps_disabled_s: int = 0
    """For how long a subscription that is disabled is kept; 0 is for ever."""


class InTheWay(NamedTuple):
    """Why a delivery waits, and what can be done about it."""

    code: VerdictCode
    said: Words
    since: datetime | None = None
    until: datetime | None = None
    measures: tuple[Measure, ...] = ()
    is_of_service: bool = True
    """Whether it is about the push service."""


def in_the_way(delivery: Delivery, key: str, around: Surroundings) -> InTheWay | None:
    """Return what keeps a delivery waiting that is not settled, or None if that is its own last answer.

    Args:
        delivery: It is to a device that is sent to.
        key: The VAPID key of that device.
        around: How the server and the push services are.
    """
    health = around.services.get(delivery.service)
    if health is None:
        return None
    return _lane_in_the_way(delivery, key, health) or _others_in_the_way(delivery, health, around)


def _lane_in_the_way(delivery: Delivery, key: str, health: ServiceHealth) -> InTheWay | None:
    service, own_until = delivery.service, delivery.next_attempt_at
    if health.state is LaneState.PAUSED:
        return InTheWay(VerdictCode.WAITING, words.service_paused(service), health.since, measures=(Measure.RESUME,))
    if (stop := _stop(health, key)) is not None:
        refused = our_configuration(structs.replace(delivery, reason=stop.reason))
        said = refused._replace(says=words.key_stopped(service), advice=f"{refused.advice} {words.THEN_RESET}")
        return InTheWay(VerdictCode.OUR_CONFIGURATION, said, stop.since, stop.until, (Measure.RESET,))
    # What its own last answer puts off for longer waits for that.
    is_first = health.until is None or own_until is None or own_until <= health.until
    if health.state is LaneState.OPEN or not is_first:
        return None
    code, said = VerdictCode.THROTTLED, words.service_throttled(service)
    if health.state is LaneState.BROKEN:
        code, said = VerdictCode.TRANSIENT, words.service_broken(service)
    return InTheWay(code, said, health.since, health.until, (Measure.RESET,))


def _others_in_the_way(delivery: Delivery, health: ServiceHealth, around: Surroundings) -> InTheWay | None:
    service, own_until = delivery.service, delivery.next_attempt_at
    if delivery.reason == LEFT_ALONE and own_until is not None and own_until > around.now:
        return InTheWay(VerdictCode.THROTTLED, words.left_alone(service), until=own_until)
    if delivery.outcome is Outcome.WAITING and health.waiting > 1:
        return InTheWay(VerdictCode.WAITING, words.in_line(service, health.waiting, around.rate))
    return None


def of_service(service: Service, key: str, around: Surroundings) -> list[Evidence]:
    """Return what is wrong with a push service, as far as it is the matter of a device with this key."""
    health = around.services.get(service)
    if health is None:
        return []
    found = []
    if health.state is not LaneState.OPEN:
        found.append(Evidence(fit(f"{WHO[service]} is {health.state}: {health.reason}"), health.since))
    if (stop := _stop(health, key)) is not None:
        found += [
            Evidence(fit(f"The key is stopped: {stop.reason}"), stop.since),
            Evidence("One push is tried with the key.", stop.until),
        ]
    if health.brake is not None:
        found.append(Evidence(fit(f"The brake is on: {health.brake.reason}"), health.brake.since))
    return found


def of_device(device: Device, around: Surroundings) -> list[Evidence]:
    """Return what is wrong with a device's push service, and until when it can be restored if it is disabled."""
    subscription = device.subscription
    found = of_service(subscription.service, subscription.key_id, around)
    if is_restorable(device, around):
        until = _kept_until(device, around)
        kept = "for as long as it is kept" if until is None else "until it is removed"
        found.append(Evidence(f"The subscription can be restored {kept}.", until))
    return found


def is_restorable(device: Device, around: Surroundings) -> bool:
    """Whether an operator can make a device active again that is disabled."""
    if device.subscription.state not in _DISABLED or not device.key_signs:
        return False
    until = _kept_until(device, around)
    return until is None or until > around.now


def is_braked(device: Device, around: Surroundings) -> bool:
    """Whether a brake holds a device, and an operator is to decide."""
    health = around.services.get(device.subscription.service)
    is_held = device.subscription.state is SubscriptionState.HELD
    return is_held and health is not None and health.brake is not None


def _kept_until(device: Device, around: Surroundings) -> datetime | None:
    """Return when a disabled device is removed, as far as a time can be told; None if never."""
    if device.disabled_at is None or not around.keeps_disabled_s:
        return None
    try:
        return device.disabled_at + timedelta(seconds=around.keeps_disabled_s)
    except OverflowError:
        return None


def _stop(health: ServiceHealth, key: str) -> StoppedKey | None:
    return next((stop for stop in health.stopped if stop.key == key), None)
