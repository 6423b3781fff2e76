"""Generations: what tells an older reading of a user's subscriptions from a newer one.

Every change of a user's subscriptions raises the user's generation in the same transaction, to the next value of one
counter for the whole database: it strictly rises, also for a user who was deleted and came back. What was raised is
told when the transaction has ended: see `Database.write`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select, update

from pushdesk.storage.records import Raised
from pushdesk.storage.schema import server_state, user_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pushdesk.model import Subscription
    from pushdesk.storage.transaction import Transaction

_RAISE_COUNTER: Final = (
    update(server_state).values(generation=server_state.c.generation + 1).returning(server_state.c.generation)
)


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
    before = await transaction.execute(
        select(user_state.c.user, user_state.c.generation).where(user_state.c.user.in_(changes))
    )
    transaction.raised += [Raised(row.user, row.generation, after, changes[row.user]) for row in before]
    await transaction.execute(
        update(user_state)
        .where(user_state.c.user.in_(changes))
        .values(generation=select(server_state.c.generation).scalar_subquery())
    )


def taken_away(gone: Iterable[Subscription]) -> dict[str, frozenset[str] | None]:
    """Return the changes that removing or disabling these subscriptions makes."""
    changes: dict[str, frozenset[str] | None] = {}
    for subscription in gone:
        changes[subscription.user] = (changes.get(subscription.user) or frozenset()) | {subscription.id}
    return changes
