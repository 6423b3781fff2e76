"""A `Desk` that lives in memory, for tests: it behaves, its clock is handed in, and it fails when it is told to."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from pushdesk.desk import (
    AnyEvent,
    BroadcastChanged,
    CacheChanged,
    DeliveryChanged,
    DispatchChanged,
    Gap,
    Hello,
    KeyChanged,
    LogWritten,
    Position,
    StatsChanged,
    SubscriptionChanged,
    SubscriptionRemoved,
    TokenChanged,
    TokenRevoked,
    UserAdded,
    UserRemoved,
)
from pushdesk.engine.key_census import end_of
from pushdesk.errors import PayloadTooLargeError, PushdeskError, UnreachableError
from pushdesk.filters import LogFilter, passes
from pushdesk.invitation_code import DEFAULT_LIFETIME_S, LONGEST_LIFETIME_S, SHORTEST_LIFETIME_S
from pushdesk.message import MAX_MESSAGE, build_message
from pushdesk.model import (
    AcceptedTurn,
    AccessToken,
    Attempt,
    Broadcast,
    BroadcastPart,
    BroadcastPlan,
    BroadcastState,
    CacheChange,
    CacheEntry,
    CacheStats,
    DecidedBrake,
    Delivery,
    DeliveryRecord,
    Discarded,
    Dispatch,
    DispatchKind,
    DispatchState,
    ExportedKey,
    History,
    Invitation,
    KeyState,
    LaneState,
    LogEntry,
    LogLevel,
    NewAccessToken,
    Notification,
    Outcome,
    Page,
    PageQuery,
    PlannedPart,
    Restoration,
    RestoreResult,
    RevokedKeys,
    Scope,
    Service,
    ServiceHealth,
    Span,
    Stats,
    Subscription,
    SubscriptionState,
    Urgency,
    User,
    VapidKey,
    Verdict,
)
from pushdesk.paging import Order
from pushdesk.user_id import check_user
from pushdesk.user_list import checked
from pushdesk.webpush.key_formats import read_key

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterable,
        Callable,
        Collection,
        Container,
        Iterable,
        Mapping,
        Sequence,
    )

    from pushdesk.model import Turn


NOON: Final = datetime(2026, 11, 22, 12, 3, 44, tzinfo=UTC)
VERSION: Final = "0.1.0"
URL: Final = "http://localhost:8484"
CODE: Final = "K7QM-X3VT-9HDW-2B8N"
"""Made up: what every invitation is made with."""
HELD_EVENTS: Final = 1000
HELD_LINES: Final = 1000
TTL_S: Final = 180.0
OPEN: Final[dict[str, Any]] = {"state": LaneState.OPEN, "since": None, "reason": "", "until": None, "retry_at": None}
"""How a push service is whose lane is open."""
STATUS: Final = {
    Outcome.ACCEPTED: 201,
    Outcome.GONE: 410,
    Outcome.KEY_MISMATCH: 403,
    Outcome.REFUSED: 413,
    Outcome.OUR_CONFIGURATION: 403,
    Outcome.THROTTLED: 429,
    Outcome.TRANSIENT: 503,
}


class Named(Protocol):
    """What items of most listings have."""

    @property
    def id(self) -> str: ...


T = TypeVar("T")
N = TypeVar("N", bound=Named)


class FakeDesk:
    """A server of which nothing is real but its behaviour.

    Args:
        now: The clock; by default it stands still at `NOON`.
        reachable: Whether it answers; `lose` and `come_back` change that.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: NOON, *, reachable: bool = True) -> None:
        self.now = now
        self.reachable = reachable
        self._lets_in = True
        self.refusals: deque[PushdeskError] = deque()
        """Errors with which the next commands are answered."""
        self.troubles: deque[PushdeskError] = deque()
        """Errors with which it is next said how the server is."""
        self.outcomes: dict[str, Outcome] = {}
        """What the push service answers, by subscription; else accepted."""
        self.settles = True
        """Whether what is accepted is sent at once; else it waits in the queue."""
        self.left_out = 0
        """How much of what it said could not be read."""
        self.answering = asyncio.Event()
        """While it is clear, pages are made but do not arrive."""
        self.answering.set()
        self.asked: list[PageQuery] = []
        """The pages of deliveries that were asked for, in order."""
        self.calls: list[tuple[str, Any]] = []
        """The commands that were given, in order."""
        self.allowed = frozenset(Scope)
        """What whoever asks may do; commands are not refused by it."""
        self.histories: dict[Span, History] = {}
        self.spans: list[Span] = []
        """The histories that were asked for, in order."""
        self.history_trouble: PushdeskError | None = None
        """An error with which they are answered."""
        self.verdicts: dict[str, Verdict] = {}
        """What is said of a user, a subscription or a delivery, by its id."""
        self.attempts: dict[str, tuple[Attempt, ...]] = {}
        """The attempts at a delivery before its last one, by its id."""
        self.headers: dict[str, dict[str, str]] = {}
        """Of the last answer to a delivery, by its id."""
        self._epoch = "epoch-1"
        self._seq = 0
        self._ids = 0
        self._history: deque[AnyEvent] = deque(maxlen=HELD_EVENTS)
        self._readers: list[asyncio.Queue[tuple[AnyEvent, ...] | None]] = []
        self._subscriptions: dict[str, Subscription] = {}
        self._users: dict[str, User] = {}
        self._dispatches: dict[str, Dispatch] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._broadcasts: dict[str, Broadcast] = {}
        self._tokens: dict[str, AccessToken] = {}
        self._keys = {"7f3a92aa": VapidKey("7f3a92aa", "BPublic", KeyState.CURRENT, now())}
        self._cache: dict[str, CacheEntry] = {}
        self._generation = 0
        self._lines: deque[LogEntry] = deque(maxlen=HELD_LINES)
        self._stats = Stats(
            time=now(),
            version=VERSION,
            url=URL,
            started_at=now(),
            storage="sqlite",
            key_id="7f3a92aa",
            key_created_at=now(),
            cache=CacheStats(ttl_s=TTL_S, max_size=40_000_000),
        )

    # What a test sets up and makes happen.

    def lose(self) -> None:
        """Break every connection, and answer nothing until `come_back`."""
        self.reachable = False
        for reader in self._readers:
            reader.put_nowait(None)

    def shut_out(self) -> None:
        """Break every connection, and take nobody's token any more."""
        self._lets_in = False
        self.lose()

    def come_back(self, *, anew: bool = False) -> None:
        """Answer again, as the same server or, `anew`, as one that has been restarted."""
        self.reachable = True
        if anew:
            self._epoch = f"{self._epoch}+"
            self._history.clear()

    def forget_history(self) -> None:
        """Hold none of the events that happened, so that a reader who missed them is told of a gap."""
        self._history.clear()

    def subscribe(
        self,
        user: str,
        *,
        service: Service = Service.MOZILLA,
        browser: str = "Firefox",
        platform: str = "Linux",
        **fields: Any,
    ) -> Subscription:
        """Make a subscription, and its user if need be."""
        number = len(self._subscriptions) + 1
        wanted: dict[str, Any] = {
            "id": f"sub-{number:04}",
            "user": user,
            "service": service,
            "fingerprint": f"{number * 2654435761 % 2**24:06x}",
            "browser": browser,
            "platform": platform,
            "key_id": self._stats.key_id,
            "state": SubscriptionState.ACTIVE,
            "created_at": self.now(),
        }
        subscription = Subscription(**(wanted | fields))
        self._subscriptions[subscription.id] = subscription
        self._know(user, subscription.created_at)
        self._emit(SubscriptionChanged(self._number(), self.now(), subscription))
        self._invalidate(user)
        self._count()
        return subscription

    def hold_key(self, key: str, state: KeyState, **fields: Any) -> None:
        """Have a VAPID key, without a word about it."""
        wanted: dict[str, Any] = {"created_at": self.now()}
        self._keys[key] = VapidKey(key, f"B{key}", state, **(wanted | fields))

    def hold_token(self, name: str, *scopes: Scope, **fields: Any) -> AccessToken:
        """Have an access token, without a word about it."""
        self._ids += 1
        token = AccessToken(**({"created_at": self.now()} | fields), id=f"{self._ids:026x}", name=name, scopes=scopes)
        self._tokens[token.id] = token
        return token

    def change(self, subscription: str, **fields: Any) -> None:
        """Change fields of a subscription."""
        changed = msgspec.structs.replace(self._subscriptions[subscription], **fields)
        self._subscriptions[subscription] = changed
        self._emit(SubscriptionChanged(self._number(), self.now(), changed))
        self._invalidate(changed.user)

    def deliver(self, subscription: Subscription, outcome: Outcome = Outcome.ACCEPTED, **fields: Any) -> Delivery:
        """Let a dispatch with one delivery happen."""
        dispatch = self._accept(subscription.user, "Hello", DispatchKind.NOTIFICATION, [subscription])
        return self._settle(dispatch.deliveries[0], outcome, **fields)

    def update(self, delivery: Delivery) -> None:
        """Put a delivery as it is now, and tell it; of an attempt that another one follows, it is known what came."""
        before = self._deliveries.get(delivery.id)
        if before is not None and 0 < before.attempts < delivery.attempts:
            self.attempts[delivery.id] = (*self.attempts.get(delivery.id, ()), self._last(before))
        self._deliveries[delivery.id] = delivery
        self._emit(DeliveryChanged(self._number(), self.now(), delivery))

    def hold_broadcast(self, title: str, state: BroadcastState, **fields: Any) -> Broadcast:
        """Have a broadcast, without a word about it."""
        self._ids += 1
        parts = (BroadcastPart(Service.FCM, 1000, 430), BroadcastPart(Service.MOZILLA, 50, 50))
        wanted: dict[str, Any] = {"accepted_at": self.now(), "parts": parts, "started_at": self.now()}
        wanted |= {"counts": {Outcome.ACCEPTED: 470, Outcome.GONE: 10}}
        held = Broadcast(**(wanted | fields), id=f"dispatch-{self._ids:04}", title=title, state=state)
        self._broadcasts[held.id] = held
        self._dispatches[held.id] = self._told_broadcast(held)
        return held

    def schedule(self, user: str, title: str, send_at: datetime) -> Dispatch:
        """Have something scheduled for a user."""
        return self._schedule(user, Notification(title, send_at=send_at), None)

    def change_broadcast(self, broadcast: str, **fields: Any) -> Broadcast:
        """Change fields of a broadcast, and tell it, also as the dispatch that it is."""
        changed = msgspec.structs.replace(self._broadcasts[broadcast], **fields)
        self._broadcasts[broadcast] = changed
        self._emit(BroadcastChanged(self._number(), self.now(), changed))
        self._emit(DispatchChanged(self._number(), self.now(), self._told_broadcast(changed)))
        return changed

    def get_to(self, broadcast: str, count: int, outcome: Outcome = Outcome.ACCEPTED, **fields: Any) -> Broadcast:
        """Let a broadcast get to so many more subscriptions, of one push service after the other."""
        now, left, parts = self._broadcasts[broadcast], count, []
        for part in now.parts:
            step = min(left, part.planned - part.done)
            left -= step
            parts.append(msgspec.structs.replace(part, done=part.done + step))
        counts = Counter(now.counts) + Counter({outcome: count - left})
        is_done = all(part.done == part.planned for part in parts)
        ending = (
            {"state": BroadcastState.DONE, "ended_at": self.now(), "per_s": None, "left_s": None} if is_done else {}
        )
        return self.change_broadcast(broadcast, parts=tuple(parts), counts=dict(counts), **(fields | ending))

    def change_service(self, service: Service, **fields: Any) -> ServiceHealth:
        """Change how a push service is, and tell it."""
        changed = msgspec.structs.replace(self._health(service), **fields)
        known = {health.service: health for health in self._stats.services} | {service: changed}
        self.set_stats(services=tuple(known[each] for each in Service if each in known))
        return changed

    def set_stats(self, **fields: Any) -> None:
        """Change fields of the server's state, and tell it."""
        self._stats = msgspec.structs.replace(self._stats, **fields)
        self._emit(StatsChanged(self._number(), self.now(), self._stats))

    def cache_user(self, user: str, **fields: Any) -> CacheEntry:
        """Put a user's devices into the cache, and tell it."""
        self._generation += 1
        devices = len(self._of(user))
        wanted: dict[str, Any] = {"generation": self._generation, "devices": devices, "age_s": 0.0}
        wanted |= {"time_left_s": TTL_S, "size": 500 + 300 * devices}
        self._cache[user] = CacheEntry(user, **(wanted | fields))
        self._tell_cache(CacheChange.STORED, user)
        return self._cache[user]

    def discard(self, user: str, *, read: int, current: int | None) -> None:
        """Let the cache discard what was read of a user, and tell it."""
        last = Discarded(self.now(), user, read, current)
        self._tell_cache(CacheChange.DISCARDED, user)
        self.set_stats(cache=msgspec.structs.replace(self._stats.cache, last_discarded=last))

    def write(
        self,
        event: str,
        level: LogLevel = LogLevel.INFO,
        *,
        time: datetime | None = None,
        told: bool = True,
        **fields: Any,
    ) -> LogEntry:
        """Write a line to the log, and tell it, unless there are too many of them."""
        seq = self._lines[-1].seq + 1 if self._lines else 1
        entry = LogEntry(seq, time or self.now(), level, event, "pushdesk", fields)
        self._lines.append(entry)
        if told:
            self._emit(LogWritten(self._number(), self.now(), entry))
        return entry

    # What a Desk does.

    async def stats(self) -> Stats:
        self._answer()
        if self.troubles:
            raise self.troubles.popleft()
        return self._stats

    async def scopes(self) -> frozenset[Scope]:
        self._answer()
        return self.allowed

    async def history(self, span: Span) -> History:
        self._answer()
        self.spans.append(span)
        if self.history_trouble is not None:
            raise self.history_trouble
        return self.histories.get(span, History(span, 2.0, 150, self.now()))

    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        self._answer()
        self.calls.append(("explain", (user, subscription, delivery)))
        self._refuse()
        asked = user or subscription or delivery
        verdict = self.verdicts.get(asked)
        await self.answering.wait()
        if verdict is None:
            raise PushdeskError(f"Nothing is known of {asked!r}.", code="not_found")
        return verdict

    async def users(self, query: PageQuery) -> Page[User]:
        self._answer()
        found = [self._reached(user) for user in self._users.values() if passes(user.id, query.filter)]
        return _page(found, query, sorts=("created_at", "id"))

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        self._answer()
        found = [one for one in self._subscriptions.values() if passes(one.user, query.filter)]
        page = _page(found, query, sorts=("created_at", "user", "state", "service", "failures"))
        await self.answering.wait()
        return page

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        self._answer()
        found = [one for one in self._deliveries.values() if _passes(one, query.filter)]
        self.asked.append(query)
        page = _page(found, query, sorts=("at",))
        await self.answering.wait()
        return page

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        self._answer()
        found = [
            self._told(one, deliveries=False)
            for one in self._dispatches.values()
            if _dispatch_passes(one, query.filter)
        ]
        return _page(found, query, sorts=("accepted_at",))

    async def dispatch(self, dispatch: str) -> Dispatch:
        self._answer()
        if dispatch not in self._dispatches:
            raise PushdeskError(f"There is no dispatch {dispatch!r}.", code="not_found")
        return self._told(self._dispatches[dispatch], deliveries=True)

    async def cancel(self, dispatch: str) -> Dispatch:
        self._answer()
        self.calls.append(("cancel", dispatch))
        self._refuse()
        found = await self.dispatch(dispatch)
        if found.kind is DispatchKind.BROADCAST:
            return self._told_broadcast(await self.abort_broadcast(dispatch))
        if found.state in {DispatchState.DONE, DispatchState.CANCELLED}:
            raise PushdeskError(f"This dispatch is {found.state} already.", code="already_ended")
        for one in found.deliveries:
            if not one.outcome.is_settled:
                self._deliveries[one.id] = msgspec.structs.replace(one, outcome=Outcome.CANCELLED, next_attempt_at=None)
        cancelled = msgspec.structs.replace(found, state=DispatchState.CANCELLED, send_at=None)
        self._dispatches[dispatch] = cancelled
        self._emit(DispatchChanged(self._number(), self.now(), self._told(cancelled, deliveries=False)))
        return self._told(cancelled, deliveries=True)

    async def delivery(self, delivery: str) -> DeliveryRecord:
        self._answer()
        if delivery not in self._deliveries:
            raise PushdeskError(f"There is no delivery {delivery!r}.", code="not_found")
        one = self._deliveries[delivery]
        return DeliveryRecord(
            one,
            self._told(self._dispatches[one.dispatch], deliveries=False),
            (*self.attempts.get(delivery, ()), *((self._last(one),) if one.attempts else ())),
            urgency=Urgency.NORMAL,
            topic=None,
            ttl_s=86400,
            expires_at=self._dispatches[one.dispatch].accepted_at + timedelta(days=1),
            size=142,
        )

    async def resend(self, delivery: str) -> Dispatch:
        self._answer()
        self.calls.append(("resend", delivery))
        self._refuse()
        if delivery not in self._deliveries:
            raise PushdeskError(f"There is no delivery {delivery!r}.", code="not_found")
        one = self._deliveries[delivery]
        if one.subscription not in self._subscriptions:
            raise PushdeskError("That browser is no longer subscribed.", code="subscription_not_found")
        old = self._dispatches[one.dispatch]
        dispatch = self._accept(one.user, old.title, old.kind, [self._subscriptions[one.subscription]])
        if self.settles:
            self._settle(dispatch.deliveries[0], self.outcomes.get(one.subscription, Outcome.ACCEPTED))
        return self._told(self._dispatches[dispatch.id], deliveries=False)

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        self._answer()
        found = [self._counted(key) for key in self._keys.values() if passes(key.id, query.filter)]
        return _page(found, query, sorts=("created_at", "id", "state"))

    async def tokens(self, query: PageQuery) -> Page[AccessToken]:
        self._answer()
        found = [token for token in self._tokens.values() if passes(token.name, query.filter)]
        return _page(found, query, sorts=("created_at", "name"))

    async def cache(self, query: PageQuery) -> Page[CacheEntry]:
        self._answer()
        found = [entry for entry in self._cache.values() if passes(entry.user, query.filter)]
        fields = {"age": "age_s", "time_left": "time_left_s"}
        sorts = ("age", "time_left", "user", "generation", "devices", "size")
        page = _keyset(
            found,
            query,
            place=lambda entry, field: [getattr(entry, fields.get(field, field)), entry.user],
            sorts=sorts,
            default="age",
        )
        await self.answering.wait()
        return page

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        self._answer()
        wanted = LogFilter.of(query.filter)
        found = [entry for entry in self._lines if wanted.passes(entry)]
        return _keyset(found, query, place=lambda entry, _: [entry.seq, entry.seq], sorts=("seq",), default="-seq")

    async def notify(
        self,
        user: str,
        notification: Notification,
        *,
        wait_s: float = 0.0,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        self._answer()
        self.calls.append(("notify", (user, notification)))
        self._refuse()
        size = len(build_message(notification, dispatch="0" * 26, access_url=self._stats.url))
        if size > MAX_MESSAGE:
            raise PayloadTooLargeError(f"The message has {size} bytes; {MAX_MESSAGE} are allowed.")
        if idempotency_key is not None:
            known = next((one for one in self._dispatches.values() if one.id == f"key-{idempotency_key}"), None)
            if known is not None and known.title != notification.title:
                raise PushdeskError("The key was used with another body.", code="idempotency_conflict")
            if known is not None:
                return self._told(known, deliveries=wait_s > 0)
        name = f"key-{idempotency_key}" if idempotency_key is not None else None
        if notification.send_at is not None:
            return self._schedule(user, notification, name)
        dispatch = self._accept(user, notification.title, DispatchKind.NOTIFICATION, self._of(user), name=name)
        if self.settles:
            for delivery in dispatch.deliveries:
                self._settle(delivery, self.outcomes.get(delivery.subscription, Outcome.ACCEPTED))
        return self._told(self._dispatches[dispatch.id], deliveries=True)

    async def broadcasts(self, query: PageQuery) -> Page[Broadcast]:
        self._answer()
        found = [one for one in self._broadcasts.values() if passes(one.title, query.filter)]
        page = _page(found, query, sorts=("accepted_at",))
        await self.answering.wait()
        return page

    async def plan_broadcast(
        self, notification: Notification, users: AsyncIterable[str] | None = None, *, skip_bad: bool = False
    ) -> BroadcastPlan:
        self._answer()
        named = None if users is None else [user async for user in checked(users, skip_bad=skip_bad)]
        self.calls.append(("plan_broadcast", (notification, named)))
        self._refuse()
        return self._plan(notification, named)

    async def broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        self._answer()
        named = None if users is None else [user async for user in checked(users, skip_bad=skip_bad)]
        self.calls.append(("broadcast", (notification, named)))
        self._refuse()
        plan = self._plan(notification, named)
        self._ids += 1
        id_ = f"dispatch-{self._ids:04}" if idempotency_key is None else f"key-{idempotency_key}"
        if (known := self._broadcasts.get(id_)) is not None:
            if known.title != notification.title:
                raise PushdeskError("The key was used with another body.", code="idempotency_conflict")
            return self._told_broadcast(known)
        is_scheduled = notification.send_at is not None
        self._broadcasts[id_] = Broadcast(
            id_,
            notification.title,
            BroadcastState.SCHEDULED if is_scheduled else BroadcastState.SENDING,
            self.now(),
            () if is_scheduled else tuple(BroadcastPart(part.service, part.subscriptions) for part in plan.parts),
            users=plan.users,
            send_at=notification.send_at,
        )
        self._dispatches[id_] = self._told_broadcast(self._broadcasts[id_])
        accepted = self.change_broadcast(id_, started_at=None if is_scheduled else self.now())
        if not is_scheduled and (self.settles or not accepted.planned):
            accepted = self.get_to(id_, accepted.planned)
        return self._told_broadcast(accepted)

    async def pause_broadcast(self, broadcast: str) -> Broadcast:
        self._check_going_on("pause_broadcast", broadcast)
        return self.change_broadcast(broadcast, state=BroadcastState.PAUSED, per_s=None, left_s=None)

    async def resume_broadcast(self, broadcast: str) -> Broadcast:
        found = self._check_going_on("resume_broadcast", broadcast)
        if found.state is not BroadcastState.PAUSED:
            return found
        state = BroadcastState.SENDING if found.send_at is None else BroadcastState.SCHEDULED
        return self.change_broadcast(broadcast, state=state)

    async def abort_broadcast(self, broadcast: str) -> Broadcast:
        found = self._check_going_on("abort_broadcast", broadcast)
        counts = Counter(found.counts) + Counter({Outcome.CANCELLED: found.planned - found.done})
        return self.change_broadcast(
            broadcast,
            state=BroadcastState.CANCELLED,
            counts=dict(counts),
            ended_at=self.now(),
            send_at=None,
            per_s=None,
            left_s=None,
        )

    async def turn(self, turn: Turn, *, idempotency_key: str | None = None) -> AcceptedTurn:
        self._answer()
        self.calls.append(("turn", (turn, idempotency_key)))
        self._refuse()
        check_user(turn.user)
        if turn.parent:
            return AcceptedTurn(None, reason="sub_agent")
        name = None if idempotency_key is None else f"key-{idempotency_key}"
        known = self._dispatches.get(name or "")
        if known is not None and known.title != turn.title:
            raise PushdeskError("The key was used with another body.", code="idempotency_conflict")
        if known is not None:
            return AcceptedTurn(self._told(known, deliveries=False), repeated=True)
        dispatch = self._accept(turn.user, turn.title, DispatchKind.TURN, self._of(turn.user), name=name)
        for delivery in dispatch.deliveries if self.settles else ():
            self._settle(delivery, self.outcomes.get(delivery.subscription, Outcome.ACCEPTED))
        return AcceptedTurn(self._told(self._dispatches[dispatch.id], deliveries=False))

    async def test(self, user: str, subscription: str | None = None) -> tuple[Delivery, ...]:
        self._answer()
        self.calls.append(("test", (user, subscription)))
        self._refuse()
        devices = [one for one in self._of(user) if subscription in {None, one.id}]
        if not devices:
            raise PushdeskError(f"{user} has no such subscription.", code="subscription_not_found")
        dispatch = self._accept(user, "Test", DispatchKind.TEST, devices)
        return tuple(
            self._settle(one, self.outcomes.get(one.subscription, Outcome.ACCEPTED)) for one in dispatch.deliveries
        )

    async def remove_subscriptions(self, ids: Sequence[str]) -> int:
        self._answer()
        self.calls.append(("remove_subscriptions", tuple(ids)))
        self._refuse()
        removed = [self._subscriptions.pop(each) for each in dict.fromkeys(ids) if each in self._subscriptions]
        for one in removed:
            self._emit(SubscriptionRemoved(self._number(), self.now(), one.id, one.user))
            self._invalidate(one.user)
        self._count()
        return len(removed)

    async def invite(self, user: str, expires_s: int = DEFAULT_LIFETIME_S) -> Invitation:
        self._answer()
        self.calls.append(("invite", (user, expires_s)))
        self._refuse()
        if not SHORTEST_LIFETIME_S <= expires_s <= LONGEST_LIFETIME_S:
            raise PushdeskError("That is too short or too long.", code="bad_field", fields=("expires",))
        self._know(check_user(user))
        return Invitation(CODE, f"{self._stats.url}/enroll#{CODE}", self.now() + timedelta(seconds=expires_s))

    async def remove_user(self, user: str) -> None:
        self._answer()
        self.calls.append(("remove_user", user))
        self._refuse()
        sent = [one.id for one in self._dispatches.values() if one.user == check_user(user)]
        if self._users.pop(user, None) is None and not sent:
            raise PushdeskError(f"There is no user {user!r}.", code="not_found")
        for one in [one for one in self._subscriptions.values() if one.user == user]:
            del self._subscriptions[one.id]
            self._emit(SubscriptionRemoved(self._number(), self.now(), one.id, user))
        for delivery in [one.id for one in self._deliveries.values() if one.user == user]:
            del self._deliveries[delivery]
        for dispatch in sent:
            del self._dispatches[dispatch]
        self._invalidate(user)
        self._count()
        self._emit(UserRemoved(self._number(), self.now(), user))

    async def rotate_key(self, *, confirm: str = "") -> VapidKey:
        self._answer()
        self.calls.append(("rotate_key", confirm))
        self._refuse()
        _check_confirmed(confirm, "rotate", "Rotating the key makes every browser subscribe again.")
        return self._make_current(self._new_key())

    async def retire_key(self, key: str, *, confirm: str = "") -> VapidKey:
        self._answer()
        self.calls.append(("retire_key", (key, confirm)))
        self._refuse()
        found = self._key(key, {KeyState.RETIRING}, "retired")
        if found.subscriptions:
            lost = _lost(found.services)
            _check_confirmed(
                confirm, "retire", f"{lost} get nothing more, and {found.users_left} users are left without any device."
            )
        for one in self._made_with(key):
            self.change(one.id, state=SubscriptionState.KEY_MISMATCH)
        return self._change_key(msgspec.structs.replace(found, state=KeyState.RETIRED, retiring_at=None, before={}))

    async def roll_back_key(self, key: str, *, confirm: str = "") -> VapidKey:
        self._answer()
        self.calls.append(("roll_back_key", (key, confirm)))
        self._refuse()
        found = self._key(key, {KeyState.RETIRING, KeyState.RETIRED}, "made current again")
        _check_confirmed(confirm, "rollback", f"The key {key} becomes current again.")
        self._restore(found)
        return self._make_current(msgspec.structs.replace(found, retiring_at=None, before={}))

    async def revoke_keys(self, *, confirm: str = "") -> RevokedKeys:
        self._answer()
        self.calls.append(("revoke_keys", confirm))
        self._refuse()
        lost: Counter[Service] = Counter()
        for key in self._keys.values():
            lost.update(self._counted(key).services)
        _check_confirmed(confirm, "revoke", f"{_lost(lost)} are lost." if lost else "No subscription is lost.")
        for one in [one for one in self._subscriptions.values() if one.key_id in self._keys]:
            del self._subscriptions[one.id]
            self._emit(SubscriptionRemoved(self._number(), self.now(), one.id, one.user))
            self._invalidate(one.user)
        for key in list(self._keys.values()):
            self._change_key(msgspec.structs.replace(key, state=KeyState.REVOKED, retiring_at=None, before={}))
        self._count()
        return RevokedKeys(self._make_current(self._new_key()), dict(lost))

    async def import_key(self, text: str, *, current: bool = False, confirm: str = "") -> VapidKey:
        self._answer()
        self.calls.append(("import_key", (text, current, confirm)))
        self._refuse()
        mine = next((key for key in self._keys.values() if text == _pem(key)), None)
        read = read_key(text) if mine is None else mine
        known = self._keys.get(read.id)
        state = KeyState.CURRENT if current else KeyState.RETIRING
        if known is not None and known.state in {KeyState.CURRENT, KeyState.REVOKED, state}:
            raise PushdeskError(
                f"The key {known.id} is here already: it is {known.state}.", code="bad_field", fields=("text",)
            )
        if current:
            _check_confirmed(confirm, "import", "The imported key becomes current.")
        if known is not None:
            self._restore(known)
        key = known or VapidKey(read.id, read.public_key, KeyState.RETIRING, self.now())
        if current:
            return self._make_current(msgspec.structs.replace(key, retiring_at=None, before={}))
        key = msgspec.structs.replace(key, state=KeyState.RETIRING, retiring_at=self.now())
        return self._change_key(msgspec.structs.replace(key, before=self._counted(key).services))

    async def export_key(self, key: str, *, confirm: str = "") -> ExportedKey:
        self._answer()
        self.calls.append(("export_key", (key, confirm)))
        self._refuse()
        found = self._key(key, set(KeyState) - {KeyState.REVOKED}, "exported")
        _check_confirmed(confirm, "export", "Whoever has the private half can send.")
        return ExportedKey(key, found.public_key, "private", _pem(found))

    async def create_token(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        self._answer()
        self.calls.append(("create_token", name))
        self._refuse()
        if not name.strip() or not name.isprintable() or not scopes:
            raise PushdeskError("A token has a printable name and a scope.", code="bad_field", fields=("name",))
        given = tuple(scope for scope in Scope if scope in scopes)
        self._ids += 1
        access = AccessToken(f"{self._ids:026x}", name.strip(), given, self.now())
        self._tokens[access.id] = access
        self._emit(TokenChanged(self._number(), self.now(), access))
        return NewAccessToken(f"pdk_{access.id}_made-up", access)

    async def pause_service(self, service: Service) -> ServiceHealth:
        paused = {"state": LaneState.PAUSED, "since": self.now(), "reason": "An operator paused it.", "until": None}
        return await self._change_service("pause_service", service, **paused)

    async def resume_service(self, service: Service) -> ServiceHealth:
        return await self._change_service("resume_service", service, **OPEN)

    async def reset_service(self, service: Service) -> ServiceHealth:
        is_paused = self._health(service).state is LaneState.PAUSED
        return await self._change_service("reset_service", service, stopped=(), **({} if is_paused else OPEN))

    async def confirm_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        return self._decide("confirm_brake", service, confirm, "confirm", SubscriptionState.GONE)

    async def release_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        return self._decide("release_brake", service, confirm, "release", SubscriptionState.ACTIVE)

    def _decide(self, call: str, service: Service, confirm: str, word: str, state: SubscriptionState) -> DecidedBrake:
        self._answer()
        self.calls.append((call, (service, confirm)))
        self._refuse()
        held = [
            one
            for one in self._subscriptions.values()
            if one.service is service and one.state is SubscriptionState.HELD
        ]
        if not held:
            raise PushdeskError(f"Nothing is held of {service}.", code="bad_field", fields=("service",))
        _check_confirmed(confirm, word, f"{len(held)} subscriptions of {service} are held.")
        for one in held:
            self.change(one.id, state=state)
        return DecidedBrake(self.change_service(service, brake=None), len(held))

    async def restore_subscriptions(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        self._answer()
        self.calls.append(("restore_subscriptions", tuple(ids)))
        self._refuse()
        return tuple(self._restored(id_) for id_ in dict.fromkeys(ids))

    def _restored(self, id_: str) -> Restoration:
        known = self._subscriptions.get(id_)
        if known is None:
            return Restoration(id_, RestoreResult.NOT_FOUND, "There is no such subscription.")
        if known.state is SubscriptionState.ACTIVE:
            return Restoration(id_, RestoreResult.ALREADY_ACTIVE, "It is sent to already.")
        if known.state is SubscriptionState.HELD:
            return Restoration(id_, RestoreResult.HELD, "A brake holds it.")
        self.change(id_, state=SubscriptionState.ACTIVE, failures=0)
        return Restoration(id_, RestoreResult.RESTORED)

    def _health(self, service: Service) -> ServiceHealth:
        return next((each for each in self._stats.services if each.service is service), ServiceHealth(service))

    async def _change_service(self, call: str, service: Service, **fields: Any) -> ServiceHealth:
        self._answer()
        self.calls.append((call, service))
        self._refuse()
        return self.change_service(service, **fields)

    async def revoke_token(self, token: str) -> AccessToken:
        self._answer()
        self.calls.append(("revoke_token", token))
        self._refuse()
        if token not in self._tokens:
            raise PushdeskError("There is no such access token.", code="not_found")
        self._emit(TokenRevoked(self._number(), self.now(), token))
        return self._tokens.pop(token)

    async def invalidate_cache(self, user: str) -> bool:
        self._answer()
        self.calls.append(("invalidate_cache", user))
        self._refuse()
        return self._invalidate(check_user(user))

    async def clear_cache(self) -> int:
        self._answer()
        self.calls.append(("clear_cache", None))
        self._refuse()
        held = len(self._cache)
        self._cache.clear()
        self._tell_cache(CacheChange.CLEARED, "")
        return held

    async def events(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        self._answer()
        reader: asyncio.Queue[tuple[AnyEvent, ...] | None] = asyncio.Queue()
        self._readers.append(reader)
        try:
            yield (Hello(self._seq, self.now(), self._epoch, self._stats.version), *self._missed(after))
            while (batch := await reader.get()) is not None:
                yield batch
            raise UnreachableError("The connection to the server was lost.")
        finally:
            self._readers.remove(reader)

    # How it is done.

    def _answer(self) -> None:
        if not self._lets_in:
            hint = "It was revoked. pushdesk tokens create makes another."
            raise PushdeskError(f"{URL} no longer takes the token.", code="unauthorized", hint=hint)
        if not self.reachable:
            raise UnreachableError("The server cannot be reached.")

    def _refuse(self) -> None:
        if self.refusals:
            raise self.refusals.popleft()

    def _number(self) -> int:
        self._seq += 1
        return self._seq

    def _know(self, user: str, since: datetime | None = None) -> None:
        if user not in self._users:
            self._users[user] = User(user, since or self.now())
            self._emit(UserAdded(self._number(), self.now(), user))

    def _emit(self, *events: AnyEvent) -> None:
        self._history.extend(events)
        for reader in self._readers:
            reader.put_nowait(events)

    def _missed(self, after: Position | None) -> Iterable[AnyEvent]:
        if after is None or (after.epoch == self._epoch and after.seq == self._seq):
            return ()
        missed = [event for event in self._history if event.seq > after.seq]
        whole = after.epoch == self._epoch and missed and missed[0].seq == after.seq + 1
        return missed if whole else (Gap(self._seq, self.now()),)

    def _of(self, user: str) -> list[Subscription]:
        active = SubscriptionState.ACTIVE
        return [one for one in self._subscriptions.values() if one.user == user and one.state is active]

    def _last(self, one: Delivery) -> Attempt:
        """Return a delivery's last attempt."""
        headers = self.headers.get(one.id, {})
        return Attempt(one.attempts, one.at, one.outcome, one.status, one.reason, one.latency_ms, headers)

    def _reached(self, user: User) -> User:
        """Return a user with how well they were reached."""
        devices = [one for one in self._subscriptions.values() if one.user == user.id]
        return msgspec.structs.replace(
            user,
            subscriptions=len(self._of(user.id)),
            last_delivery_at=max((one.last_success_at for one in devices if one.last_success_at), default=None),
            last_failure_at=max((one.last_failure_at for one in devices if one.last_failure_at), default=None),
        )

    def _invalidate(self, user: str) -> bool:
        was_held = self._cache.pop(user, None) is not None
        if was_held:
            self._tell_cache(CacheChange.INVALIDATED, user)
        return was_held

    def _look_up(self, user: str) -> None:
        if user in self._cache:
            self._tell_cache(CacheChange.HIT, user)
            return
        self._tell_cache(CacheChange.MISS, user)
        self._generation += 1
        devices = len(self._of(user))
        self._cache[user] = CacheEntry(user, self._generation, devices, 0.0, TTL_S, 500 + 300 * devices)
        self._tell_cache(CacheChange.STORED, user)

    def _tell_cache(self, change: CacheChange, user: str) -> None:
        stats = self._stats.cache
        held = self._cache.values()
        figures = msgspec.structs.replace(
            stats,
            entries=sum(entry.devices > 0 for entry in held),
            negative=sum(entry.devices == 0 for entry in held),
            size=sum(entry.size for entry in held),
            reads=stats.reads + (change is CacheChange.STORED),
            counts=stats.counts | {change: stats.counts.get(change, 0) + 1},
        )
        self._stats = msgspec.structs.replace(self._stats, cache=figures)
        self._emit(CacheChanged(self._number(), self.now(), change, user, self._cache.get(user)))

    def _count(self) -> None:
        users = {one.user for one in self._subscriptions.values()}
        self.set_stats(subscriptions=sum(len(self._of(user)) for user in users), users=len(users))

    def _accept(
        self, user: str, title: str, kind: DispatchKind, devices: list[Subscription], *, name: str | None = None
    ) -> Dispatch:
        self._ids += 1
        dispatch = Dispatch(name or f"dispatch-{self._ids:04}", user, kind, title, self.now(), DispatchState.QUEUED)
        self._dispatches[dispatch.id] = dispatch
        self._look_up(user)
        for one in devices:
            self._ids += 1
            delivery = Delivery(
                id=f"delivery-{self._ids:04}",
                dispatch=dispatch.id,
                user=user,
                subscription=one.id,
                service=one.service,
                outcome=Outcome.WAITING,
                at=self.now(),
                device=f"{one.browser} · {one.platform}",
            )
            self._deliveries[delivery.id] = delivery
            self._emit(DeliveryChanged(self._number(), self.now(), delivery))
        told = self._told(dispatch, deliveries=True)
        self._emit(DispatchChanged(self._number(), self.now(), self._told(dispatch, deliveries=False)))
        return told

    def _schedule(self, user: str, notification: Notification, name: str | None) -> Dispatch:
        accepted = self._accept(user, notification.title, DispatchKind.NOTIFICATION, [], name=name)
        scheduled = msgspec.structs.replace(accepted, state=DispatchState.SCHEDULED, send_at=notification.send_at)
        self._dispatches[scheduled.id] = scheduled
        self._emit(DispatchChanged(self._number(), self.now(), scheduled))
        return scheduled

    def _settle(self, delivery: Delivery, outcome: Outcome, **fields: Any) -> Delivery:
        wanted: dict[str, Any] = {
            "outcome": outcome,
            "status": STATUS.get(outcome),
            "attempts": delivery.attempts + 1,
            "latency_ms": 61.0 if outcome in STATUS else None,
            "at": self.now(),
        }
        settled = msgspec.structs.replace(delivery, **(wanted | fields))
        self.update(settled)
        dispatch = self._told(self._dispatches[delivery.dispatch], deliveries=False)
        self._emit(DispatchChanged(self._number(), self.now(), dispatch))
        return settled

    def _told(self, dispatch: Dispatch, *, deliveries: bool) -> Dispatch:
        if dispatch.id in self._broadcasts:
            return self._told_broadcast(self._broadcasts[dispatch.id])
        its = [one for one in self._deliveries.values() if one.dispatch == dispatch.id]
        counts: dict[Outcome, int] = {}
        for one in its:
            counts[one.outcome] = counts.get(one.outcome, 0) + 1
        done = all(one.outcome.is_settled for one in its)
        state = DispatchState.DONE if done else DispatchState.SENDING
        if dispatch.state in {DispatchState.SCHEDULED, DispatchState.CANCELLED}:
            state = dispatch.state
        return msgspec.structs.replace(
            dispatch,
            counts=counts,
            state=state,
            deliveries=tuple(its[:200]) if deliveries else (),
            next=its[199].id if deliveries and len(its) > 200 else None,
        )

    def _plan(self, notification: Notification, named: Sequence[str] | None) -> BroadcastPlan:
        size = len(build_message(notification, dispatch="0" * 26, access_url=self._stats.url))
        if size > MAX_MESSAGE:
            raise PayloadTooLargeError(f"The message has {size} bytes; {MAX_MESSAGE} are allowed.")
        users = list(self._users) if named is None else list(dict.fromkeys(named))
        unknown = [user for user in users if named is not None and not self._of(user)]
        counts = Counter(one.service for user in users for one in self._of(user))
        parts = tuple(PlannedPart(service, counts[service], duration_s=0.0) for service in Service if counts[service])
        return BroadcastPlan(
            parts,
            counts.total(),
            None if named is None else len(users),
            len(unknown),
            tuple(unknown[:20]),
            size,
            MAX_MESSAGE,
            0.0 if parts else None,
        )

    def _check_going_on(self, call: str, broadcast: str) -> Broadcast:
        self._answer()
        self.calls.append((call, broadcast))
        self._refuse()
        if broadcast not in self._broadcasts:
            raise PushdeskError(f"There is no broadcast {broadcast!r}.", code="not_found")
        found = self._broadcasts[broadcast]
        if found.state in {BroadcastState.DONE, BroadcastState.CANCELLED}:
            raise PushdeskError(f"This broadcast is {found.state} already.", code="already_ended")
        return found

    def _told_broadcast(self, broadcast: Broadcast) -> Dispatch:
        """Return a broadcast as the dispatch that it is."""
        is_paused = broadcast.state is BroadcastState.PAUSED
        return Dispatch(
            broadcast.id,
            None,
            DispatchKind.BROADCAST,
            broadcast.title,
            broadcast.accepted_at,
            DispatchState.SENDING if is_paused else DispatchState(broadcast.state),
            counts=broadcast.counts,
            send_at=broadcast.send_at,
        )

    def _new_key(self) -> VapidKey:
        return VapidKey(f"{len(self._keys) + 1:08x}", "BPublic", KeyState.CURRENT, self.now())

    def _key(self, key: str, states: Container[KeyState], what: str) -> VapidKey:
        if key not in self._keys:
            raise PushdeskError(f"There is no key {key!r}.", code="not_found")
        found = self._counted(self._keys[key])
        if found.state not in states:
            raise PushdeskError(f"Key {key} is {found.state}: it cannot be {what}.", code="bad_field", fields=("id",))
        return found

    def _made_with(self, key: str, state: SubscriptionState = SubscriptionState.ACTIVE) -> list[Subscription]:
        return [one for one in self._subscriptions.values() if one.key_id == key and one.state is state]

    def _counted(self, key: VapidKey) -> VapidKey:
        """Return a key with what was made with it."""
        mine = self._made_with(key.id)
        active = [one for one in self._subscriptions.values() if one.state is SubscriptionState.ACTIVE]
        left = len({one.user for one in mine} - {one.user for one in active if one.key_id != key.id})
        end = None
        if key.retiring_at is not None:
            end = end_of(key.retiring_at, sum(key.before.values()), len(mine), now=self.now())
        return msgspec.structs.replace(
            key,
            subscriptions=len(mine),
            services=dict(Counter(one.service for one in mine)),
            users_left=left if key.state is KeyState.RETIRING else 0,
            expected_end=end,
        )

    def _make_current(self, new: VapidKey) -> VapidKey:
        for key in list(self._keys.values()):
            if key.state is KeyState.CURRENT and key.id != new.id:
                before = self._counted(key).services
                retiring = msgspec.structs.replace(key, state=KeyState.RETIRING, retiring_at=self.now(), before=before)
                self._change_key(retiring)
        self._change_key(msgspec.structs.replace(new, state=KeyState.CURRENT))
        self.set_stats(key_id=new.id, key_created_at=new.created_at)
        return self._counted(self._keys[new.id])

    def _restore(self, key: VapidKey) -> None:
        if key.state is KeyState.RETIRED:
            for one in self._made_with(key.id, SubscriptionState.KEY_MISMATCH):
                self.change(one.id, state=SubscriptionState.ACTIVE)

    def _change_key(self, key: VapidKey) -> VapidKey:
        self._keys[key.id] = self._counted(key)
        self._emit(KeyChanged(self._number(), self.now(), self._keys[key.id]))
        return self._keys[key.id]


def _check_confirmed(confirm: str, word: str, detail: str) -> None:
    if confirm != word:
        raise PushdeskError(detail, code="confirm_required", hint=f'Confirm with the word "{word}".')


def _lost(services: Mapping[Service, int]) -> str:
    return f"{sum(services.values())} subscriptions ({', '.join(f'{n} at {one}' for one, n in services.items())})"


def _pem(key: VapidKey) -> str:
    return f"-----BEGIN PRIVATE KEY-----\n{key.id}\n-----END PRIVATE KEY-----\n"


def _dispatch_passes(dispatch: Dispatch, text: str) -> bool:
    if text.startswith("state:"):
        return dispatch.state == text.removeprefix("state:")
    return passes(dispatch.user or "", text) or passes(dispatch.title, text)


def _passes(delivery: Delivery, text: str) -> bool:
    if text in set(Outcome):
        return delivery.outcome.value == text
    if text.startswith("subscription:"):
        return delivery.subscription == text.removeprefix("subscription:")
    return passes(delivery.user, text)


def _page(items: Iterable[N], query: PageQuery, *, sorts: tuple[str, ...]) -> Page[N]:
    """Return a page; the first of `sorts` is what an empty sort means, descending."""

    def place(item: N, field: str) -> list[Any]:
        value = getattr(item, field)
        return [value.isoformat() if isinstance(value, datetime) else value, item.id]

    return _keyset(items, query, place=place, sorts=sorts, default=f"-{sorts[0]}")


def _keyset(
    items: Iterable[T],
    query: PageQuery,
    *,
    place: Callable[[T, str], list[Any]],
    sorts: tuple[str, ...],
    default: str,
) -> Page[T]:
    """Return a page by keyset: the cursor names the last item's place, so that rows that come and go shift nothing."""
    order = Order.of(query, sorts, default=default)
    down = order.is_descending
    ordered = sorted(items, key=lambda item: place(item, order.field), reverse=down)
    if query.cursor is not None:
        last = list(order.place(query.cursor, Any, Any))
        ordered = [
            item for item in ordered if (place(item, order.field) < last if down else place(item, order.field) > last)
        ]
    shown = ordered[: query.limit]
    more = len(ordered) > query.limit
    cursor = order.cursor(*place(shown[-1], order.field)) if more else None
    return Page(tuple(shown), cursor)
