"""Users, their subscriptions, and how browsers make and lose them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from pushdesk.masked import Masked


class Service(StrEnum):
    """A push service, told from the endpoint's host."""

    FCM = "fcm"
    MOZILLA = "mozilla"
    APPLE = "apple"
    WNS = "wns"
    OTHER = "other"


class SubscriptionState(StrEnum):
    """Whether a subscription is sent to, and if not, why."""

    ACTIVE = "active"
    GONE = "gone"
    KEY_MISMATCH = "key_mismatch"
    HELD = "held"


class Subscription(Struct, frozen=True, gc=False):
    """What may be shown of a subscription; its endpoint and keys are a `PushTarget`."""

    id: str
    user: str
    service: Service
    fingerprint: str
    browser: str
    platform: str
    key_id: str
    state: SubscriptionState
    created_at: datetime
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True)
class PushTarget:
    """The secrets of a subscription: what is needed to push to it (RFC 8030 section 4, RFC 8291 section 2).

    Never leaves engine, storage and the senders, and its repr shows none of it.
    """

    subscription: str
    version: int
    user: str
    service: Service
    key_id: str
    device: str
    """What a person would call it: browser and platform."""
    endpoint: str = field(repr=False)
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)


class User(Struct, frozen=True, gc=False):
    """A user, as the console lists them."""

    id: str
    created_at: datetime
    subscriptions: int = 0
    """Those that are sent to."""
    last_delivery_at: datetime | None = None
    """When a push service last accepted something for one of their devices."""
    last_failure_at: datetime | None = None
    """When one last did not."""


class RestoreResult(StrEnum):
    """What came of restoring a subscription."""

    RESTORED = "restored"
    ALREADY_ACTIVE = "already_active"
    NOT_FOUND = "not_found"
    """There is none: it was removed, be it because it was disabled for too long."""
    HELD = "held"
    """A brake holds it."""
    KEY_ENDED = "key_ended"
    """The key that it was made with is not used any more, or not here."""
    TOO_MANY_DEVICES = "too_many_devices"


class Restoration(Struct, frozen=True):
    """What came of restoring a subscription."""

    id: str
    result: RestoreResult
    reason: str = ""
    """Why it was not restored, in a sentence."""


class SubscriptionKeys(Masked, Struct, frozen=True):
    """The keys of a `PushSubscription`, in either base64 alphabet (RFC 8291 section 2.1)."""

    p256dh: Annotated[str, Meta(max_length=200)]
    auth: Annotated[str, Meta(max_length=100)]

    def __repr__(self) -> str:
        return "SubscriptionKeys(...)"


class SubscriptionRequest(Masked, Struct, frozen=True, omit_defaults=True):
    """What a browser hands over: `PushSubscription.toJSON()` and what our client library adds to it."""

    endpoint: Annotated[str, Meta(min_length=1, max_length=2048)]
    keys: SubscriptionKeys
    expirationTime: float | None = None  # noqa: N815 (the W3C's name)
    key_id: Annotated[str, Meta(pattern="^[0-9a-f]{8}$")] | None = None
    replaces: Annotated[str, Meta(min_length=1, max_length=2048)] | None = None
    user_agent: Annotated[str, Meta(max_length=512)] | None = None

    def __repr__(self) -> str:
        return "SubscriptionRequest(...)"


class PushTest(StrEnum):
    """What the test push of a new subscription came to."""

    ACCEPTED = "accepted"
    TRANSIENT = "transient"
    SKIPPED = "skipped"


class Subscribed(Masked, Struct, frozen=True):
    """What came of subscribing: `token` is the device token, shown once, with a new subscription only."""

    subscription: Subscription
    test: PushTest
    created: bool
    token: str | None = None

    def __repr__(self) -> str:
        return f"Subscribed(subscription={self.subscription!r}, test={self.test!r}, created={self.created!r})"
