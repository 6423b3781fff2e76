"""Notifying: a notification becomes a message in the outbox, durable before anybody is told so; or nothing is sent."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import msgspec

from pushdesk.engine.publisher import to_dispatch
from pushdesk.errors import DatabaseError, PushdeskError
from pushdesk.log import current_request, wants, write
from pushdesk.log_events import DispatchAccepted
from pushdesk.log_fields import Id, UserId
from pushdesk.model import Accepted, DispatchKind, Notification, Urgency
from pushdesk.storage.records import IdempotencyKey, Message
from pushdesk.storage.subscriptions import not_found
from pushdesk.storage.times import to_milliseconds
from pushdesk.user_id import check_user
from pushdesk.webpush.request import message as pushed_message

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from msgspec import Struct

    from pushdesk.clock import Clock
    from pushdesk.engine.acceptance import FirstDispatch
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.keyring import Keyring
    from pushdesk.engine.outbox import Outbox
    from pushdesk.engine.subscriptions import SubscriptionCache
    from pushdesk.model import Delivery, VapidKey
    from pushdesk.storage.listings import Listings

ADMIN: Final = "admin"
"""Who asks with the admin token, or in this program itself; others go by the id of their access token."""
ANSWER_S: Final = 1.0
"""How much longer than its outcomes the answer to a test may take: the reading of what came of it."""
SKEW_MS: Final = 60_000
"""How long ago something may be to be sent that is accepted now."""
_DAY_MS: Final = 86_400_000
TEST_NOTIFICATION: Final = Notification(
    title="It's working!",
    body="You've subscribed to push notifications.",
    tag="pushdesk-test",
    ttl=60,
    urgency=Urgency.HIGH,
)


class Dispatcher(Protocol):
    """What notifies users. Raises `push_disabled` when push is switched off."""

    @property
    def public_key(self) -> VapidKey:
        """The key that browsers are to subscribe with (RFC 8292 section 4)."""
        ...

    def check(self) -> None:
        """Do nothing, unless push is switched off."""
        ...

    async def dispatch(
        self,
        user: str,
        notification: Notification,
        *,
        kind: DispatchKind = DispatchKind.NOTIFICATION,
        subscription: str | None = None,
        sender: str = ADMIN,
        idempotency_key: str | None = None,
        request: Struct | None = None,
        wait_s: float = 0.0,
    ) -> Accepted:
        """Accept a notification: return once it is committed, or as soon as it is settled within `wait_s`.

        Args:
            user: Whom to notify: every device has its own outcome, whatever becomes of the others.
            notification: What to show, and how to deliver it.
            kind: What asked for it.
            subscription: The only subscription that is meant, if not all of the user's.
            sender: Who asks: idempotency keys are each sender's own.
            idempotency_key: Makes a repeat return the first dispatch.
            request: What the notification was made from, if it is not what was asked for: what a repeat must repeat.
            wait_s: How long to wait for the outcomes, in seconds.

        Raises:
            PayloadTooLargeError: The pushed message would be over 3993 bytes.
            PushdeskError: `bad_field` when a click would lead to an origin that is not allowed, or `send_at` is past
                or too far ahead.
            PushdeskError: `idempotency_conflict` when the key was used with another body; `push_disabled`.
            DatabaseError: It was not accepted.
        """
        ...

    async def test(self, user: str, subscription: str | None, wait_s: float) -> tuple[Delivery, ...]:
        """Send the test push to a user's devices, or to one, and return what came of it within `wait_s` seconds.

        Raises:
            PushdeskError: `subscription_not_found` if there is none; `push_disabled`.
            DatabaseError: It was not accepted.
        """
        ...


class NoopDispatcher:
    """Sends nothing, and says why.

    Args:
        reason: Why push is off: a sentence for a person.
        hint: What switches it on.
    """

    def __init__(self, reason: str, hint: str) -> None:
        self.reason = reason
        self._hint = hint

    @property
    def public_key(self) -> VapidKey:
        """There is none to subscribe with."""
        self._refuse()

    def check(self) -> None:
        """Refuse."""
        self._refuse()

    async def dispatch(self, *_args: object, **_kwargs: object) -> Accepted:
        """Refuse."""
        self._refuse()

    async def test(self, *_args: object) -> tuple[Delivery, ...]:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise PushdeskError(self.reason, code="push_disabled", hint=self._hint)


class WebPushDispatcher:
    """Notifies over Web Push, through an outbox. See `Dispatcher`."""

    def __init__(
        self,
        *,
        outbox: Outbox,
        cache: SubscriptionCache,
        keyring: Keyring,
        listings: Listings,
        access_url: str,
        click_origins: Collection[str],
        kept_days: int,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._cache = cache
        self._keyring = keyring
        self._listings = listings
        self._access_url = access_url
        self._click_origins = click_origins
        self._kept_days = kept_days
        self._identifiers = identifiers
        self._clock = clock
        self._accepting: set[asyncio.Task[Accepted]] = set()

    @property
    def public_key(self) -> VapidKey:
        """The keyring's current key."""
        return self._keyring.current

    def check(self) -> None:
        """Do nothing."""

    async def dispatch(
        self,
        user: str,
        notification: Notification,
        *,
        kind: DispatchKind = DispatchKind.NOTIFICATION,
        subscription: str | None = None,
        sender: str = ADMIN,
        idempotency_key: str | None = None,
        request: Struct | None = None,
        wait_s: float = 0.0,
    ) -> Accepted:
        """Accept a notification."""
        ends_at = self._clock.monotonic() + wait_s
        key = to_key(sender, idempotency_key, (user, request or notification))
        now_ms = round(self._clock.time() * 1000)
        fault = schedule_fault(notification.send_at, now_ms, self._kept_days)
        if fault is not None:
            # Its time may have come since it was first asked for.
            first = None if key is None else await self._outbox.remembered(key)
            if first is None:
                raise PushdeskError(f"send_at: {fault}.", code="bad_field", fields=("send_at",))
            return await self._repeated(first, key)
        message = self._message(check_user(user), notification, key, kind, subscription, sender, now_ms)
        done = self._outbox.done(message.id) if wait_s > 0 else None
        try:
            first = await self._outbox.accept(message)
            if first is not None:
                return await self._repeated(first, key)
            if wants(DispatchAccepted):
                write(DispatchAccepted(dispatch=Id(message.id), kind=kind, user=UserId(user)))
            if done is None:
                return Accepted(to_dispatch(message))
            await asyncio.wait([done], timeout=max(0.0, ends_at - self._clock.monotonic()))
        finally:
            self._outbox.forget(message.id)
        return Accepted(await self._listings.dispatch(message.id))

    async def test(self, user: str, subscription: str | None, wait_s: float) -> tuple[Delivery, ...]:
        """Send the test push."""
        ends_at = self._clock.monotonic() + wait_s
        try:
            async with asyncio.timeout(wait_s):
                known = await self._cache.get(check_user(user))
        except TimeoutError:
            raise _too_slow("The subscriptions could not be read in time.") from None
        ids = [target.subscription for target in known.targets] + [device.subscription for device in known.held]
        if not ids or subscription not in (None, *ids):
            raise not_found(user)
        left_s = max(0.0, ends_at - self._clock.monotonic())
        accepting = asyncio.create_task(
            self.dispatch(user, TEST_NOTIFICATION, kind=DispatchKind.TEST, subscription=subscription, wait_s=left_s)
        )
        # Not cancelled when it takes too long: it may be in the middle of its commit, and what is accepted is sent.
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepted)
        done, _ = await asyncio.wait((accepting,), timeout=left_s + ANSWER_S)
        if not done:
            raise _too_slow("The test could not be stored in time; it may be sent later.")
        return accepting.result().dispatch.deliveries

    async def _repeated(self, first: FirstDispatch, key: IdempotencyKey | None) -> Accepted:
        check_repeat(first, key)
        return Accepted(await self._listings.dispatch(first.dispatch), repeated=True)

    def _accepted(self, accepting: asyncio.Task[Accepted]) -> None:
        self._accepting.discard(accepting)
        if not accepting.cancelled():
            # Looked at, so that asyncio does not report it as lost when nobody waits for it any longer.
            accepting.exception()

    def _message(
        self,
        user: str,
        notification: Notification,
        idempotency: IdempotencyKey | None,
        kind: DispatchKind,
        subscription: str | None,
        sender: str,
        now_ms: int,
    ) -> Message:
        dispatch = self._identifiers.new()
        due_ms = now_ms if notification.send_at is None else max(now_ms, to_milliseconds(notification.send_at))
        return Message(
            id=dispatch,
            user=user,
            kind=kind,
            title=notification.title,
            plaintext=pushed_message(
                notification, dispatch=dispatch, access_url=self._access_url, click_origins=self._click_origins
            ),
            urgency=notification.urgency,
            topic=notification.topic,
            subscription=subscription,
            accepted_at_ms=now_ms,
            due_at_ms=due_ms,
            expires_at_ms=due_ms + notification.ttl * 1000,
            idempotency=idempotency,
            request=current_request(),
            sender=sender,
        )


