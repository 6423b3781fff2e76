"""Which subscriptions were made with which VAPID key, and what becomes of them when a key ends.

A key's end takes effect with the transaction that ends it: whoever reads subscriptions passes over those of a key that
has ended (`is_live`), and the epoch makes all that was read before out of date. The rows follow in batches, so that
nobody else who writes waits for long, however many there are: those of a revoked key are removed, those of a retired
key disabled, those of one that was brought back made active again. What is to be done is told by the states of keys
and rows alone, so it goes on after a restart.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update

from pushdesk.model import KeyState, Service, SubscriptionState
from pushdesk.storage.generations import raise_generations, taken_away
from pushdesk.storage.records import KeyCounts, Swept
from pushdesk.storage.rows import to_subscription
from pushdesk.storage.schema import subscriptions, vapid_keys

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Select

    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Reader, Transaction

ENDED: Final = (KeyState.RETIRED, KeyState.REVOKED)
"""The states of keys with which nothing is signed any more."""
_ACTIVE: Final = subscriptions.c.state == SubscriptionState.ACTIVE
_IS_RESTORING: Final = and_(
    vapid_keys.c.state.not_in(ENDED), vapid_keys.c.retiring_at.is_not(None), vapid_keys.c.bound_before.is_(None)
)


def key_has_ended() -> ColumnElement[bool]:
    """Return the condition that nothing is signed any more with the key that a subscription was made with."""
    return subscriptions.c.key_id.in_(_keys_that(vapid_keys.c.state.in_(ENDED)))


def is_live() -> ColumnElement[bool]:
    """Return the condition that a subscription is sent to: it is active, and its key signs."""
    return and_(_ACTIVE, ~key_has_ended())


def is_live_or_held() -> ColumnElement[bool]:
    """Return the condition that a subscription is sent to, or would be if no brake held it."""
    return and_(or_(_ACTIVE, subscriptions.c.held_as.is_not(None)), ~key_has_ended())


async def count_bound(connection: Reader, keys: Collection[str]) -> dict[str, dict[Service, int]]:
    """Count the active rows that were made with each of these keys, per push service, from the index alone."""
    statement = (
        select(subscriptions.c.key_id, subscriptions.c.service, func.count())
        .where(subscriptions.c.key_id.in_(keys), _ACTIVE)
        .group_by(subscriptions.c.key_id, subscriptions.c.service)
    )
    bound: dict[str, dict[Service, int]] = {}
    for key, service, number in await connection.execute(statement):
        bound.setdefault(key, {})[Service(service)] = number
    return bound


class KeyBindings:
    """The subscriptions of a database, by the key that they were made with."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self) -> KeyCounts:
        """Count the active rows of each key, and the users who would be lost with each retiring one.

        Raises:
            DatabaseError: They could not be counted.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select(vapid_keys.c.id, vapid_keys.c.state))).all()
            bound = await count_bound(connection, [row.id for row in rows])
            # It takes a look at every row: only if there is somebody to be lost.
            retiring = [row.id for row in rows if row.state == KeyState.RETIRING and row.id in bound]
            found = (await connection.execute(select_users_left(retiring))).all() if retiring else []
        return KeyCounts(bound, {row.key: row.number for row in found})

    async def sweep(self, limit: int, now_ms: int) -> Swept:
        """Bring a batch of rows in line with the keys they were made with; nothing is left when it is empty.

        Args:
            limit: The most rows that are changed.
            now_ms: The time, from which on those of a retired key are disabled.

        Raises:
            DatabaseError: Nothing was changed.
        """
        revoked = subscriptions.c.key_id.in_(_keys_that(vapid_keys.c.state == KeyState.REVOKED))
        retired = subscriptions.c.key_id.in_(_keys_that(vapid_keys.c.state == KeyState.RETIRED))
        restoring = subscriptions.c.key_id.in_(_keys_that(_IS_RESTORING))
        mismatched = subscriptions.c.state == SubscriptionState.KEY_MISMATCH
        async with self._database.write() as transaction:
            rows = await transaction.execute(
                delete(subscriptions)
                .where(subscriptions.c.id.in_(_first(revoked, limit=limit)))
                .returning(subscriptions)
            )
            removed = tuple(to_subscription(row) for row in rows)
            if removed:
                await raise_generations(transaction, taken_away(removed))
                return Swept(removed=removed)
            disabled = await _set_state(
                transaction, _first(retired, _ACTIVE, limit=limit), SubscriptionState.KEY_MISMATCH, now_ms
            )
            if disabled:
                changed = tuple(to_subscription(row) for row in disabled)
                await raise_generations(transaction, taken_away(changed))
                return Swept(disabled=changed)
            restored = await _set_state(
                transaction, _first(restoring, mismatched, limit=limit), SubscriptionState.ACTIVE, None
            )
            changed = tuple(to_subscription(row) for row in restored)
            await raise_generations(transaction, {subscription.user: None for subscription in changed})
            return Swept(restored=changed)

    async def end_restoring(self) -> None:
        """Note that nothing is left to be made active again; from now on retiring keys have a progress.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.read() as connection:
            keys = [row.id for row in await connection.execute(_keys_that(_IS_RESTORING))]
            bound = await count_bound(connection, keys)
        if not keys:
            return
        # Whoever brought a key back meanwhile has rows that nobody has seen to.
        left = exists().where(
            subscriptions.c.key_id == vapid_keys.c.id, subscriptions.c.state == SubscriptionState.KEY_MISMATCH
        )
        async with self._database.write() as transaction:
            for key in keys:
                mine = and_(vapid_keys.c.id == key, _IS_RESTORING, ~left)
                before = msgspec.json.encode(bound.get(key, {})).decode()
                await transaction.execute(
                    update(vapid_keys)
                    .where(mine, vapid_keys.c.state == KeyState.CURRENT)
                    .values(retiring_at=None, bound_before=None)
                )
                await transaction.execute(update(vapid_keys).where(mine).values(bound_before=before))


def select_users_left(keys: Collection[str]) -> Select[Any]:
    """Return the statement for how many users have live subscriptions with one of these keys, and with no other."""
    # Grouped by an expression, so that the table is read as it lies: by the index of users, it would be looked up row
    # by row, which takes three times as long.
    user = func.coalesce(subscriptions.c.user, "")
    newest = func.max(subscriptions.c.key_id)
    only = (
        select(newest.label("key"))
        .where(is_live())
        .group_by(user)
        .having(func.min(subscriptions.c.key_id) == newest)
        .subquery()
    )
    return select(only.c.key, func.count().label("number")).where(only.c.key.in_(keys)).group_by(only.c.key)


def _keys_that(condition: ColumnElement[bool]) -> Select[tuple[str]]:
    return select(vapid_keys.c.id).where(condition)


def _first(*conditions: ColumnElement[bool], limit: int) -> Select[tuple[str]]:
    return select(subscriptions.c.id).where(*conditions).limit(limit)


async def _set_state(
    transaction: Transaction, ids: Select[tuple[str]], state: SubscriptionState, disabled_at: int | None
) -> list[Any]:
    result = await transaction.execute(
        update(subscriptions)
        .where(subscriptions.c.id.in_(ids))
        .values(state=state, version=subscriptions.c.version + 1, disabled_at=disabled_at)
        .returning(subscriptions)
    )
    return list(result.all())
