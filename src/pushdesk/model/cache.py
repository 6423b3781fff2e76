"""What the subscription cache holds and does."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class CacheChange(StrEnum):
    """What happened in the subscription cache: each is counted, and told as an event."""

    HIT = "hit"
    """A user's devices were served from the cache."""
    MISS = "miss"
    """They were not in it."""
    EXPIRED = "expired"
    """They were in it for too long."""
    OUTDATED = "outdated"
    """What was in it is known to be older than what was asked for."""
    JOINED = "joined"
    """They were not in it, and were being read already."""
    STORED = "stored"
    """They were read and put in."""
    DISCARDED = "discarded"
    """They were read and not put in, because they had changed meanwhile."""
    INVALIDATED = "invalidated"
    """They were dropped: they changed, were read too slowly or before a change, or somebody asked for it."""
    PRUNED = "pruned"
    """Devices that are gone were taken out of what was in it."""
    EVICTED = "evicted"
    """They were dropped to make room."""
    CLEARED = "cleared"
    """Everything was dropped."""
    FAILED = "failed"
    """They could not be read."""


LOOK_UPS = (
    CacheChange.HIT,
    CacheChange.MISS,
    CacheChange.EXPIRED,
    CacheChange.OUTDATED,
    CacheChange.JOINED,
)
"""The changes that are look-ups, of which a hit ratio is."""


class CacheEntry(Struct, frozen=True, gc=False):
    """What the subscription cache holds of one user."""

    user: str
    generation: int
    """Of the user's subscriptions: it rises with every change of them."""
    devices: int
    age_s: float
    """Seconds since the read that it came from began."""
    time_left_s: float
    """Seconds until it is read again."""
    size: int
    """Bytes of memory that it is counted with."""


class Discarded(Struct, frozen=True):
    """A read that was not put into the cache, because its user's subscriptions had changed meanwhile."""

    time: datetime
    user: str
    read: int
    """The generation that was read."""
    current: int | None
    """The generation that is held instead; None where nothing is."""


class CacheStats(Struct, frozen=True):
    """The subscription cache in figures."""

    ttl_s: float = 0.0
    """Seconds for which an entry is served; 0 when the cache is off."""
    entries: int = 0
    """Users with devices that are held."""
    negative: int = 0
    """Users without devices that are held."""
    size: int = 0
    """Bytes of memory that both are counted with."""
    max_size: int = 0
    loading: int = 0
    """Users whose devices are being read."""
    reads: int = 0
    """Statements sent to the database since the server started."""
    counts: dict[CacheChange, int] = {}
    """What happened since the server started."""
    last_discarded: Discarded | None = None
