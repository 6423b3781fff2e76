"""Whom a broadcast is for: all users, or a list that is written down in batches while it comes in.

A list is seen by nobody until the dispatch that it belongs to is stored; if that never happens, it is removed.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, delete, exists, func, insert, literal, or_, select, tuple_

from pushdesk.model import Service, SubscriptionState
from pushdesk.storage.key_bindings import is_live, key_has_ended
from pushdesk.storage.records import Plan
from pushdesk.storage.schema import broadcast_users, broadcasts, dispatches, subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Delete, Select

    from pushdesk.storage.database import Database

UNKNOWN_TOLD: Final = 20
"""Of the users of a list who cannot be reached, the most that are named."""


class BroadcastUsers:
    """The lists of a database, each by the id of the dispatch that it belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, dispatch: str, users: Collection[str]) -> None:
        """Add users to a list; those who are on it already are on it once.

        Raises:
            DatabaseError: None was added.
        """
        rows = [{"dispatch": dispatch, "user": user} for user in dict.fromkeys(users)]
        async with self._database.write() as transaction:
            await transaction.execute(
                delete(broadcast_users).where(
                    broadcast_users.c.dispatch == dispatch,
                    broadcast_users.c.user.in_([row["user"] for row in rows]),
                )
            )
            await transaction.execute(insert(broadcast_users), rows)

    async def count(self, dispatch: str) -> int:
        """Return how many users a list names.

        Raises:
            DatabaseError: They could not be counted.
        """
        mine = select(func.count()).where(broadcast_users.c.dispatch == dispatch)
        async with self._database.read() as connection:
            return int((await connection.execute(mine)).scalar_one())

    async def remove(self, dispatch: str, limit: int) -> int:
        """Remove a batch of a list, unless its broadcast goes on; returns how many there were.

        Raises:
            DatabaseError: None was removed.
        """
        async with self._database.write() as transaction:
            return (await transaction.execute(delete_listed(dispatch, limit))).rowcount

    async def left_over(self) -> tuple[str, ...]:
        """Return the lists that belong to no broadcast that goes on; to be asked before one is accepted.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            return tuple((await connection.execute(select_left_over())).scalars())

    async def plan(self, dispatch: str | None) -> Plan:
        """Return whom a broadcast to a list is for, or one to all users, as of now.

        Raises:
            DatabaseError: They could not be counted.
        """
        statement = count_all() if dispatch is None else count_listed(dispatch)
        planned: Counter[Service] = Counter()
        async with self._database.snapshot() as snapshot:
            for row in await snapshot.execute(statement):
                planned[Service(row.service)] += row.number
            last: str | None = await snapshot.scalar(select(func.max(subscriptions.c.id)))
        return Plan(dict(planned), last or "")

    async def unknown(self, dispatch: str) -> tuple[int, tuple[str, ...]]:
        """Return how many users of a list are not known or have no device that is sent to, and the first of them.

        Raises:
            DatabaseError: They could not be read.
        """
        users = select_unknown(dispatch)
        async with self._database.snapshot() as snapshot:
            number: int = await snapshot.scalar(select(func.count()).select_from(users.subquery()))
            first = await snapshot.execute(users.order_by(broadcast_users.c.user).limit(UNKNOWN_TOLD))
            return number, tuple(row.user for row in first)


def count_all() -> Select[Any]:
    """Return the statement that counts the subscriptions that are sent to, per push service: from an index alone."""
    return (
        select(subscriptions.c.key_id, subscriptions.c.service, func.count().label("number"))
        .where(subscriptions.c.state == SubscriptionState.ACTIVE, ~key_has_ended())
        .group_by(subscriptions.c.key_id, subscriptions.c.service)
    )


def count_listed(dispatch: str) -> Select[Any]:
    """Return the same for those of a list's users."""
    return (
        select(subscriptions.c.service, func.count().label("number"))
        .select_from(broadcast_users.join(subscriptions, subscriptions.c.user == broadcast_users.c.user))
        .where(broadcast_users.c.dispatch == dispatch, is_live())
        .group_by(subscriptions.c.service)
    )


def is_listed(dispatch: str) -> ColumnElement[bool]:
    """Return the condition that a subscription is one of a list's users'."""
    return exists().where(broadcast_users.c.dispatch == dispatch, broadcast_users.c.user == subscriptions.c.user)


def select_unknown(dispatch: str) -> Select[Any]:
    """Return the statement for the users of a list who cannot be reached."""
    can_be_reached = exists().where(subscriptions.c.user == broadcast_users.c.user, is_live())
    return select(broadcast_users.c.user).where(broadcast_users.c.dispatch == dispatch, ~can_be_reached)


def select_left_over() -> Select[Any]:
    """Return the statement for the lists that belong to no broadcast that goes on."""
    lists = select(broadcast_users.c.dispatch).distinct().subquery()
    return select(lists.c.dispatch).where(~_is_needed(lists.c.dispatch))


def delete_listed(dispatch: str, limit: int) -> Delete:
    """Return the statement that removes a batch of a list, unless its broadcast goes on."""
    key = tuple_(*broadcast_users.primary_key)
    mine = broadcast_users.c.dispatch == dispatch
    first = select(*broadcast_users.primary_key).where(mine, ~_is_needed(literal(dispatch))).limit(limit)
    return delete(broadcast_users).where(key.in_(first))


def _is_needed(dispatch: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a list's broadcast goes on, or an older one of its topic, which gives way to it."""
    going_on, mine, older = broadcasts.alias("going_on"), dispatches.alias("mine"), dispatches.alias("older")
    gives_way = exists().where(
        mine.c.id == dispatch,
        older.c.id == going_on.c.dispatch,
        older.c.topic == mine.c.topic,
        older.c.precedence <= mine.c.precedence,
    )
    gives_way = gives_way.correlate_except(mine, older)
    needed = exists().where(going_on.c.reached_at.is_(None), or_(going_on.c.dispatch == dispatch, gives_way))
    return needed.correlate_except(going_on)


def delete_user(user: str) -> Delete:
    """Return the statement that takes a user off every list that is still needed."""
    lists = select(broadcasts.c.dispatch).where(broadcasts.c.users.is_not(None), _is_needed(broadcasts.c.dispatch))
    return delete(broadcast_users).where(broadcast_users.c.dispatch.in_(lists), broadcast_users.c.user == user)
