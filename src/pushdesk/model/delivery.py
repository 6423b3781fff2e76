"""Dispatches, their deliveries, and what becomes of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.model.notification import Urgency
from pushdesk.model.subscription import Service


class Outcome(StrEnum):
    """What became of one notification on one subscription."""

    WAITING = "waiting"
    ACCEPTED = "accepted"
    GONE = "gone"
    KEY_MISMATCH = "key_mismatch"
    REFUSED = "refused"
    OUR_CONFIGURATION = "our_configuration"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    HELD = "held"
    CANCELLED = "cancelled"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will be tried."""
        return self not in UNSETTLED


UNSETTLED = frozenset({Outcome.WAITING, Outcome.THROTTLED, Outcome.TRANSIENT})


class DispatchKind(StrEnum):
    """What asked for a dispatch."""

    NOTIFICATION = "notification"
    TURN = "turn"
    BROADCAST = "broadcast"
    TEST = "test"


class DispatchState(StrEnum):
    """How far a dispatch has come."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    DONE = "done"
    CANCELLED = "cancelled"


class Delivery(Struct, frozen=True, gc=False):
    """One notification on its way to one subscription."""

    id: str
    dispatch: str
    user: str
    subscription: str
    service: Service
    outcome: Outcome
    at: datetime
    status: int | None = None
    reason: str = ""
    attempts: int = 0
    latency_ms: float | None = None
    next_attempt_at: datetime | None = None
    device: str = ""


class Dispatch(Struct, frozen=True, gc=False):
    """One accepted request to notify, with what became of it (at most 200 deliveries, then `next`)."""

    id: str
    user: str | None
    kind: DispatchKind
    title: str
    accepted_at: datetime
    state: DispatchState
    counts: dict[Outcome, int] = {}
    deliveries: tuple[Delivery, ...] = ()
    next: str | None = None
    send_at: datetime | None = None
    """For when it is scheduled; None once it is due."""


class Attempt(Struct, frozen=True, gc=False):
    """One request to a push service, and what came of it."""

    number: int
    """From 1."""
    at: datetime
    """When it was settled."""
    outcome: Outcome
    status: int | None = None
    reason: str = ""
    latency_ms: float | None = None
    headers: dict[str, str] = {}
    """Of the answer, those that say something of the push and no secret; names in lower case."""


class DeliveryRecord(Struct, frozen=True, gc=False):
    """All that is known of one delivery."""

    delivery: Delivery
    dispatch: Dispatch
    """Without its deliveries."""
    attempts: tuple[Attempt, ...]
    """Every attempt, the first one first."""
    urgency: Urgency
    topic: str | None
    """As it was asked for."""
    ttl_s: int
    """For how long a push service was asked to keep it, counted from when the dispatch was due."""
    expires_at: datetime
    size: int
    """Bytes of the message before it is encrypted."""


class Accepted(Struct, frozen=True):
    """An accepted dispatch; `repeated` when its idempotency key was known and nothing new was accepted."""

    dispatch: Dispatch
    repeated: bool = False
