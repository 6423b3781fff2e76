"""The nouns: what pushdesk knows and shows, in memory and on the wire.

Every class is a frozen msgspec Struct: one definition serves the engine, the API and the console. Times are aware
datetimes in UTC and travel as RFC 3339; durations carry their unit in their name. `PushTarget` is the exception:
it holds a subscription's secrets, so it is no Struct, has no encoder and shows nothing of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from msgspec import Meta, Struct

from pushdesk.user_id import check_user

T = TypeVar("T")


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


UNSETTLED = frozenset({Outcome.WAITING, Outcome.THROTTLED, Outcome.TRANSIENT, Outcome.HELD})


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


class KeyState(StrEnum):
    """The life of a VAPID key (RFC 8292)."""

    CURRENT = "current"
    RETIRING = "retiring"
    RETIRED = "retired"
    REVOKED = "revoked"


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


class Subscription(Struct, frozen=True):
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


class User(Struct, frozen=True):
    """A user, as the console lists them."""

    id: str
    created_at: datetime
    subscriptions: int = 0
    """Those that are sent to."""
    last_delivery_at: datetime | None = None
    """When a push service last accepted something for one of their devices."""
    last_failure_at: datetime | None = None
    """When one last did not."""


class Delivery(Struct, frozen=True):
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


class Dispatch(Struct, frozen=True):
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


class Attempt(Struct, frozen=True):
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


class DeliveryRecord(Struct, frozen=True):
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


class VerdictCode(StrEnum):
    """Why somebody did not get something, or did."""

    PUSH_DISABLED = "push_disabled"
    """This server sends nothing."""
    UNKNOWN_USER = "unknown_user"
    NO_SUBSCRIPTION = "no_subscription"
    NOTHING_SENT = "nothing_sent"
    SCHEDULED = "scheduled"
    WAITING = "waiting"
    ACCEPTED = "accepted"
    """The push service took it; of what came after, nothing is known."""
    GONE = "gone"
    KEY_MISMATCH = "key_mismatch"
    KEY_ENDED = "key_ended"
    """The subscription was made with a key of ours that is no longer used."""
    OUR_CONFIGURATION = "our_configuration"
    REFUSED = "refused"
    THROTTLED = "throttled"
    TRANSIENT = "transient"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    HELD = "held"
    CANCELLED = "cancelled"


class Remedy(StrEnum):
    """What helps."""

    NONE = "none"
    WAIT = "wait"
    INVITE = "invite"
    """Have the user subscribe."""
    TEST = "test"
    """Send the test push."""
    SEND_AGAIN = "send_again"
    SEE_KEYS = "see_keys"
    CONFIGURE = "configure"
    """Change the configuration of the server."""


class Evidence(Struct, frozen=True):
    """A fact that a verdict rests on."""

    text: str
    time: datetime | None = None


class Verdict(Struct, frozen=True):
    """An answer to "why did this user not get it?", in words for a person. Times stand beside the words, in fields."""

    code: VerdictCode
    about: str
    """Of what: a user's id, or a device."""
    says: str
    """What happened, in a sentence or two."""
    advice: str
    """What to do next, in a sentence."""
    remedy: Remedy
    user: str
    subscription: str | None = None
    delivery: str | None = None
    since: datetime | None = None
    """When it began, where it has a beginning."""
    until: datetime | None = None
    """When something will happen by itself, where that is known."""
    evidence: tuple[Evidence, ...] = ()
    """The latest first."""
    devices: tuple[Verdict, ...] = ()
    """Of a user: one for each of their subscriptions, at most 50."""


