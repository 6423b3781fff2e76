"""What the store takes and gives besides the nouns of the model. Whatever holds a secret hides it from its repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.model import (
        AccessToken,
        Delivery,
        Dispatch,
        DispatchKind,
        InvitationFault,
        KeyState,
        PushTarget,
        Service,
        Subscription,
        SubscriptionState,
        Urgency,
    )

KEY_NOT_USED: Final = "The key it was made with is not used any more."
"""The reason of a delivery that was not sent because the key of its subscription had ended: told by it from others."""


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """A subscription to be stored. Its repr shows none of its secrets."""

    id: str
    user: str
    service: Service
    key_id: str
    key_is_declared: bool
    """Whether the browser said which key it used; else a known subscription keeps the one it has."""
    browser: str
    platform: str
    token_digest: bytes = field(repr=False)
    endpoint: str = field(repr=False)
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """What storing came to: `created` a new row, or `revived` one that had been disabled, or neither."""

    subscription: Subscription
    created: bool
    revived: bool
    removed: tuple[Subscription, ...]
    changed: bool
    """Whether anything was: the same subscription again changes nothing."""
    made_user: bool
    """Whether the user was not known before."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """What was taken back besides the subscription."""

    with_user: bool
    """Whether the user went too, who had come into being with it."""


@dataclass(frozen=True, slots=True)
class Targets:
    """A user's active subscriptions and the generation that they belong to, read by one statement.

    For a user who is not known, the generation is the last one that was given to anybody: as of it there is nothing.
    """

    generation: int
    targets: tuple[PushTarget, ...]


@dataclass(frozen=True, slots=True)
class Raised:
    """A user's generation was raised by a transaction."""

    user: str
    before: int
    """The epoch, which is 0 at first, for a user who was made by the same transaction."""
    after: int
    removed: frozenset[str] | None
    """The subscriptions that were removed or disabled, when nothing else was done to the user's; else None."""


@dataclass(frozen=True, slots=True)
class Disabling:
    """A subscription to be disabled, if it is still the version that was sent to."""

    subscription: str
    version: int
    state: SubscriptionState


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A VAPID key with its private half as PEM, which is empty for one that was revoked."""

    id: str
    public_key: str
    private_key: bytes = field(repr=False)
    state: KeyState
    created_at_ms: int
    is_restoring: bool = False
    """Whether its subscriptions are still being made active again."""


@dataclass(frozen=True, slots=True)
class KeyCounts:
    """How many subscriptions were made with which key, and what retiring it would cost."""

    bound: Mapping[str, Mapping[Service, int]]
    """Key -> active rows, per push service. Those of a key that has ended are yet to be swept."""
    users_left: Mapping[str, int]
    """Retiring key -> users who have no other live subscription."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a batch of the sweep did to subscriptions: one of the three, or nothing."""

    removed: tuple[Subscription, ...] = ()
    disabled: tuple[Subscription, ...] = ()
    restored: tuple[Subscription, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredToken:
    """An access token with the SHA-256 of its secret."""

    access: AccessToken
    secret_digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Redemption:
    """What redeeming an invitation came to: a browser of this user is enrolled, or why not."""

    user: str | None
    """None where it is not known."""
    fault: InvitationFault | None = None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """A browser that came by an invitation."""

    user: str
    token_digest: bytes = field(repr=False)
    subscription: str | None
    """The one that it has, if it has one."""


@dataclass(frozen=True, slots=True)
class RemovedUser:
    """A user who is no longer known, and how far what they were sent is still to be removed."""

    user: str
    was_known: bool
    """False for one who was gone already, when only what they were sent was still there."""
    subscriptions: tuple[Subscription, ...]
    last_dispatch: str
    last_delivery: str


@dataclass(frozen=True, slots=True)
class RemovedHistory:
    """A batch of what a removed user was sent, as it was."""

    dispatches: tuple[Dispatch, ...] = ()
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """By whom, and under which key, a request was made; the digest is of its body."""

    sender: str
    key: str
    body_digest: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """A dispatch as it is worked on: what is pushed, how, and until when. Times in milliseconds since the epoch."""

    id: str
    user: str
    kind: DispatchKind
    title: str
    plaintext: bytes = field(repr=False)
    urgency: Urgency
    topic: str | None
    subscription: str | None
    """Set when only one subscription is meant."""
    accepted_at_ms: int
    due_at_ms: int
    expires_at_ms: int
    idempotency: IdempotencyKey | None = field(default=None, repr=False)
    request: str | None = None
    """The id of the request that it came with, for the log."""


@dataclass(frozen=True, slots=True)
class Open:
    """A dispatch to be spread over its user's devices."""

    message: Message
    floor: int
    """The user's generation when this was read, the epoch for one who is not known: older devices must not be used."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery to be attempted now, whose device is still to be looked up."""

    delivery: Delivery
    message: Message
    floor: int
    """The user's generation when this was claimed, the epoch for one who is not known: none older must be used."""


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery to be attempted now: the message, the device, and what was tried before."""

    delivery: Delivery
    message: Message
    target: PushTarget


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an attempt came to: the delivery as it is now, and the subscription to be disabled because of it."""

    delivery: Delivery
    disabling: Disabling | None = None
    attempted: bool = True
    """False when nothing was tried: then the subscription's failures are not counted up."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, if there was one: those that say something of the push and no secret."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling a batch changed besides the deliveries themselves."""

    disabled: tuple[Subscription, ...]
    done: tuple[Dispatch, ...]
    """The dispatches of which nothing is left to do."""
