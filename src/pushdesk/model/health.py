"""How push services are."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.model.subscription import Service


class LaneState(StrEnum):
    """Whether anything is sent to a push service."""

    OPEN = "open"
    THROTTLED = "throttled"
    BROKEN = "broken"
    PAUSED = "paused"


class StoppedKey(Struct, frozen=True):
    """A VAPID key that a push service refuses: nothing is sent there with it, but for a trial once in a while."""

    key: str
    since: datetime
    reason: str
    until: datetime
    """When one is tried."""


class BrakeOn(Struct, frozen=True):
    """Why a push service's answers end no subscription for now: those that they would end are held."""

    since: datetime
    reason: str
    held: int = 0
    """Subscriptions that are held."""


class ServiceHealth(Struct, frozen=True):
    """How a push service has been answering since the server started."""

    service: Service
    sent: int = 0
    accepted: int = 0
    failed: int = 0
    in_flight: int = 0
    waiting: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    last_error: str = ""
    last_error_at: datetime | None = None
    retry_at: datetime | None = None
    """When what it throttled is tried again, if it throttled anything."""
    state: LaneState = LaneState.OPEN
    since: datetime | None = None
    """Since when it is in this state; None of one that is open."""
    reason: str = ""
    """Why it is not open."""
    until: datetime | None = None
    """When something is sent again, be it a trial; None where that is not known."""
    stopped: tuple[StoppedKey, ...] = ()
    brake: BrakeOn | None = None
    """None while it is off."""


class DecidedBrake(Struct, frozen=True):
    """What came of confirming or releasing: how the push service is now, and how many subscriptions were held."""

    service: ServiceHealth
    subscriptions: int
