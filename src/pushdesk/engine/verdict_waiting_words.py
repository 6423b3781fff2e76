"""What a verdict says of what waits for its push service, or waited for it to its end: pure, and our own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.engine.lane import LEFT_ALONE
from pushdesk.engine.lanes import WAITED
from pushdesk.engine.stopped_keys import REFUSED
from pushdesk.engine.verdict_words import WAIT, WHO, Words, within
from pushdesk.model import LaneState, Remedy
from pushdesk.storage.ending import BEFORE, LAST

if TYPE_CHECKING:
    from pushdesk.model import Delivery, Service

THEN_RESET: Final = "When it is mended, reset the push service: what waits goes out at once."
_LONGER: Final = "send it again, with a longer ttl if it may come late."
_EXPIRED_BEHIND: Final = {
    LaneState.PAUSED: (
        "Its time to live was over while its push service was paused by an operator of this server.",
        f"See that the push service is resumed, and {_LONGER}",
    ),
    LaneState.THROTTLED: (
        "Its time to live was over while {who} had asked this server to wait.",
        f"When it takes pushes again, {_LONGER}",
    ),
    LaneState.BROKEN: (
        "Its time to live was over while {who} had a fault, or could not be reached.",
        f"When it takes pushes again, {_LONGER}",
    ),
}
"""What is said of what waited for its push service to the end, and the advice."""


def service_paused(service: Service) -> Words:
    """Return the words for what waits because an operator has paused its push service."""
    return Words(
        f"{WHO[service]} is paused by an operator of this server: nothing is sent there.",
        "Resume it: what waits goes out then, unless its time to live is over before that.",
        Remedy.WAIT,
    )


def service_throttled(service: Service) -> Words:
    """Return the words for what waits because its push service gets too much."""
    return Words(
        f"{WHO[service]} gets too much from this server, and has asked it to wait.",
        f"{WAIT} Reset the push service only if you know that it may be asked again.",
        Remedy.WAIT,
    )


def service_broken(service: Service) -> Words:
    """Return the words for what waits because its push service fails."""
    return Words(
        f"{WHO[service]} has a fault, or cannot be reached: half of what was sent there, or more, has failed.",
        f"{WAIT} One after another is tried, and all goes out when one is answered. If you know that it is back, "
        "reset it. If it goes on, pushdesk doctor tells what is in the way.",
        Remedy.WAIT,
    )


def key_stopped(service: Service) -> str:
    """Return what is said of a delivery that waits for a key that its push service refuses."""
    return (
        f"{WHO[service]} refuses what this server signs with the key of this device: nothing is sent there with it but "
        "a trial now and then. That is not the device's fault."
    )


def left_alone(service: Service) -> Words:
    """Return the words for what waits because another push to its device was throttled."""
    return Words(f"{WHO[service]} has asked to leave this device alone, after another push to it.", WAIT, Remedy.WAIT)


def in_line(service: Service, waiting: int, rate: int) -> Words:
    """Return the words for what has others before it.

    Args:
        service: Its push service.
        waiting: How many deliveries wait for that.
        rate: How many of them may start per second; 0 is no limit.
    """
    at_most = f", of which {rate} a second may start" if rate else ""
    return Words(
        f"It was accepted and waits in line: {waiting} deliveries wait for {within(service)}{at_most}.",
        "Wait: what is due longest goes first. It expires if its time to live is over before its turn.",
        Remedy.WAIT,
    )


BROADCAST_PAUSED: Final = Words(
    "It is of a broadcast that somebody has paused: nothing more of it is sent.",
    "Resume it: what is left goes out then, unless its time to live is over before that.",
    Remedy.WAIT,
)
NOT_REACHED_YET: Final = Words(
    "The broadcast has not got to this device yet.", "Wait: it goes to one device after another.", Remedy.WAIT
)
NOT_REACHED_IN_TIME: Final = Words(
    "The time to live of the broadcast was over before it got to this device.",
    f"{_LONGER.capitalize()}",
    Remedy.SEND_AGAIN,
)
NOT_REACHED_BY_ABORTED: Final = Words(
    "The broadcast was aborted before it got to this device.",
    "Send it to the user if it is still wanted.",
    Remedy.SEND_AGAIN,
)
NOT_FOR_IT: Final = Words(
    "The last broadcast was accepted before this device subscribed: it was not for it.",
    "Send it to the user if they are to have it; else send the test push to see that the device works.",
    Remedy.TEST,
)
PASSED_OVER: Final = Words(
    "The broadcast passed this device over: it was not sent to when its turn came, or something newer was.",
    "Send it to the user if they are to have it; else send the test push to see that the device works.",
    Remedy.TEST,
)
TAKEN_IN_STRETCH: Final = (
    "The broadcast has got to this device, and nothing that went wrong with it is noted. What push services take of "
    "broadcasts is counted and not noted for each device, so no more is known than that."
)


def expired(delivery: Delivery) -> Words:
    """Return the words for what was not handed over in time."""
    last = delivery.reason.partition(LAST)[2].partition(BEFORE)[0]
    for state, (says, advice) in _EXPIRED_BEHIND.items():
        if last.startswith(WAITED[state].format("").strip()):
            return Words(says.format(who=within(delivery.service)), advice, Remedy.SEND_AGAIN)
    if last == LEFT_ALONE:
        says = f"Its time to live was over while {within(delivery.service)} asked to leave this device alone."
        return Words(says, "Send it again, with a longer ttl if it may come late.", Remedy.SEND_AGAIN)
    if last.startswith(REFUSED):
        return Words(
            f"Its time to live was over while {within(delivery.service)} refused the key that this server signs with.",
            "See what it says of the key. When that is mended, send it again.",
            Remedy.SEND_AGAIN,
        )
    if not delivery.attempts:
        return Words(
            "Its time to live was over before it was sent: the server was not running, or its queue was too long.",
            "Send it again, with a longer ttl if it may come late. If there are more of them, look at the queue.",
            Remedy.SEND_AGAIN,
        )
    return Words(
        "Its time to live was over before a push service took it.",
        "Send it again, with a longer ttl if it may come late.",
        Remedy.SEND_AGAIN,
    )
