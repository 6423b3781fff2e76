"""Sending once more what a delivery was of, as a new dispatch to the same subscription."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushdesk.engine.dispatcher import ADMIN, check_repeat, to_key
from pushdesk.engine.publisher import to_dispatch
from pushdesk.log import current_request, write
from pushdesk.log_events import DeliveryResent
from pushdesk.log_fields import Id, UserId
from pushdesk.message import with_id
from pushdesk.model import Accepted, DispatchKind

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.engine.dispatcher import Dispatcher
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.outbox import Outbox
    from pushdesk.storage.delivery_records import DeliveryRecords
    from pushdesk.storage.listings import Listings


class Resending:
    """Sends what was sent before.

    Args:
        records: What deliveries were of.
        listings: What a repeat is answered from.
        dispatcher: Tells whether anything is sent.
        outbox: What accepts it.
        identifiers: For the new dispatch.
        clock: Its TTL is counted from now.
    """

    def __init__(
        self,
        records: DeliveryRecords,
        *,
        listings: Listings,
        dispatcher: Dispatcher,
        outbox: Outbox,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._records = records
        self._listings = listings
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._identifiers = identifiers
        self._clock = clock

    async def resend(self, delivery: str, *, sender: str = ADMIN, idempotency_key: str | None = None) -> Accepted:
        """Send once more what a delivery was of, to its subscription only; return once that is committed.

        What is shown is the same: kind, urgency, topic and how long it is kept are those of the first dispatch.

        Args:
            delivery: Its id.
            sender: Who asks: idempotency keys are each sender's own.
            idempotency_key: Makes a repeat return the first dispatch.

        Raises:
            PushdeskError: `not_found`; `subscription_not_found` or `subscription_gone` where nobody would get it;
                `idempotency_conflict` when the key was used with another body; `push_disabled`;
                `queue_full` while the server is stopping.
            DatabaseError: It was not accepted.
        """
        self._dispatcher.check()
        sent = await self._records.sendable(delivery)
        now_ms = round(self._clock.time() * 1000)
        dispatch = self._identifiers.new()
        key = to_key(sender, idempotency_key, (delivery,))
        message = replace(
            sent.message,
            id=dispatch,
            user=sent.delivery.user,
            # What was one of a broadcast is for one device now.
            kind=DispatchKind.NOTIFICATION if sent.message.kind is DispatchKind.BROADCAST else sent.message.kind,
            plaintext=with_id(sent.message.plaintext, dispatch),
            subscription=sent.delivery.subscription,
            accepted_at_ms=now_ms,
            due_at_ms=now_ms,
            expires_at_ms=now_ms + sent.ttl_s * 1000,
            idempotency=key,
            request=current_request(),
            sender=sender,
        )
        first = await self._outbox.accept(message)
        if first is not None:
            check_repeat(first, key)
            return Accepted(await self._listings.dispatch(first.dispatch), repeated=True)
        write(DeliveryResent(delivery=Id(delivery), dispatch=Id(dispatch), user=UserId(message.user)))
        return Accepted(to_dispatch(message))
