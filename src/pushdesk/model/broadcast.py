"""Broadcasts: one message to all users, or to a list of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from pushdesk.model.delivery import Outcome
from pushdesk.model.notification import Notification
from pushdesk.model.subscription import Service


class BroadcastRequest(Notification, frozen=True, omit_defaults=True):
    """What an application asks to be shown to all users, or to those that it names."""

    users: tuple[str, ...] | None = None
    """None for all. A list that is longer than a request may be is streamed, a user on each line."""

    @property
    def notification(self) -> Notification:
        """What is to be shown, without to whom."""
        return Notification(**{name: getattr(self, name) for name in Notification.__struct_fields__})


class BroadcastState(StrEnum):
    """How far a broadcast has come."""

    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    """By an operator: nothing more of it is sent until it is resumed, and it expires by its TTL."""
    DONE = "done"
    CANCELLED = "cancelled"
    """Somebody aborted it: what was sent by then was sent."""


class BroadcastPart(Struct, frozen=True):
    """What of a broadcast goes to one push service."""

    service: Service
    planned: int
    """Subscriptions when it was accepted, or once it is due; what was removed since is not sent to."""
    done: int = 0
    """Of them, those that it has got to."""


class PlannedPart(Struct, frozen=True):
    """What of a broadcast would go to one push service."""

    service: Service
    subscriptions: int
    duration_s: float | None = None
    """How long that would take at the rate at which it took what was sent lately; None if nothing was."""
    note: str = ""
    """Why it would take longer, such as that its lane is shut; a sentence."""


class BroadcastPlan(Struct, frozen=True):
    """What a broadcast would be; nothing of it is kept."""

    parts: tuple[PlannedPart, ...]
    subscriptions: int
    users: int | None
    """Of a list, how many different users it names; None for all users."""
    unknown: int
    """How many of the list are not known, or have no device that is sent to."""
    unknown_users: tuple[str, ...]
    """The first 20 of them."""
    message_bytes: int
    """The size of what is pushed, before encryption."""
    limit_bytes: int
    """The most that it may be."""
    duration_s: float | None
    """How long the push service that takes longest would take; None if that is not known."""


class Broadcast(Struct, frozen=True):
    """A broadcast on its way, with what became of it so far. Its id is its dispatch's."""

    id: str
    title: str
    state: BroadcastState
    accepted_at: datetime
    parts: tuple[BroadcastPart, ...] = ()
    counts: dict[Outcome, int] = {}
    users: int | None = None
    """Of a list, how many users it names; None for all users."""
    send_at: datetime | None = None
    """For when it is scheduled; None once it is due."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    per_s: float | None = None
    """Subscriptions that it got to per second, lately; None while it stands still."""
    left_s: float | None = None
    """How long it will take at this rate; None if that is not known."""

    @property
    def planned(self) -> int:
        """How many subscriptions it is for."""
        return sum(part.planned for part in self.parts)

    @property
    def done(self) -> int:
        """How many of them it has got to."""
        return sum(part.done for part in self.parts)
