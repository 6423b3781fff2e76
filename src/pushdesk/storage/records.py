"""What the store takes and gives besides the nouns of the model. Whatever holds a secret hides it from its repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.model import DispatchState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushdesk.model import (
        AccessToken,
        Delivery,
        Dispatch,
        DispatchKind,
        InvitationFault,
        KeyState,
        Outcome,
        PushTarget,
        Service,
        Subscription,
        SubscriptionState,
        Urgency,
    )

IDEMPOTENCY_MS: Final = 24 * 3_600_000
"""How long an idempotency key is remembered."""
KEY_NOT_USED: Final = "The key it was made with is not used any more."
"""The reason of a delivery that was not sent because the key of its subscription had ended: told by it from others."""

IS_HELD: Final = "The device is held, as unusually many of its push service ended at once: nothing is sent to it."
"""The reason of a delivery that was not sent because a brake holds its subscription."""

IS_PAUSED: Final = "Its broadcast is paused."
"""The reason of a delivery that waits for that: told by it from others when it goes on."""


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
class HeldDevice:
    """A subscription that a brake holds, without its secrets: nothing is sent to it."""

    subscription: str
    service: Service
    device: str
    """What a person would call it."""


@dataclass(frozen=True, slots=True)
class Targets:
    """A user's active subscriptions and the generation that they belong to, read by one statement.

    For a user who is not known, the generation is the last one that was given to anybody: as of it there is nothing.
    """

    generation: int
    targets: tuple[PushTarget, ...]
    held: tuple[HeldDevice, ...] = ()
    """Those besides that a brake holds: they are not sent to, and whoever notifies is told so."""


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
class Hold:
    """A brake that is on: the subscriptions of a push service that seem to end are held because of it."""

    service: Service
    number: int
    """How many there were of this push service, with this one."""
    since_ms: int
    reason: str


@dataclass(frozen=True, slots=True)
class Disabling:
    """A subscription to be disabled, if it is still the version that was sent to."""

    subscription: str
    version: int
    state: SubscriptionState
    hold: Hold | None = None
    """What holds it, if a brake does: then it is that, and the state is what it would be without."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A subscription that nothing was ever delivered to, and whose pushes were refused too often."""

    subscription: str
    version: int
    service: Service


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
    done: tuple[Dispatch, ...] = ()
    """The broadcasts of which nothing is left to do without these deliveries."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """By whom, and under which key, a request was made; the digest is of its body."""

    sender: str
    key: str
    body_digest: bytes


class Topic(NamedTuple):
    """What a message is about: the newest of a topic is the only one that matters."""

    name: str
    precedence: int
    """The newer one has the higher; of two with the same, the one whose dispatch has the later id is newer."""


class Plan(NamedTuple):
    """Whom a broadcast is for: the active subscriptions of a moment."""

    planned: Mapping[Service, int]
    last_subscription: str
    """The id of the latest of all: what is made later is not sent to."""


@dataclass(frozen=True, slots=True)
class NewBroadcast:
    """What is stored of a broadcast besides its dispatch."""

    plan: Plan
    users: int | None
    """Of a list, how many; None for all users."""


@dataclass(frozen=True, slots=True)
class Message:
    """A dispatch as it is worked on: what is pushed, how, and until when. Times in milliseconds since the epoch."""

    id: str
    user: str
    """Empty for a broadcast, which is for many."""
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
    precedence: int = 0
    """By which it is newer or older than others of its topic, if it has one."""
    sender: str | None = None
    """The id of the token that the request came with; None where that was not kept."""
    broadcast: NewBroadcast | None = None
    """Of a new broadcast, what is stored with it."""


@dataclass(frozen=True, slots=True)
class Open:
    """A dispatch to be spread over its user's devices."""

    message: Message
    floor: int
    """The user's generation when this was read, the epoch for one who is not known: older devices must not be used."""


class Due(NamedTuple):
    """What there is to be done by now, and when there is more. Times in milliseconds since the epoch."""

    dispatch_ms: int | None
    """When the first dispatch is due that is not spread yet and is not among `opened`."""
    deliveries_ms: Mapping[Service, int]
    """Per push service, when the first delivery is that nobody has claimed."""
    opened: tuple[Open, ...]
    """Dispatches that are due and not spread over their devices yet, the longest due first."""


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
    awaits_key: str | None = None
    """The key that it waits for, if its push service refuses that one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Deliveries that were settled without an attempt, because of what happened elsewhere."""

    waiting: tuple[Delivery, ...] = ()
    """Those that nobody had claimed, as they are now."""
    claimed: frozenset[str] = frozenset()
    """The ids of those that somebody works on: for them this stands unless their attempt comes to more."""
    done: tuple[Dispatch, ...] = ()
    """The dispatches of which nothing is left to do."""
    removed: tuple[Delivery, ...] = ()
    """Those that there is nothing of: their users were removed. So far, they were counted as they are here."""


