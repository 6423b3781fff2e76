"""A broadcast with a topic, and what else there is of its topic: what is older ends, and gives way to what is newer.

Who was accepted for at once has no delivery that would tell that a broadcast is newer than another message: it counts
for everybody whom it is for from when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, and_, or_, select

from pushdesk.storage.ending import end_overtaken, ended_of, has_broadcast
from pushdesk.storage.schema import deliveries, dispatches, subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushdesk.storage.records import Ended, Topic
    from pushdesk.storage.transaction import Transaction


async def overtake(
    transaction: Transaction, dispatch: str, topic: Topic, ids: Sequence[str], now_ms: int
) -> tuple[Ended, frozenset[str]]:
    """End what is older than a broadcast of its topic, in the caller's transaction; see `BroadcastTable.overtake`."""
    rows = (await transaction.execute(end_overtaken(dispatch, topic, ids, now_ms))).all()
    newer = set((await transaction.execute(select_newer(dispatch, topic, ids))).scalars())
    newer.update((await transaction.execute(select_overtaken(dispatch, topic, ids))).scalars())
    return await ended_of(transaction, rows), frozenset(newer)


def select_newer(dispatch: str, topic: Topic, ids: Collection[str]) -> Select[Any]:
    """Return the statement for those of some subscriptions for which there is a delivery of the topic that is newer."""
    newer = or_(
        deliveries.c.precedence > topic.precedence,
        and_(deliveries.c.precedence == topic.precedence, deliveries.c.dispatch > dispatch),
    )
    return select(deliveries.c.subscription).where(
        deliveries.c.subscription.in_(ids),
        deliveries.c.topic == topic.name,
        deliveries.c.topic.is_not(None),
        deliveries.c.precedence >= topic.precedence,
        newer,
    )


def select_overtaken(dispatch: str, topic: Topic, ids: Collection[str]) -> Select[Any]:
    """Return the statement for those of some subscriptions to which a newer broadcast of the topic goes, or went."""
    newer = and_(
        dispatches.c.topic == topic.name,
        dispatches.c.precedence >= topic.precedence,
        or_(dispatches.c.precedence > topic.precedence, dispatches.c.id > dispatch),
    )
    return select(subscriptions.c.id).where(
        subscriptions.c.id.in_(ids), has_broadcast(newer, subscriptions.c.id, subscriptions)
    )
