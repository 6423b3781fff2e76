"""What an application asks to be shown."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct


class Urgency(StrEnum):
    """RFC 8030 section 5.3."""

    VERY_LOW = "very-low"
    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Direction(StrEnum):
    """Text direction of a notification."""

    AUTO = "auto"
    LTR = "ltr"
    RTL = "rtl"


class Action(Struct, frozen=True, omit_defaults=True):
    """A button of a notification."""

    action: Annotated[str, Meta(min_length=1, max_length=64)]
    title: Annotated[str, Meta(min_length=1, max_length=200)]
    url: Annotated[str, Meta(max_length=2048)] | None = None


class Notification(Struct, frozen=True, omit_defaults=True):
    """What an application asks to be shown, and how it is to be delivered.

    The bounds keep hostile input small; the limit that counts is that of the whole pushed message (3993 bytes). It is
    the only one of title and body.
    """

    title: Annotated[str, Meta(min_length=1)]
    body: str | None = None
    icon: Annotated[str, Meta(max_length=2048)] | None = None
    badge: Annotated[str, Meta(max_length=2048)] | None = None
    image: Annotated[str, Meta(max_length=2048)] | None = None
    tag: Annotated[str, Meta(max_length=200)] | None = None
    url: Annotated[str, Meta(max_length=2048)] | None = None
    actions: Annotated[tuple[Action, ...], Meta(max_length=8)] = ()
    lang: Annotated[str, Meta(max_length=35)] | None = None
    dir: Direction | None = None
    silent: bool | None = None
    require_interaction: bool | None = None
    renotify: bool | None = None
    timestamp: Annotated[int, Meta(ge=0, le=253402300799999)] | None = None
    data: Any = None
    app_badge: Annotated[int, Meta(ge=0, le=2**53 - 1)] | None = None
    ttl: Annotated[int, Meta(ge=1, le=2419200)] = 86400
    urgency: Urgency = Urgency.NORMAL
    topic: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    send_at: Annotated[datetime, Meta(tz=True)] | None = None
