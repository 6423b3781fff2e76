"""The engine: wires what does the work, owns it while it runs, and satisfies `Desk`."""

from __future__ import annotations

import asyncio
import random
import secrets
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from pushdesk.engine.access_tokens import AccessTokens
from pushdesk.engine.brake_commands import BrakeCommands
from pushdesk.engine.brakes import Brakes
from pushdesk.engine.broadcasts import Broadcasts, share_of
from pushdesk.engine.carrier import InProcess
from pushdesk.engine.device_tokens import DeviceTokens
from pushdesk.engine.disabled import DisabledSubscriptions
from pushdesk.engine.dispatcher import ADMIN, Dispatcher, NoopDispatcher, WebPushDispatcher
from pushdesk.engine.events import EventBus
from pushdesk.engine.explainer import Explainer
from pushdesk.engine.identifiers import Identifiers
from pushdesk.engine.invitations import Invitations
from pushdesk.engine.key_census import KeyCensus
from pushdesk.engine.key_commands import KeyCommands
from pushdesk.engine.keyring import Keyring
from pushdesk.engine.lane_commands import LaneCommands
from pushdesk.engine.lanes import Lanes
from pushdesk.engine.maintenance import Maintenance
from pushdesk.engine.memory_listings import cache_page, log_page
from pushdesk.engine.outbox import Outbox
from pushdesk.engine.pressure import Pressure
from pushdesk.engine.publisher import Publisher
from pushdesk.engine.pusher import Pusher
from pushdesk.engine.registration import Registration
from pushdesk.engine.reporting import Reporter
from pushdesk.engine.resending import Resending
from pushdesk.engine.retention import Trimming
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.engine.senders import Senders
from pushdesk.engine.statistics import Statistics, utc
from pushdesk.engine.subscriptions import SubscriptionCache
from pushdesk.engine.tellers import BroadcastTeller, CacheTeller, LogTeller
from pushdesk.engine.turns import Turns
from pushdesk.engine.user_removal import UserRemoval
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.invitation_code import DEFAULT_LIFETIME_S
from pushdesk.log import write
from pushdesk.log_events import CacheCleared, CacheInvalidated, DispatchCancelled
from pushdesk.log_fields import Id, UserId
from pushdesk.log_ring import LogRing
from pushdesk.model import Experiment, Page, PageQuery, Scope, Stats
from pushdesk.user_id import check_user
from pushdesk.webpush.device_keys import DeviceKeys, share_of_cache
from pushdesk.webpush.vapid import Authorizer, subscriber_from

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Sequence

    from pushdesk.clock import Clock
    from pushdesk.config import Config
    from pushdesk.desk import AnyEvent, Position
    from pushdesk.engine.carrier import Carrier
    from pushdesk.engine.summariser import Summariser
    from pushdesk.model import (
        Accepted,
        AcceptedTurn,
        AccessToken,
        Broadcast,
        BroadcastPlan,
        CacheEntry,
        DecidedBrake,
        Delivery,
        DeliveryRecord,
        DeviceGrant,
        Dispatch,
        Enrolled,
        ExportedKey,
        History,
        Invitation,
        LogEntry,
        NewAccessToken,
        Notification,
        Restoration,
        RevokedKeys,
        Service,
        ServiceHealth,
        Span,
        Subscribed,
        Subscription,
        SubscriptionRequest,
        TokenGrant,
        Turn,
        User,
        VapidKey,
        Verdict,
    )
    from pushdesk.storage.records import Raised
    from pushdesk.storage.store import Store
    from pushdesk.webpush.transport import Transport

TEST_WAIT_S: Final = 10.0
"""How long the outcome of a test push is waited for."""
PUSH_IS_OFF: Final = "Web Push is switched off on this server."
SWITCHES_PUSH_ON: Final = (
    "Switch web-push on where it was switched off ([experiments] in the configuration, "
    "PUSHDESK_EXPERIMENTS_WEB_PUSH or --experiments-web-push) and start the server again."
)