def schedule_fault(send_at: datetime | None, now_ms: int, kept_days: int) -> str | None:
    """Return what is wrong with when something is to be sent, or None.

    A moment that is just past is now: the clocks of two machines are never quite in step.

    Args:
        send_at: When it is to be sent; None for now.
        now_ms: The time.
        kept_days: Days for which anything is kept, 0 for ever: nothing is scheduled for later than that.
    """
    if send_at is None:
        return None
    in_ms = to_milliseconds(send_at) - now_ms
    if in_ms < -SKEW_MS:
        return "must not be past"
    if kept_days and in_ms > kept_days * _DAY_MS:
        return f"must be within the {kept_days} days for which [retention] days keeps what was sent"
    return None


def to_key(sender: str, key: str | None, asked: object) -> IdempotencyKey | None:
    """Return the idempotency key of a request, if it has one.

    Args:
        sender: Who asks.
        key: As it was sent.
        asked: What a repeat must repeat.
    """
    return None if key is None else IdempotencyKey(sender, key, hashlib.sha256(msgspec.json.encode(asked)).digest())


def check_repeat(first: FirstDispatch, key: IdempotencyKey | None) -> None:
    """Refuse a key that was first used for something else.

    Raises:
        PushdeskError: `idempotency_conflict`.
    """
    if key is not None and first.body_digest != key.body_digest:
        raise PushdeskError(
            "This Idempotency-Key was used with another body.",
            code="idempotency_conflict",
            hint="Take a new key for a new notification.",
        )


def _too_slow(detail: str) -> DatabaseError:
    return DatabaseError(detail, hint="Try again; if it goes on, look at the disk.")
