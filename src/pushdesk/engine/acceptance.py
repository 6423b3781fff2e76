"""Accepting: a notification becomes a message in the outbox, durable before anybody is told so."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Final

import msgspec

from pushdesk.engine.publisher import to_dispatch
from pushdesk.errors import PushdeskError
from pushdesk.model import Accepted, DispatchKind
from pushdesk.storage.records import IdempotencyKey, Message
from pushdesk.storage.times import to_milliseconds
from pushdesk.user_id import check_user
from pushdesk.webpush.request import message as pushed_message

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.outbox import Outbox
    from pushdesk.model import Notification
    from pushdesk.storage.listings import Listings

ADMIN_SENDER: Final = "admin"
"""Whose idempotency keys are looked at: one token serves every application for now."""


class Acceptance:
    """Accepts notifications into an outbox."""

    def __init__(
        self, *, outbox: Outbox, listings: Listings, access_url: str, identifiers: Identifiers, clock: Clock
    ) -> None:
        self._outbox = outbox
        self._listings = listings
        self._access_url = access_url
        self._identifiers = identifiers
        self._clock = clock

    async def accept(
        self,
        user: str,
        notification: Notification,
        *,
        idempotency_key: str | None,
        wait_s: float,
        kind: DispatchKind,
        subscription: str | None,
    ) -> Accepted:
        """Accept a notification: return once it is committed, or as soon as it is settled within `wait_s`.

        Args:
            user: Whom to notify.
            notification: What to show, and how to deliver it.
            idempotency_key: Makes a repeat return the first dispatch.
            wait_s: How long to wait for the outcomes, in seconds.
            kind: What asked for it.
            subscription: The only subscription that is meant, if not all of the user's.

        Raises:
            PayloadTooLargeError: The pushed message would be over 3993 bytes.
            PushdeskError: `idempotency_conflict` when the key was used with another body.
            DatabaseError: It was not accepted.
        """
        message = self._message(check_user(user), notification, idempotency_key, kind, subscription)
        done = self._outbox.done(message.id) if wait_s > 0 else None
        try:
            first = await self._outbox.accept(message)
            if first is not None:
                if message.idempotency is not None and first.body_digest != message.idempotency.body_digest:
                    raise PushdeskError(
                        "This Idempotency-Key was used with another body.",
                        code="idempotency_conflict",
                        hint="Take a new key for a new notification.",
                    )
                return Accepted(await self._listings.dispatch(first.dispatch), repeated=True)
            if done is None:
                return Accepted(to_dispatch(message))
            await asyncio.wait([done], timeout=wait_s)
        finally:
            self._outbox.forget(message.id)
        return Accepted(await self._listings.dispatch(message.id))

    def _message(
        self,
        user: str,
        notification: Notification,
        idempotency_key: str | None,
        kind: DispatchKind,
        subscription: str | None,
    ) -> Message:
        dispatch = self._identifiers.new()
        now_ms = round(self._clock.time() * 1000)
        due_ms = now_ms if notification.send_at is None else max(now_ms, to_milliseconds(notification.send_at))
        idempotency = None
        if idempotency_key is not None:
            digest = hashlib.sha256(msgspec.json.encode((user, notification))).digest()
            idempotency = IdempotencyKey(ADMIN_SENDER, idempotency_key, digest)
        return Message(
            id=dispatch,
            user=user,
            kind=kind,
            title=notification.title,
            plaintext=pushed_message(notification, dispatch=dispatch, access_url=self._access_url),
            urgency=notification.urgency,
            topic=notification.topic,
            subscription=subscription,
            accepted_at_ms=now_ms,
            due_at_ms=due_ms,
            expires_at_ms=due_ms + notification.ttl * 1000,
            idempotency=idempotency,
        )
