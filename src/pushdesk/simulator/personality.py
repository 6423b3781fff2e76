"""Which push service the simulator takes after, and what that one demands of a push.

Sources: docs/push-services.md; where nothing is known of a service, RFC 8030 and RFC 8292 are asked of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_DAY_S: Final = 24 * 3600


class Personality(StrEnum):
    """A push service, with its statuses, error bodies and limits."""

    OTHER = "other"
    """None of the four: RFC 8030 to the letter, in Mozilla's words."""
    FCM = "fcm"
    MOZILLA = "mozilla"
    APPLE = "apple"
    WNS = "wns"

    @property
    def rules(self) -> Rules:
        """What it demands."""
        return _RULES[self]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a push service demands of a push."""

    host: str = ""
    """Its name, by which a server knows it."""
    largest_body: int = 4096
    """Bytes; RFC 8030 section 7.2 lets a push service refuse more."""
    shortest_ttl_s: int = 0
    longest_ttl_s: int = 28 * _DAY_S
    grants_less: bool = False
    """Whether a longer TTL is cut down instead of being refused."""
    tells_ttl: bool = False
    """Whether the answer names the TTL that was granted (RFC 8030 section 5.2)."""
    decodes_topic: bool = False
    checks_urgency: bool = False
    needs_sub: bool = False
    needs_contact: bool = False
    """Whether `sub` has to be an address at which somebody can be reached."""
    needs_length: bool = False
    """Whether a body in chunks is refused."""


_RULES: Final = {
    Personality.OTHER: Rules(longest_ttl_s=30 * _DAY_S, grants_less=True, tells_ttl=True, needs_sub=True),
    Personality.FCM: Rules("fcm.googleapis.com"),
    Personality.MOZILLA: Rules(
        "updates.push.services.mozilla.com", longest_ttl_s=30 * _DAY_S, grants_less=True, tells_ttl=True
    ),
    Personality.APPLE: Rules(
        "web.push.apple.com",
        shortest_ttl_s=1,
        decodes_topic=True,
        checks_urgency=True,
        needs_sub=True,
        needs_contact=True,
    ),
    Personality.WNS: Rules("wns2-par02p.notify.windows.com", largest_body=5000, shortest_ttl_s=1, needs_length=True),
}

LARGEST_BODY: Final = max(rules.largest_body for rules in _RULES.values())
"""Bytes that have to be read of a push to know whether it is too large for any of them."""
THE_FOUR: Final = tuple(one for one in Personality if one.rules.host)
"""Those with a name of their own."""

REMOVED_ORIGIN: Final = "https://permanently-removed.invalid"
"""Of the endpoint that Chromium has for a subscription which its push service has dropped for good."""


def personality_of_host(host: str) -> Personality | None:
    """Return the service with that name."""
    return next((one for one in THE_FOUR if one.rules.host == host.lower()), None)
