"""Sending once more what a delivery was of, as a new dispatch to the same subscription."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pushdesk.engine.publisher import to_dispatch
from pushdesk.log import current_request, write
from pushdesk.log_events import DeliveryResent
from pushdesk.log_fields import Id, UserId
from pushdesk.message import with_id

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.engine.dispatcher import Dispatcher
    from pushdesk.engine.identifiers import Identifiers
    from pushdesk.engine.outbox import Outbox
    from pushdesk.model import Dispatch
    from pushdesk.storage.delivery_records import DeliveryRecords


class Resending:
    """Sends what was sent before.

    Args:
        records: What deliveries were of.
        dispatcher: Tells whether anything is sent.
        outbox: What accepts it.
        identifiers: For the new dispatch.
        clock: Its TTL is counted from now.
    """

    def __init__(
        self,
        records: DeliveryRecords,
        *,
        dispatcher: Dispatcher,
        outbox: Outbox,
        identifiers: Identifiers,
        clock: Clock,
    ) -> None:
        self._records = records
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._identifiers = identifiers
        self._clock = clock

    async def resend(self, delivery: str) -> Dispatch:
        """Send once more what a delivery was of, to its subscription only; return once that is committed.

        What is shown is the same: kind, urgency, topic and how long it is kept are those of the first dispatch.

        Raises:
            PushdeskError: `not_found`; `subscription_not_found` or `subscription_gone` where nobody would get it;
                `push_disabled`; `queue_full` while the server is stopping.
            DatabaseError: It was not accepted.
        """
        self._dispatcher.check()
        sent = await self._records.sendable(delivery)
        now_ms = round(self._clock.time() * 1000)
        dispatch = self._identifiers.new()
        message = replace(
            sent.message,
            id=dispatch,
            user=sent.delivery.user,
            plaintext=with_id(sent.message.plaintext, dispatch),
            subscription=sent.delivery.subscription,
            accepted_at_ms=now_ms,
            due_at_ms=now_ms,
            expires_at_ms=now_ms + sent.ttl_s * 1000,
            request=current_request(),
        )
        await self._outbox.accept(message)
        write(DeliveryResent(delivery=Id(delivery), dispatch=Id(dispatch), user=UserId(message.user)))
        return to_dispatch(message)
