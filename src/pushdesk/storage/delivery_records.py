"""All that is known of one delivery, and what it takes to send it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import structs
from sqlalchemy import func, select

from pushdesk.errors import PushdeskError
from pushdesk.model import DeliveryRecord, SubscriptionState, Urgency
from pushdesk.storage.key_bindings import key_has_ended
from pushdesk.storage.listings import read_counts
from pushdesk.storage.retention import not_kept
from pushdesk.storage.rows import to_attempt, to_delivery, to_dispatch, to_message, ttl_s_of
from pushdesk.storage.schema import attempts, deliveries, dispatches, subscriptions
from pushdesk.storage.subscriptions import not_found
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from sqlalchemy import Row

    from pushdesk.model import Attempt, Delivery
    from pushdesk.storage.database import Database
    from pushdesk.storage.records import Message
    from pushdesk.storage.transaction import Snapshot


class Sendable(NamedTuple):
    """A delivery that can be sent again, and what it takes: what it was of."""

    delivery: Delivery
    message: Message
    ttl_s: int


class DeliveryRecords:
    """Reads deliveries one by one, in full."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, delivery: str) -> DeliveryRecord:
        """Return all that is known of a delivery, as of one moment.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        columns = [column for column in dispatches.c if column is not dispatches.c.message]
        async with self._database.snapshot() as snapshot:
            found = await _find(snapshot, delivery)
            of_dispatch = select(*columns, func.length(dispatches.c.message).label("size"))
            sent = (await snapshot.execute(of_dispatch.where(dispatches.c.id == found.dispatch))).one()
            counts = await read_counts(snapshot, [found.dispatch])
            earlier = await snapshot.execute(
                select(attempts).where(attempts.c.delivery == delivery).order_by(attempts.c.number)
            )
            tried = [to_attempt(row, row.number) for row in earlier]
        return DeliveryRecord(
            delivery=to_delivery(found),
            dispatch=structs.replace(to_dispatch(sent), counts=counts[found.dispatch]),
            attempts=(*tried, *_last(found, tried)),
            urgency=Urgency(sent.urgency),
            topic=sent.topic,
            ttl_s=ttl_s_of(sent),
            expires_at=to_datetime(sent.expires_at),
            size=sent.size,
        )

    async def sendable(self, delivery: str) -> Sendable:
        """Return what a delivery was of, if its subscription is still sent to.

        Raises:
            PushdeskError: `not_found`; `subscription_not_found` when its user has no such subscription any more;
                `subscription_gone` when that is not sent to.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            found = await _find(snapshot, delivery)
            sent = (await snapshot.execute(select(dispatches).where(dispatches.c.id == found.dispatch))).one()
            await _check_device(snapshot, found.user, found.subscription)
        return Sendable(to_delivery(found), to_message(sent), ttl_s_of(sent))

    async def check_device(self, user: str, subscription: str) -> None:
        """Refuse a subscription through which nobody would get anything.

        Raises:
            PushdeskError: `subscription_not_found` when the user has no such subscription; `subscription_gone` when it
                is not sent to.
            DatabaseError: It could not be read.
        """
        async with self._database.snapshot() as snapshot:
            await _check_device(snapshot, user, subscription)


async def _find(snapshot: Snapshot, delivery: str) -> Row[Any]:
    row = (await snapshot.execute(select(deliveries).where(deliveries.c.id == delivery))).one_or_none()
    if row is None:
        raise not_kept("delivery")
    return row


def _last(delivery: Row[Any], earlier: list[Attempt]) -> list[Attempt]:
    """Return the attempt that only the delivery itself tells of, if there is one.

    There is none while it waits for another one, nor where it ended without one, as when its time was over.
    """
    is_kept = delivery.attempts == (earlier[-1].number if earlier else 0)
    return [] if is_kept else [to_attempt(delivery, delivery.attempts)]


async def _check_device(snapshot: Snapshot, user: str, subscription: str) -> None:
    found = await snapshot.execute(
        select(subscriptions.c.state, key_has_ended().label("key_has_ended")).where(
            subscriptions.c.id == subscription, subscriptions.c.user == user
        )
    )
    device = found.one_or_none()
    if device is None:
        raise not_found(user)
    state = SubscriptionState.KEY_MISMATCH if device.key_has_ended else SubscriptionState(device.state)
    if state is not SubscriptionState.ACTIVE:
        raise PushdeskError(
            _WHY[state],
            code="subscription_gone",
            hint="Its browser can subscribe again.",
        )


_WHY: Final = {
    SubscriptionState.GONE: "Its push service no longer knows it.",
    SubscriptionState.KEY_MISMATCH: "It was made with a key that is not used for it any more.",
    SubscriptionState.HELD: "The brake of its push service holds it.",
}
