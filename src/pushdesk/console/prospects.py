"""What happens next to a delivery, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.console.figures import moment, span
from pushdesk.console.status import LANES, service_name
from pushdesk.model import LaneState, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pushdesk.model import Delivery, ServiceHealth

ENDS: Final = {
    # Of this delivery only: what has become of its device meanwhile it does not tell.
    Outcome.GONE: "Nothing: it is not tried again. The push service did not know the subscription any more.",
    Outcome.KEY_MISMATCH: "Nothing: it is not tried again. The subscription was made with another key.",
    Outcome.REFUSED: "Nothing: it is not tried again.",
    Outcome.OUR_CONFIGURATION: "Nothing: it is not tried again. The cause is this server, not the device.",
    Outcome.HELD: "Nothing: its device is held until somebody confirms that it has ended, or releases it.",
    Outcome.EXPIRED: "Nothing: its time to live is over.",
    Outcome.SUPERSEDED: "Nothing: a newer one with the same topic took its place.",
    Outcome.CANCELLED: "Nothing: it was taken back.",
}


def prospect(delivery: Delivery, expires_at: datetime, now: datetime, services: Iterable[ServiceHealth] = ()) -> str:
    """Return what happens next to a delivery, in a sentence.

    Args:
        delivery: As it is now.
        expires_at: Until when it is tried.
        now: The time, in the zone in which times are shown.
        services: How the push services are: what is for one whose lane is shut waits for that.
    """
    following, end = delivery.next_attempt_at, moment(expires_at, now)
    health = next((each for each in services if each.service is delivery.service), None)
    if not delivery.outcome.is_settled and health is not None and health.state is not LaneState.OPEN:
        return _behind(health, end, now)
    match delivery.outcome:
        case Outcome.ACCEPTED:
            return f"Nothing: {service_name(delivery.service)} has taken it and hands it to the browser."
        case Outcome.THROTTLED | Outcome.TRANSIENT if following is not None and following >= expires_at:
            return f"It is given up at {end}: it would be tried again too late."
        case Outcome.THROTTLED | Outcome.TRANSIENT if following is not None and following > now:
            left = span((following - now).total_seconds())
            return f"It is tried again at {moment(following, now)}, in {left}, until {end}."
        case Outcome.WAITING | Outcome.THROTTLED | Outcome.TRANSIENT:
            return f"It is sent as soon as it is its turn, until {end}."
        case outcome:
            return ENDS[outcome]


def _behind(health: ServiceHealth, end: str, now: datetime) -> str:
    name, word = service_name(health.service), LANES[health.state].word
    then = "until somebody resumes it" if health.state is LaneState.PAUSED else "until that is over"
    if health.until is not None and health.until > now:
        then = f"until {moment(health.until, now)}, in {span((health.until - now).total_seconds())}"
    return f"It waits {then}, as {name} is {word}; at {end} it is given up."
