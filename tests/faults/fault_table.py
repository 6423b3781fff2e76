"""Every fault of the simulator, and what is done about it."""

from __future__ import annotations

from typing import Final, NamedTuple

from pushdesk.model import Outcome, SubscriptionState

TTL_S: Final = 600
ACCEPTED, GONE, REFUSED, OURS = Outcome.ACCEPTED, Outcome.GONE, Outcome.REFUSED, Outcome.OUR_CONFIGURATION
MISMATCH, THROTTLED, TRANSIENT = Outcome.KEY_MISMATCH, Outcome.THROTTLED, Outcome.TRANSIENT
AGAIN: Final = (TRANSIENT, ACCEPTED)
"""It is tried again, and then nothing is wrong any more."""


class Row(NamedTuple):
    """A fault that is met once, and what is done about it."""

    fault: str
    outcomes: tuple[Outcome, ...]
    """Of each attempt; after the last of them nothing is tried, unless there is a wait."""
    copies: int = 0
    """How often the device received it."""
    wait_s: float | None = None
    """For how long it waits to be tried again, if that is not at once."""
    state: SubscriptionState = SubscriptionState.ACTIVE
    """What becomes of the subscription."""
    says: str = ""
    """Part of what is said about it."""
    service: str = ""
    """The push service whose answer it is; else one that nobody knows, without TLS."""


TABLE: Final = (
    Row("200", (ACCEPTED,)),
    Row("300", (REFUSED,)),
    Row("301:location=http://127.0.0.1:1/", (REFUSED,)),
    Row("302:location=https://fcm.googleapis.com/", (REFUSED,)),
    Row("304", (REFUSED,)),
    Row("307:location=http://169.254.169.254/latest/", (REFUSED,)),
    Row("400", (REFUSED,)),
    Row("400", (REFUSED,), service="wns"),
    Row("401", (REFUSED,)),
    Row("401", (OURS,), service="mozilla"),
    Row("401", (OURS,), service="wns"),
    Row("403", (REFUSED,)),
    Row("403", (OURS,), service="apple"),
    Row("403", (OURS,), service="fcm"),
    Row("404", (GONE,), state=SubscriptionState.GONE),
    Row("406", (THROTTLED,), wait_s=300, service="wns"),
    Row("408", AGAIN, copies=1),
    Row("410", (GONE,), state=SubscriptionState.GONE),
    Row("413", (REFUSED,)),
    Row("418", (REFUSED,)),
    Row("429:retry-after=none", (THROTTLED,), wait_s=10),
    Row("429:retry-after=30", (THROTTLED,), wait_s=30),
    Row("429:retry-after=date", (THROTTLED,), wait_s=29),
    Row("429:retry-after=garbage", (THROTTLED,), wait_s=10, says="cannot be read"),
    Row("429:retry-after=negative", (THROTTLED,), wait_s=10, says="cannot be read"),
    Row("429:retry-after=31536000", (THROTTLED,), wait_s=TTL_S - 1, says="tried last before its TTL ends"),
    Row("429:retry-after=huge", (THROTTLED,), wait_s=TTL_S - 1, says="tried last before its TTL ends"),
    Row("500", AGAIN, copies=1),
    Row("503:retry-after=none", AGAIN, copies=1),
    Row("503:retry-after=30", (THROTTLED,), wait_s=30),
    Row("503:retry-after=garbage", (THROTTLED,), wait_s=10, says="cannot be read"),
    Row("599", AGAIN, copies=1),
    Row("silence", AGAIN, copies=1),
    Row("delay:seconds=0.05", (ACCEPTED,), copies=1),
    Row("delay:seconds=60", AGAIN, copies=1),
    Row("reset", AGAIN, copies=1),
    # It was taken, and nobody was told: the one duplicate that no push service could spare anybody.
    Row("reset-after", AGAIN, copies=2),
    Row("slow-head:seconds=0.1", AGAIN, copies=1),
    Row("endless-103", AGAIN, copies=1),
    Row("slow-body:seconds=0.1", (ACCEPTED,), copies=1),
    Row("slow-body:seconds=0.1,status=410", (GONE,), state=SubscriptionState.GONE),
    Row("endless-body", (ACCEPTED,), copies=1),
    Row("endless-body:status=500", AGAIN, copies=1),
    Row("gzip-bomb", (ACCEPTED,), copies=1),
    Row("gzip-bomb:status=400", (REFUSED,)),
    Row("key-mismatch", (MISMATCH,), state=SubscriptionState.KEY_MISMATCH),
    Row("key-mismatch", (MISMATCH,), state=SubscriptionState.KEY_MISMATCH, service="apple"),
    Row("key-mismatch", (MISMATCH,), state=SubscriptionState.KEY_MISMATCH, service="fcm"),
    Row("key-mismatch", (MISMATCH,), state=SubscriptionState.KEY_MISMATCH, service="mozilla"),
    Row("ttl:seconds=5", (ACCEPTED,), copies=1),
    Row("tls-expired", AGAIN, copies=1, service="mozilla"),
    Row("tls-wrong-name", AGAIN, copies=1, service="mozilla"),
    Row("tls-cut", AGAIN, copies=1, service="mozilla"),
)