class Engine:
    """Accepts, sends and tells; used as an async context manager. See `Desk` for what it can be asked.

    Args:
        config: Subscriber, endpoints that are allowed, concurrency, devices per user, the cache, what is switched on.
        access_url: Origin under which browsers reach the server.
        store: An open store.
        transport: What posts to the push services: in this process, or a pool of others that encrypt, too.
        clock: All time that is used.
        uniform: Draws a number between two: for the jitter of retries.
        random_bytes: Gives so many random bytes: for ids and tokens.
        log_ring: The last lines of the log; without it, there are none to be shown.
        summariser: What sums up turns besides pushdesk itself, if anything.
    """

    left_out: Final = 0

    def __init__(
        self,
        config: Config,
        *,
        access_url: str,
        store: Store,
        transport: Transport | SenderPool,
        clock: Clock,
        uniform: Callable[[float, float], float] = random.uniform,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        log_ring: LogRing | None = None,
        summariser: Summariser | None = None,
    ) -> None:
        self._access_url = access_url
        self._log_ring = log_ring or LogRing()
        self._store = store
        self._clock = clock
        subscriber = subscriber_from(config.push.subscriber, access_url)
        self._identifiers = Identifiers(clock, random_bytes)
        self._statistics = Statistics(clock)
        self._bus = EventBus(clock, epoch=self._identifiers.new())
        self._publisher = Publisher(self._bus, self._statistics)
        self._cache_teller = CacheTeller(self._bus)
        self._broadcast_teller = BroadcastTeller(self._bus)
        self._keyring = Keyring(store.keys, clock)
        self._access_tokens = AccessTokens(store.access_tokens, self._identifiers, clock, self._publisher)
        allowed_origins = frozenset(config.push.allow_endpoint)
        self._cache = SubscriptionCache(
            store.subscriptions.targets,
            ttl_s=config.cache.ttl_s,
            # Devices' keys, read, have the rest: whoever encrypts holds them.
            max_size=config.cache.max_size - share_of_cache(config.cache.max_size, holders=1),
            monotonic=clock.monotonic,
            now=partial(utc, clock),
            uniform=uniform,
            observer=self._cache_teller.changed,
        )
        store.on_raised = self._follow
        self._key_census = KeyCensus(
            listings=store.listings, count=store.key_bindings.count, publisher=self._publisher, clock=clock
        )
        self._key_commands = KeyCommands(
            store=store,
            keyring=self._keyring,
            cache=self._cache,
            census=self._key_census,
            publisher=self._publisher,
            clock=clock,
        )
        self._lanes = Lanes(clock, concurrency=config.push.concurrency, rate=config.push.rate)
        self._brakes = Brakes(clock)
        self._lane_commands = LaneCommands(
            store.lanes, lanes=self._lanes, brakes=self._brakes, statistics=self._statistics, clock=clock
        )
        self._brake_commands = BrakeCommands(
            store.brakes,
            brakes=self._brakes,
            health=self._lane_commands.health,
            publisher=self._publisher,
            clock=clock,
        )
        self._disabled = DisabledSubscriptions(
            store.disabled,
            publisher=self._publisher,
            max_devices=config.push.max_devices,
            keep_s=config.retention.disabled_s,
            clock=clock,
        )
        self._pressure = Pressure(
            config.outbox,
            queue=lambda: self._outbox.queued + self._statistics.waiting.total(),
            free=store.free_bytes,
            clock=clock,
        )
        carrier: Carrier
        if isinstance(transport, SenderPool):
            carrier = transport
        else:
            keys = DeviceKeys(share_of_cache(config.cache.max_size, holders=1))
            carrier = InProcess(transport, clock.monotonic, keys)
        self._outbox = Outbox(
            table=store.outbox,
            lane_table=store.lanes,
            lanes=self._lanes,
            brakes=self._brakes,
            pusher=Pusher(
                keyring=self._keyring,
                authorizer=Authorizer(subscriber=subscriber, clock=clock.time),
                senders=Senders(carrier, self._lanes),
                brakes=self._brakes,
                allowed_origins=allowed_origins,
                clock=clock,
                uniform=uniform,
            ),
            cache=self._cache,
            clock=clock,
            identifiers=self._identifiers,
            observer=self._publisher,
            pressure=self._pressure,
            broadcast_table=store.broadcasts,
            broadcast_users=store.broadcast_users,
            broadcast_teller=self._broadcast_teller,
            at_once=share_of(config.push),
        )
        self._sends = config.is_on(Experiment.WEB_PUSH)
        self._dispatcher: Dispatcher = NoopDispatcher(PUSH_IS_OFF, SWITCHES_PUSH_ON)
        if self._sends:
            self._dispatcher = WebPushDispatcher(
                outbox=self._outbox,
                cache=self._cache,
                keyring=self._keyring,
                listings=store.listings,
                access_url=access_url,
                click_origins=config.click_origins,
                kept_days=config.retention.days,
                identifiers=self._identifiers,
                clock=clock,
            )
        self._broadcasts = Broadcasts(
            store.broadcasts,
            store.broadcast_users,
            outbox=self._outbox,
            dispatcher=self._dispatcher,
            pressure=self._pressure,
            listings=store.listings,
            health=self._lane_commands.health,
            push=config.push,
            access_url=access_url,
            click_origins=config.click_origins,
            kept_days=config.retention.days,
            identifiers=self._identifiers,
            clock=clock,
        )
        self._resending = Resending(
            store.delivery_records,
            listings=store.listings,
            dispatcher=self._dispatcher,
            outbox=self._outbox,
            identifiers=self._identifiers,
            clock=clock,
        )
        self._turns = Turns(
            dispatcher=self._dispatcher,
            schedule=self._outbox,
            access_url=access_url,
            click_origins=config.click_origins,
            clock=clock,
            summariser=summariser,
        )
        self._registration = Registration(
            subscriptions=store.subscriptions,
            keyring=self._keyring,
            allowed_origins=allowed_origins,
            max_devices=config.push.max_devices,
            test=self._dispatcher.test,
            publisher=self._publisher,
            identifiers=self._identifiers,
            clock=clock,
        )
        self._device_tokens = DeviceTokens(store.subscriptions, store.invitations)
        self._invitations = Invitations(
            store.invitations,
            access_url=access_url,
            publisher=self._publisher,
            identifiers=self._identifiers,
            clock=clock,
        )
        self._user_removal = UserRemoval(store.users, outbox=self._outbox, publisher=self._publisher)
        self.maintenance = Maintenance(store, min_free=config.outbox.min_free)
        """What can be done to the database."""
        self._trimming = Trimming(store.retention, store.space, config=config.retention, clock=clock)
        self._explainer = Explainer(
            store.explaining,
            clock,
            sends=self._sends,
            health=self._lane_commands.health,
            outbox=self._outbox,
            rate=config.push.rate,
            keeps_disabled_s=config.retention.disabled_s,
        )
        self._reporter = Reporter(
            store=store,
            keyring=self._keyring,
            outbox=self._outbox,
            cache=self._cache,
            statistics=self._statistics,
            lanes=self._lanes,
            brakes=self._brakes,
            pressure=self._pressure,
            carrier=carrier,
            publisher=self._publisher,
            access_url=access_url,
            subscriber=subscriber,
            sends=self._sends,
            standing_warnings=() if self._sends else (f"{PUSH_IS_OFF} {SWITCHES_PUSH_ON}",),
            clock=clock,
        )
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self._telling = ExitStack()

    async def __aenter__(self) -> Self:
        """Load the keys, take up what was left, and begin to work.

        Raises:
            DatabaseError: The database does not answer.
        """
        self.maintenance.clear()
        await self._keyring.load()
        await self._access_tokens.load()
        await self._brake_commands.load()
        await self._outbox.take_stock()
        if self._sends:
            await self._turns.start()
            await self._outbox.start()
        self._tasks = (
            asyncio.create_task(self._reporter.run(), name="engine reporter"),
            asyncio.create_task(self._access_tokens.run(), name="engine access tokens"),
            asyncio.create_task(self._key_commands.run(), name="engine keys"),
            asyncio.create_task(self._user_removal.run(), name="engine user removal"),
            asyncio.create_task(self._trimming.run(), name="engine retention"),
            asyncio.create_task(self._brake_commands.run(), name="engine brakes"),
            asyncio.create_task(self._disabled.run(), name="engine disabled subscriptions"),
        )
        lines = LogTeller(self._bus)
        self._telling.callback(self._cache_teller.stop)
        self._telling.callback(self._broadcast_teller.stop)
        self._telling.callback(lines.stop)
        self._telling.enter_context(self._log_ring.listen(lines.written))
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Stop at once; what is in flight is tried again at the next start."""
        await self.drain(0)
        # Not cancelled: they may be in the middle of a query.
        self._reporter.end()
        self._access_tokens.end()
        self._key_commands.end()
        self._user_removal.end()
        self._trimming.end()
        self._brake_commands.end()
        self._disabled.end()
        await asyncio.gather(*self._tasks)
        await self._cache.aclose()
        self._telling.close()

    async def drain(self, timeout_s: float) -> int:
        """Take no more, and let what is in flight end; returns how much was left after `timeout_s`."""
        await self._turns.aclose()
        return await self._outbox.stop(timeout_s)

    @property
    def in_flight(self) -> int:
        """Deliveries that are under way or not written down yet."""
        return self._outbox.in_flight

    def public_key(self) -> VapidKey:
        """Return the key that browsers are to subscribe with.

        Raises:
            PushdeskError: `push_disabled`.
        """
        return self._dispatcher.public_key

    async def ready(self) -> dict[str, str]:
        """Return what keeps the server from doing its work, by name; nothing if it can."""
        problems = {}
        try:
            await self._store.ping()
        except DatabaseError as error:
            problems["database"] = error.detail
        if self._keyring.signing_key(self._keyring.current.id) is None:
            problems["keys"] = "There is no key to sign with."
        if self._sends and not self._outbox.is_working:
            problems["queue"] = "What is accepted is not worked on."
        return problems | {shortage.value: reason for shortage, reason in self._pressure.reasons().items()}

    async def subscribe(self, user: str, request: SubscriptionRequest, grant: DeviceGrant | None = None) -> Subscribed:
        """Store a browser's subscription; see `Registration.subscribe`."""
        return await self._registration.subscribe(check_user(user), request, grant)

    async def unsubscribe(self, user: str, endpoint: str) -> None:
        """Remove a user's subscription.

        Raises:
            PushdeskError: `subscription_not_found`.
            DatabaseError: It is still there.
        """
        self._publisher.subscriptions_removed([await self._store.subscriptions.remove(user, endpoint)])

    async def find_subscription(self, user: str, endpoint: str) -> Subscription:
        """Return a user's subscription.

        Raises:
            PushdeskError: `subscription_not_found`.
        """
        return await self._store.subscriptions.find(user, endpoint)

    async def device_grant(self, token: str) -> DeviceGrant | None:
        """Return what a device token allows, or None if it is not valid."""
        return await self._device_tokens.grant(token)

    async def redeem(self, code: str) -> Enrolled:
        """Let a browser in that shows an invitation; see `Invitations.redeem`."""
        return await self._invitations.redeem(code)

    async def is_invited(self, user: str) -> bool:
        """Whether a user has a subscription that an invitation made: then nobody may name them without a token.

        Raises:
            DatabaseError: It could not be read.
        """
        return await self._store.invitations.is_invited(user)

    def token_grant(self, token: str) -> TokenGrant | None:
        """Return what an access token allows, or None if it is not valid."""
        return self._access_tokens.grant(token)

    async def accept(
        self,
        user: str,
        notification: Notification,
        *,
        sender: str = ADMIN,
        idempotency_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Accepted:
        """Accept a notification; see `Dispatcher.dispatch`."""
        return await self._dispatcher.dispatch(
            user, notification, sender=sender, idempotency_key=idempotency_key, wait_s=wait_s
        )

    async def accept_broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        sender: str = ADMIN,
        idempotency_key: str | None = None,
    ) -> Accepted:
        """Accept a broadcast; see `Broadcasts.accept`."""
        return await self._broadcasts.accept(
            notification, users, skip_bad=skip_bad, sender=sender, idempotency_key=idempotency_key
        )

    async def accept_again(self, delivery: str, *, sender: str = ADMIN, idempotency_key: str | None = None) -> Accepted:
        """Send what a delivery was of once more; see `Resending.resend`."""
        return await self._resending.resend(delivery, sender=sender, idempotency_key=idempotency_key)

    async def turn(self, turn: Turn, *, sender: str = ADMIN, idempotency_key: str | None = None) -> AcceptedTurn:
        """Accept a turn of an agent; see `Turns.accept`."""
        return await self._turns.accept(turn, sender=sender, idempotency_key=idempotency_key)

    async def stats(self) -> Stats:
        """Return the state of the server."""
        return await self._reporter.stats()

    async def scopes(self) -> frozenset[Scope]:
        """Return every scope: whoever holds the engine may do everything."""
        return frozenset(Scope)

    async def history(self, span: Span) -> History:
        """Return how the server has been doing."""
        return self._statistics.history.history(span)

    async def explain(self, *, user: str = "", subscription: str = "", delivery: str = "") -> Verdict:
        """Return why a user, a device or a delivery did not get what was sent; see `Explainer.explain`."""
        return await self._explainer.explain(user=user, subscription=subscription, delivery=delivery)

    async def users(self, query: PageQuery) -> Page[User]:
        """List users."""
        return await self._store.listings.users(query)

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions."""
        return await self._store.listings.subscriptions(query)

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries."""
        return await self._store.listings.deliveries(query)

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries."""
        return await self._store.listings.dispatches(query)

    async def dispatch(self, dispatch: str, cursor: str | None = None) -> Dispatch:
        """Return one dispatch with its deliveries, or those after the cursor that its `next` was."""
        return await self._store.listings.dispatch(dispatch, cursor)

    async def cancel(self, dispatch: str, *, sender: str | None = None) -> Dispatch:
        """End a dispatch with all that may still be sent of it; only if it is this sender's, where one is given."""
        await self._outbox.cancel(dispatch, sender)
        write(DispatchCancelled(dispatch=Id(dispatch)))
        return await self._store.listings.dispatch(dispatch)

    async def delivery(self, delivery: str) -> DeliveryRecord:
        """Return all that is known of a delivery."""
        return await self._store.delivery_records.record(delivery)

    async def resend(self, delivery: str) -> Dispatch:
        """Send what a delivery was of once more, to its subscription only."""
        return (await self.accept_again(delivery)).dispatch

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys."""
        return await self._key_census.page(query)

    async def all_keys(self) -> tuple[VapidKey, ...]:
        """Return every VAPID key, the newest first, with what is known of its subscriptions."""
        return await self._key_census.keys()

    async def tokens(self, query: PageQuery) -> Page[AccessToken]:
        """List access tokens."""
        return self._access_tokens.page(query)

    async def cache(self, query: PageQuery) -> Page[CacheEntry]:
        """List what the subscription cache holds."""
        return cache_page(self._cache.held(), query, now=self._clock.monotonic())

    async def log(self, query: PageQuery) -> Page[LogEntry]:
        """List the latest lines of the log."""
        return log_page(self._log_ring.entries(), query)

    async def notify(
        self, user: str, notification: Notification, *, wait_s: float = 0.0, idempotency_key: str | None = None
    ) -> Dispatch:
        """Accept a notification for a user."""
        accepted = await self.accept(user, notification, wait_s=wait_s, idempotency_key=idempotency_key)
        return accepted.dispatch

    async def broadcasts(self, query: PageQuery) -> Page[Broadcast]:
        """List broadcasts."""
        return await self._broadcasts.page(query)

    def broadcasts_going_on(self) -> tuple[Broadcast, ...]:
        """Return the broadcasts that have not ended, as they are now."""
        return tuple(self._outbox.runs.shown(run) for run in self._outbox.runs if not run.is_ended)

    async def plan_broadcast(
        self, notification: Notification, users: AsyncIterable[str] | None = None, *, skip_bad: bool = False
    ) -> BroadcastPlan:
        """Return what a broadcast would be; see `Broadcasts.plan`."""
        return await self._broadcasts.plan(notification, users, skip_bad=skip_bad)

    async def broadcast(
        self,
        notification: Notification,
        users: AsyncIterable[str] | None = None,
        *,
        skip_bad: bool = False,
        idempotency_key: str | None = None,
    ) -> Dispatch:
        """Accept a broadcast."""
        accepted = await self.accept_broadcast(notification, users, skip_bad=skip_bad, idempotency_key=idempotency_key)
        return accepted.dispatch

    async def pause_broadcast(self, broadcast: str, *, sender: str | None = None) -> Broadcast:
        """Pause a broadcast; only if it is this sender's, where one is given."""
        return await self._broadcasts.pause(broadcast, sender)

    async def resume_broadcast(self, broadcast: str, *, sender: str | None = None) -> Broadcast:
        """Go on with one that is paused; see `pause_broadcast`."""
        return await self._broadcasts.resume(broadcast, sender)

    async def abort_broadcast(self, broadcast: str, *, sender: str | None = None) -> Broadcast:
        """Send nothing more of a broadcast; see `pause_broadcast`."""
        return await self._broadcasts.abort(broadcast, sender)

    async def test(self, user: str, subscription: str | None = None) -> tuple[Delivery, ...]:
        """Send the test push to a user's devices, or to one of them."""
        try:
            return await self.test_browser(user, subscription)
        except PushdeskError as error:
            if error.code == "subscription_not_found" and subscription is not None:
                # It may be known all the same: then it is said why it is not sent to.
                await self._store.delivery_records.check_device(user, subscription)
            raise

    async def test_browser(self, user: str, subscription: str | None) -> tuple[Delivery, ...]:
        """Do the same for a browser, to which a subscription that is not sent to is none at all.

        Raises:
            PushdeskError: `subscription_not_found` if there is none that is sent to; `push_disabled`.
            DatabaseError: It was not accepted.
        """
        return await self._dispatcher.test(user, subscription, TEST_WAIT_S)

    async def remove_subscriptions(self, ids: Sequence[str]) -> int:
        """Remove subscriptions; returns how many there were."""
        removed = await self._store.subscriptions.remove_ids(ids)
        self._publisher.subscriptions_removed(removed)
        return len(removed)

    async def restore_subscriptions(self, ids: Sequence[str]) -> tuple[Restoration, ...]:
        """Make disabled subscriptions active again; see `DisabledSubscriptions.restore`."""
        return await self._disabled.restore(ids)

    async def invite(self, user: str, expires_s: int = DEFAULT_LIFETIME_S) -> Invitation:
        """Make an invitation for a user; see `Invitations.make`."""
        return await self._invitations.make(check_user(user), expires_s)

    async def remove_user(self, user: str) -> None:
        """Remove a user with everything of theirs; see `UserRemoval.remove`."""
        await self._user_removal.remove(check_user(user))

    async def rotate_key(self, *, confirm: str = "") -> VapidKey:
        """Make a new current VAPID key; see `KeyCommands`, for what follows too."""
        return await self._key_commands.rotate(confirm)

    async def retire_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """End a retiring key."""
        return await self._key_commands.retire(key, confirm)

    async def roll_back_key(self, key: str, *, confirm: str = "") -> VapidKey:
        """Make a retiring or retired key current again."""
        return await self._key_commands.roll_back(key, confirm)

    async def revoke_keys(self, *, confirm: str = "") -> RevokedKeys:
        """Make a new current key, and end all others for good."""
        return await self._key_commands.revoke(confirm)

    async def import_key(self, text: str, *, current: bool = False, confirm: str = "") -> VapidKey:
        """Take a key that was used elsewhere."""
        return await self._key_commands.take_in(text, confirm, current=current)

    async def export_key(self, key: str, *, confirm: str = "") -> ExportedKey:
        """Return a key with its private half."""
        return await self._key_commands.give_out(key, confirm)

    async def pause_service(self, service: Service) -> ServiceHealth:
        """Send nothing more to a push service, until it is resumed."""
        return await self._lane_commands.pause(service)

    async def resume_service(self, service: Service) -> ServiceHealth:
        """Send to a push service again that was paused."""
        return await self._lane_commands.resume(service)

    async def reset_service(self, service: Service) -> ServiceHealth:
        """Forget what was wrong with a push service, and try again at once."""
        return await self._lane_commands.reset(service)

    async def confirm_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Disable what is held of a push service; see `BrakeCommands`."""
        return await self._brake_commands.confirm(service, confirm)

    async def release_brake(self, service: Service, *, confirm: str = "") -> DecidedBrake:
        """Make what is held of a push service active again."""
        return await self._brake_commands.release(service, confirm)

    async def create_token(self, name: str, scopes: Collection[Scope]) -> NewAccessToken:
        """Make an access token; see `AccessTokens.create`."""
        return await self._access_tokens.create(name, scopes)

    async def revoke_token(self, token: str) -> AccessToken:
        """End an access token.

        Raises:
            PushdeskError: `not_found`.
        """
        return await self._access_tokens.revoke(token)

    async def invalidate_cache(self, user: str) -> bool:
        """Let a user's subscriptions be read again when they are next needed; returns whether any were held.

        Raises:
            PushdeskError: `bad_field` if `user` cannot be a user's id.
        """
        was_held = self._cache.invalidate(check_user(user))
        if was_held:
            write(CacheInvalidated(user=UserId(user)))
        return was_held

    async def clear_cache(self) -> int:
        """Let all subscriptions be read again; returns how many users' were held."""
        entries = self._cache.clear()
        write(CacheCleared(entries=entries))
        return entries

    def _follow(self, raised: Sequence[Raised], is_certain: bool) -> None:  # noqa: FBT001 (the store's hook)
        """Follow what was done to subscriptions: what was read of them before is out of date."""
        self._cache.follow(raised, is_certain)
        self._outbox.runs.users_changed({one.user for one in raised})

    def events(self, after: Position | None = None) -> AsyncGenerator[Sequence[AnyEvent], None]:
        """Follow what happens, in batches."""
        return self._bus.follow(after)
