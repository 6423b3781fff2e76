"""What happens next to a delivery, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.console.figures import moment, span
from pushdesk.console.status import service_name
from pushdesk.model import Outcome

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import Delivery

ENDS: Final = {
    Outcome.GONE: "Nothing: nothing is sent to this device any more, until its browser subscribes again.",
    Outcome.KEY_MISMATCH: "Nothing: nothing is sent to this device any more, until its browser subscribes again.",
    Outcome.REFUSED: "Nothing: it is not tried again. Others are sent to this device as before.",
    Outcome.OUR_CONFIGURATION: "Nothing: it is not tried again, and others will fare alike until it is mended.",
    Outcome.EXPIRED: "Nothing: its time to live is over.",
    Outcome.SUPERSEDED: "Nothing: a newer one with the same topic took its place.",
    Outcome.CANCELLED: "Nothing: it was taken back.",
}


def prospect(delivery: Delivery, expires_at: datetime, now: datetime) -> str:
    """Return what happens next to a delivery, in a sentence.

    Args:
        delivery: As it is now.
        expires_at: Until when it is tried.
        now: The time, in the zone in which times are shown.
    """
    following, end = delivery.next_attempt_at, moment(expires_at, now)
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
        case Outcome.HELD:
            return f"It is held back until somebody confirms or releases it, at most until {end}."
        case outcome:
            return ENDS[outcome]