class VapidKey(Struct, frozen=True):
    """A VAPID key, without its private half (RFC 8292)."""

    id: str
    public_key: str
    state: KeyState
    created_at: datetime
    subscriptions: int = 0
    """Active subscriptions that were made with it; of a key that has ended, those that are yet to follow it."""
    services: dict[Service, int] = {}
    """The same, per push service."""
    retiring_at: datetime | None = None
    """Since when it is retiring, if it is."""
    before: dict[Service, int] = {}
    """Active subscriptions that were made with it, per push service, when it began to retire."""
    expected_end: datetime | None = None
    """When the last subscription will have moved to the current key, if they go on as they did; None if none did."""
    users_left: int = 0
    """Of a retiring key: users all of whose subscriptions were made with it, and who get nothing once it is retired."""

    @property
    def moved_percent(self) -> int:
        """Of a retiring key: how many of 100 subscriptions have left it; 100 is said of all only."""
        before = sum(self.before.values())
        if not before:
            return 0 if self.subscriptions else 100
        return max(0, 100 * (before - self.subscriptions) // before)


class RevokedKeys(Struct, frozen=True):
    """What came of revoking: the new current key, and the subscriptions that were lost, per push service."""

    key: VapidKey
    lost: dict[Service, int] = {}


class ExportedKey(Struct, frozen=True):
    """A VAPID key with its private half, which its repr does not show."""

    id: str
    public_key: str
    """Base64url without padding, as node web-push and web-push-php have it."""
    private_key: str
    """The same, of the 32 bytes of the private key."""
    pem: str
    """Both, as PKCS 8 in PEM, not encrypted."""

    def __repr__(self) -> str:
        return f"ExportedKey(id={self.id!r})"


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


class CacheEntry(Struct, frozen=True):
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
    sends: bool = True
    """Whether anything is sent: push can be switched off."""
    warnings: tuple[str, ...] = ()
    """What the operator should mend: sentences for a person."""


class LogLevel(StrEnum):
    """How much an entry of the log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogEntry(Struct, frozen=True):
    """A line of the log."""

    seq: int
    """Counts the lines since the server started."""
    time: datetime
    level: LogLevel
    event: str
    """What happened, in snake_case; a sentence where a library says it."""
    logger: str = ""
    fields: dict[str, Any] = {}


class Page(Struct, Generic[T], frozen=True):
    """A page of a listing; `next` is the cursor of the following one."""

    items: tuple[T, ...]
    next: str | None = None


class PartialPage(Page[T], Generic[T], frozen=True):
    """A page of which some items could not be read, for they are those of another version."""

    left_out: int = 0
    """How many; not on the wire, but found out by whoever reads a page."""


class PageQuery(Struct, frozen=True):
    """Which page of a listing: what the admin API takes as `?cursor=&limit=&filter=&sort=`."""

    cursor: Annotated[str, Meta(max_length=4096)] | None = None
    """That of two names of 128 characters, each of which may have four bytes, has up to 1500."""
    limit: Annotated[int, Meta(ge=1, le=200)] = 100
    filter: Annotated[str, Meta(max_length=200)] = ""
    sort: Annotated[str, Meta(max_length=64)] = ""
    """A field's name, `-` before it for descending; empty for the newest first."""


class SubscriptionKeys(Struct, frozen=True):
    """The keys of a `PushSubscription`, in either base64 alphabet (RFC 8291 section 2.1)."""

    p256dh: Annotated[str, Meta(max_length=200)]
    auth: Annotated[str, Meta(max_length=100)]

    def __repr__(self) -> str:
        return "SubscriptionKeys(...)"


class SubscriptionRequest(Struct, frozen=True, omit_defaults=True):
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


class Subscribed(Struct, frozen=True):
    """What came of subscribing: `token` is the device token, shown once, with a new subscription only."""

    subscription: Subscription
    test: PushTest
    created: bool
    token: str | None = None

    def __repr__(self) -> str:
        return f"Subscribed(subscription={self.subscription!r}, test={self.test!r}, created={self.created!r})"


class DeviceGrant(Struct, frozen=True):
    """What a valid device token allows: to change, renew, remove and test this subscription."""

    user: str
    subscription: str | None
    """None for an invited browser that has none, or none any more: it may make one."""
    enrollment: str | None = None
    """What made the browser known, if an invitation did."""
    token: str = ""
    """The token itself."""

    def __repr__(self) -> str:
        return f"DeviceGrant(user={self.user!r}, subscription={self.subscription!r}, enrollment={self.enrollment!r})"


class InvitationFault(StrEnum):
    """Why an invitation lets nobody in."""

    USED = "used"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"


class Invitation(Struct, frozen=True):
    """What lets one browser get a user's notifications; the code is shown once."""

    code: str
    url: str
    """The page that redeems it, with the code in the fragment, which no server sees."""
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Invitation(expires_at={self.expires_at!r})"


class Enrolled(Struct, frozen=True):
    """What redeeming an invitation gives: whose notifications the browser gets, and its device token."""

    user: str
    token: str

    def __repr__(self) -> str:
        return f"Enrolled(user={self.user!r})"


class Scope(StrEnum):
    """What an access token allows."""

    NOTIFY = "notify"
    """To notify and to invite users, and to see what became of a dispatch."""
    READ = "read"
    """To see what operators see."""
    ADMIN = "admin"
    """Everything."""


class AccessToken(Struct, frozen=True):
    """What may be shown of a token for applications and operators."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    """Within a minute."""


class NewAccessToken(Struct, frozen=True):
    """A token that was just made: the only time that it is shown."""

    token: str
    access: AccessToken

    def __repr__(self) -> str:
        return f"NewAccessToken(access={self.access!r})"


class TokenGrant(Struct, frozen=True):
    """What a valid access token allows."""

    id: str
    scopes: frozenset[Scope]

    def allows(self, scope: Scope) -> bool:
        """Whether it allows what needs this scope."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class TurnStatus(StrEnum):
    """How a turn of an agent ended."""

    FINISHED = "finished"
    FAILED = "failed"
    NEEDS_ACTION = "needs_action"


class SummaryFault(StrEnum):
    """Why a remote summariser gave no summary of a turn."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    STATUS = "status"
    """It answered with another status than 200."""
    TOO_LARGE = "too_large"
    NOT_UNDERSTOOD = "not_understood"
    """Its answer is no chat completion."""
    EMPTY = "empty"
    UNUSABLE = "unusable"
    """Nothing of what it wrote can be shown, or not in one message."""


class Turn(Struct, frozen=True, omit_defaults=True):
    """A turn of an agent that has ended, with all that its run had resolved: nothing of it is looked up again."""

    user: Annotated[str, Meta(extra={"check": check_user})]
    conversation: Annotated[str, Meta(min_length=1, max_length=200)]
    """A newer turn of the same conversation replaces an older one, on its way and on the screen."""
    title: Annotated[str, Meta(min_length=1)]
    status: TurnStatus
    text: str | None = None
    """The final text, in Markdown."""
    error: str | None = None
    model: Annotated[str, Meta(max_length=200)] | None = None
    """What a remote summariser is to be called with."""
    provider: Annotated[str, Meta(max_length=200)] | None = None
    parent: Annotated[str, Meta(max_length=200)] | None = None
    """Set for a sub-agent's turn, of which nobody is notified."""
    url: Annotated[str, Meta(max_length=2048)] | None = None
    """What a click opens."""


class AcceptedTurn(Struct, frozen=True):
    """What became of a turn: a dispatch, or the reason why there is none."""

    dispatch: Dispatch | None
    reason: str | None = None
    repeated: bool = False


class Accepted(Struct, frozen=True):
    """An accepted dispatch; `repeated` when its idempotency key was known and nothing new was accepted."""

    dispatch: Dispatch
    repeated: bool = False
