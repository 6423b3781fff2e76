"""Generations: what tells an older reading of a user's subscriptions from a newer one.

Every change of a user's subscriptions raises the user's generation in the same transaction, to the next value of one
counter for the whole database: it strictly rises, also for a user who was deleted and came back. What was raised is
told when the transaction has ended: see `Database.write`.

A change that touches more users than one transaction should write raises the epoch instead, to the next value of the
same counter: nobody's generation is lower than that. Of an epoch nobody is told: who raises it empties the caches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, bindparam, case, select, update

from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import Raised
from pushdesk.storage.schema import server_state, user_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pushdesk.model import Subscription
    from pushdesk.storage.transaction import Transaction

THE_ROW: Final = server_state.c.id == 1
"""The only row of `server_state`: told by its id, because a planner that takes it for one of many reads everything."""
_RAISE_COUNTER: Final = Prepared(
    update(server_state).values(generation=server_state.c.generation + 1).returning(server_state.c.generation)
)
_RAISE_EPOCH: Final = update(server_state).values(
    generation=server_state.c.generation + 1, epoch=server_state.c.generation + 1
)


def generation_of_user() -> ColumnElement[int]:
    """Return a user's generation: that of the row in `user_state`, which may be missing, or the epoch if it is later.

    For statements that read `THE_ROW`, too.
    """
    mine, epoch = user_state.c.generation, server_state.c.epoch
    return case((mine > epoch, mine), else_=epoch)


async def raise_epoch(transaction: Transaction) -> None:
    """Make everything that was read before this transaction out of date, for every user."""
    await transaction.execute(_RAISE_EPOCH)


async def raise_generations(transaction: Transaction, changes: Mapping[str, frozenset[str] | None]) -> None:
    """Give users the next generation, and note it in the transaction, which tells it when it has ended.

    Args:
        transaction: The one that changes their subscriptions.
        changes: User -> the subscriptions that were removed or disabled, or None when anything else was done.
    """
    if not changes:
        return
    # First, for the lock on this row: whoever else raises generations waits for the end of this transaction.
    after = await transaction.scalar(_RAISE_COUNTER)
    before = await transaction.execute(_SELECT_GENERATIONS, {"users": changes})
    transaction.raised += [Raised(row.user, row.generation, after, changes[row.user]) for row in before]
    await transaction.execute(_SET_GENERATIONS, {"users": changes})


def taken_away(gone: Iterable[Subscription]) -> dict[str, frozenset[str] | None]:
    """Return the changes that removing or disabling these subscriptions makes."""
    changes: dict[str, frozenset[str] | None] = {}
    for subscription in gone:
        changes[subscription.user] = (changes.get(subscription.user) or frozenset()) | {subscription.id}
    return changes


_SELECT_GENERATIONS: Final = Prepared(
    select(user_state.c.user, generation_of_user().label("generation"))
    .select_from(server_state.join(user_state, user_state.c.user.in_(bindparam("users", expanding=True))))
    .where(THE_ROW)
)
_SET_GENERATIONS: Final = Prepared(
    update(user_state)
    .where(user_state.c.user.in_(bindparam("users", expanding=True)))
    .values(generation=select(server_state.c.generation).scalar_subquery())
)
