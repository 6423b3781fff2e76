"""Users: how one comes into being, and how one is removed with everything of theirs.

Removing goes in two steps. The first is one transaction, and all that matters to anybody: the user is gone, and by the
foreign keys their subscriptions, invitations and enrollments, so that tokens and pushes end at once. What they were
ever sent may be a lot, and goes in batches, so that nobody else who writes waits for long. That there is more to go is
written down with the first step, so that whoever starts after a crash goes on with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Column, bindparam, delete, func, insert, select

from pushdesk.storage.broadcast_users import delete_user
from pushdesk.storage.ending import finish
from pushdesk.storage.generations import raise_generations
from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import RemovedHistory, RemovedUser
from pushdesk.storage.rows import to_delivery, to_dispatch, to_subscription
from pushdesk.storage.schema import broadcasts, deliveries, dispatches, subscriptions, user_removals, user_state

if TYPE_CHECKING:
    from sqlalchemy import Select, Table

    from pushdesk.model import Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Transaction

BATCH: Final = 500
"""The most deliveries, and the most dispatches, that one transaction removes."""


class Users:
    """The users of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def remove(self, user: str) -> RemovedUser | None:
        """Remove a user with their subscriptions, invitations and enrollments.

        Returns:
            What was removed, and how far what they were sent is to be removed as well, by `remove_history`; None if
            nothing at all is known of them. A user who is gone already, with a history that is not, is no user, but
            something is known.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            known = await transaction.scalar(select(user_state.c.user).where(user_state.c.user == user))
            gone: tuple[Subscription, ...] = ()
            if known is not None:
                # First, for who reads the devices now: what they find is known to be old.
                await raise_generations(transaction, {user: None})
                rows = await transaction.execute(
                    delete(subscriptions).where(subscriptions.c.user == user).returning(subscriptions)
                )
                gone = tuple(to_subscription(row) for row in rows)
                await transaction.execute(delete(user_state).where(user_state.c.user == user))
                await transaction.execute(delete_user(user))
            # Ids sort by the time they were made: what a user who comes back is sent later is not touched.
            last_dispatch = await transaction.scalar(_last(dispatches, user))
            last_delivery = await transaction.scalar(_last(deliveries, user))
            if known is None and last_dispatch is None and last_delivery is None:
                return None
            removed = RemovedUser(user, known is not None, gone, last_dispatch or "", last_delivery or "")
            # An earlier removal of them has nothing to remove that this one has not.
            await transaction.execute(delete(user_removals).where(user_removals.c.user == user))
            await transaction.execute(
                insert(user_removals).values(
                    user=user, last_dispatch=removed.last_dispatch, last_delivery=removed.last_delivery
                )
            )
        return removed

    async def unfinished(self) -> tuple[RemovedUser, ...]:
        """Return the users who are gone while what they were sent may not be, for `remove_history`.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select(user_removals).order_by(user_removals.c.user))).all()
        return tuple(RemovedUser(row.user, False, (), row.last_dispatch, row.last_delivery) for row in rows)

    async def remove_history(self, removed: RemovedUser) -> RemovedHistory:
        """Remove a batch of what a removed user was sent; nothing is left when the batch is empty.

        Raises:
            DatabaseError: Nothing was changed.
        """
        first_deliveries = _first(deliveries, removed.user, removed.last_delivery)
        first_dispatches = _first(dispatches, removed.user, removed.last_dispatch)
        async with self._database.write() as transaction:
            rows = await transaction.execute(
                delete(deliveries).where(deliveries.c.id.in_(first_deliveries)).returning(deliveries)
            )
            found = tuple(to_delivery(row) for row in rows)
            if found:
                # What else they were sent goes as well, and need not end before.
                touched = broadcasts.c.dispatch.in_({delivery.dispatch for delivery in found})
                sent = (await transaction.execute(select(broadcasts.c.dispatch).where(touched))).scalars()
                return RemovedHistory(deliveries=found, done=await finish(transaction, sent))
            # With them go their idempotency keys.
            rows = await transaction.execute(
                delete(dispatches).where(dispatches.c.id.in_(first_dispatches)).returning(dispatches)
            )
            ended = tuple(to_dispatch(row) for row in rows)
            if not ended:
                # Unless the user came back, and was removed again.
                await transaction.execute(
                    delete(user_removals).where(
                        user_removals.c.user == removed.user,
                        user_removals.c.last_dispatch == removed.last_dispatch,
                        user_removals.c.last_delivery == removed.last_delivery,
                    )
                )
            return RemovedHistory(dispatches=ended)


async def make_user(transaction: Transaction, user: str, now_ms: int) -> bool:
    """Make a user unless there is one, in the caller's transaction, which raises their generation.

    Returns:
        Whether there was none.
    """
    is_new = await transaction.scalar(_SELECT_USER, {"known": user}) is None
    if is_new:
        await transaction.execute(_INSERT_USER, {"user": user, "generation": 0, "created_at": now_ms})
    return is_new


_SELECT_USER: Final = Prepared(select(user_state.c.user).where(user_state.c.user == bindparam("known")))
_INSERT_USER: Final = Prepared(insert(user_state), ("user", "generation", "created_at"))


def _last(table: Table, user: str) -> Select[Any]:
    return select(func.max(table.c.id)).where(table.c.user == user)


def _first(table: Table, user: str, last: str) -> Select[Any]:
    identity: Column[str] = table.c.id
    return select(identity).where(table.c.user == user, identity <= last).order_by(identity).limit(BATCH)