class Spread(NamedTuple):
    """Dispatches as deliveries to the devices of their users, to be written down."""

    deliveries: Sequence[Delivery]
    empty: frozenset[str]
    """Dispatches whose user has no device: these are done."""
    claims: Mapping[str, str]
    """Delivery -> claim, for those that are claimed at once; the others can be claimed when they are due."""
    awaited: Mapping[str, str]
    """Delivery -> key, for those that wait for one that their push service refuses."""
    topics: Mapping[str, Topic]
    """Of those dispatches that have one, by their ids."""

    @property
    def states(self) -> dict[str, DispatchState]:
        """Dispatch -> the state that it is in then."""
        sending = {delivery.dispatch: DispatchState.SENDING for delivery in self.deliveries}
        return sending | dict.fromkeys(self.empty, DispatchState.DONE)

    def but_for(self, dispatches: Collection[str]) -> Spread:
        """Return the same without some dispatches."""
        if not dispatches:
            return self
        left = [delivery for delivery in self.deliveries if delivery.dispatch not in dispatches]
        return self._replace(deliveries=left, empty=self.empty.difference(dispatches))


class Accepted(NamedTuple):
    """What accepting a batch of dispatches came to."""

    repeats: Mapping[str, tuple[str, bytes]]
    """For each message whose idempotency key was known: its id -> the first dispatch of that key and its body's
    digest."""
    outdated: frozenset[str] = frozenset()
    """Messages that were to be spread and were not: the devices of their users have changed."""
    ended: Ended = Ended()
    """What has ended by those that were spread."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What settling a batch changed besides the deliveries themselves."""

    disabled: tuple[Subscription, ...]
    done: tuple[Dispatch, ...]
    """The dispatches of which nothing is left to do."""
    refused: tuple[Refused, ...] = ()
    """Subscriptions that are to be disabled, as nothing was ever delivered to them; that is another transaction."""
    reaped: tuple[Subscription, ...] = ()
    """Those that were."""
    ended: Mapping[str, Delivery] = field(default_factory=dict)
    """By their ids, deliveries that would have been tried again and had ended meanwhile: as they are now."""
    removed: Sequence[Delivery] = ()
    """Deliveries that are in the database no more, as they were, and count for nothing."""


@dataclass(frozen=True, slots=True)
class StoredBroadcast:
    """A broadcast with what became of it so far. Times in milliseconds since the epoch."""

    dispatch: Dispatch
    """Without its deliveries and counts."""
    due_at_ms: int
    expires_at_ms: int
    topic: Topic | None
    users: int | None
    plan: Plan
    done: Mapping[Service, int]
    """How many it has got to, per push service; what was removed before its turn came is none of them."""
    counts: Mapping[Outcome, int]
    unreached: int
    """How many of those planned were never got to, once it has ended."""
    paused_at_ms: int | None
    started_at_ms: int | None
    reached_at_ms: int | None
    """When everybody had been got to, or would not be any more."""
    settled_at_ms: int | None
    """When something became of one of its deliveries last."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of the subscriptions of one push service, by their ids: those after one of them, up to another."""

    after: str
    last: str


class Recipients(NamedTuple):
    """Subscriptions that a broadcast goes to."""

    targets: tuple[PushTarget, ...]
    unmarked: frozenset[str]
    """Those of which it is to be written down when they are pushed to: it is not, more than once an hour."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a broadcast's recipients that was sent to, and what came of each of them."""

    dispatch: str
    service: Service
    stretch: Stretch
    settlements: Sequence[Settlement]
    under_way: Sequence[Delivery]
    """Those of whom nothing is known yet: their attempts are settled like any other's."""
    superseded: int
    """How many there are besides to whom something newer of its topic was sent before."""
    claim: str
    """Of those who are under way."""
    topic: Topic | None

    @property
    def recipients(self) -> int:
        """How many there are."""
        return len(self.settlements) + len(self.under_way) + self.superseded
