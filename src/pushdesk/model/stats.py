"""The state of the server, now and before."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.model.cache import CacheStats
from pushdesk.model.delivery import Outcome
from pushdesk.model.health import ServiceHealth


class Span(StrEnum):
    """For how long back a history tells."""

    MINUTES = "5m"
    HOUR = "1h"
    DAY = "1d"


class History(Struct, frozen=True):
    """How the server has been doing, in steps of the same length, the newest last.

    Every series has the same number of steps: fewer than the span has where the server runs for a shorter time. The
    step that is not over yet is not there.
    """

    span: Span
    step_s: float
    steps: int
    """How many the whole span has."""
    end: datetime
    """When the last step ended."""
    sends: tuple[int, ...] = ()
    """Requests to push services that were answered, or were not in time."""
    p50_ms: tuple[float | None, ...] = ()
    """Of their latencies; None of a step without."""
    p95_ms: tuple[float | None, ...] = ()
    outcomes: dict[Outcome, tuple[int, ...]] = {}
    """What deliveries came to; only outcomes that there were."""
    cache_hits: tuple[int, ...] = ()
    cache_lookups: tuple[int, ...] = ()
    queue: tuple[int, ...] = ()
    """The most deliveries that were not settled at once, as it was looked at once a second."""


class Experiment(StrEnum):
    """A feature that the configuration switches, under this name in `[experiments]`."""

    WEB_PUSH = "web-push"
    """Web Push: subscribing, and whatever is sent."""
    TURN_SUMMARIES = "turn-summaries"
    """Summaries of turns that another program writes."""


class Shortage(StrEnum):
    """What there is too little room for, so that nothing more is accepted: the code of the error that says so."""

    QUEUE = "queue_full"
    DISK = "disk_full"


class SenderStats(Struct, frozen=True):
    """How what sends is doing."""

    wanted: int = 0
    """Processes that there should be; 0 where the server's own process sends."""
    running: int = 0
    """Those that take pushes."""
    restarts: int = 0
    """Processes that were started in the place of others."""
    in_hand: int = 0
    """Pushes that are being sent."""
    waiting: int = 0
    """Pushes that no process has had room for so far."""
    without_file: int = 0
    """Pushes that were put off because as many files were open as may be."""


class Stats(Struct, frozen=True):
    """The state of the server in one immutable value: what the overview shows."""

    time: datetime
    version: str
    url: str
    started_at: datetime
    storage: str
    key_id: str
    key_created_at: datetime
    users: int = 0
    subscriptions: int = 0
    queue: int = 0
    in_flight: int = 0
    outcomes: dict[Outcome, int] = {}
    """Settled and retried outcomes since the server started."""
    sends_per_s: float = 0.0
    """Requests to push services that ended per second, in the last two seconds that are over."""
    p95_ms: float | None = None
    """The 95th percentile of their latencies in the last half to whole minute; None of none."""
    services: tuple[ServiceHealth, ...] = ()
    cache: CacheStats = CacheStats()
    senders: SenderStats = SenderStats()
    sends: bool = True
    """Whether anything is sent: push can be switched off."""
    refusing: tuple[Shortage, ...] = ()
    """Why nothing more is accepted, if so."""
    warnings: tuple[str, ...] = ()
    """What the operator should mend: sentences for a person."""


class Vacuumed(Struct, frozen=True):
    """What the database takes on the disk, in bytes, before and after it was made smaller."""

    before: int
    after: int
