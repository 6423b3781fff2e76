"""Subscriptions that are disabled: made active again, or removed after a while."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import delete, func, select, update

from pushdesk.model import KeyState, Restoration, RestoreResult, SubscriptionState
from pushdesk.storage.generations import raise_generations, taken_away
from pushdesk.storage.key_bindings import ENDED, is_live
from pushdesk.storage.rows import to_subscription
from pushdesk.storage.schema import subscriptions, vapid_keys

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Row, Select
    from sqlalchemy.sql.dml import ReturningDelete

    from pushdesk.model import Subscription
    from pushdesk.storage.database import Database


class Disabled:
    """The disabled subscriptions of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def restore(
        self, ids: Sequence[str], max_per_user: int
    ) -> tuple[tuple[Restoration, ...], tuple[Subscription, ...]]:
        """Make disabled subscriptions active again, in one transaction.

        Args:
            ids: Which; each is looked at once.
            max_per_user: How many active subscriptions a user may have.

        Returns:
            What came of each, and those that are active again.

        Raises:
            DatabaseError: Nothing was changed.
        """
        ids = tuple(dict.fromkeys(ids))
        async with self._database.write() as transaction:
            rows = {row.id: row for row in await transaction.execute(select_disabled(ids))}
            live = await transaction.execute(count_live({row.user for row in rows.values()}))
            devices = Counter({row.user: row.number for row in live})
            results = []
            for id_ in ids:
                row = rows.get(id_)
                result = _judge(row, devices, max_per_user)
                if row is not None and result is RestoreResult.RESTORED:
                    devices[row.user] += 1
                results.append(Restoration(id_, result, _REASONS.get(result, "")))
            wanted = [one.id for one in results if one.result is RestoreResult.RESTORED]
            if not wanted:
                return tuple(results), ()
            changed = await transaction.execute(
                update(subscriptions)
                .where(subscriptions.c.id.in_(wanted))
                .values(
                    state=SubscriptionState.ACTIVE,
                    version=subscriptions.c.version + 1,
                    failures=0,
                    refusals=0,
                    disabled_at=None,
                )
                .returning(subscriptions)
            )
            restored = tuple(to_subscription(row) for row in changed)
            await raise_generations(transaction, {subscription.user: None for subscription in restored})
            return tuple(results), restored

    async def remove(self, before_ms: int, limit: int) -> tuple[Subscription, ...]:
        """Remove a batch of subscriptions that were disabled before a moment, the longest ago first.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            rows = await transaction.execute(remove_disabled(before_ms, limit))
            removed = tuple(to_subscription(row) for row in rows)
            await raise_generations(transaction, taken_away(removed))
            return removed


def select_disabled(ids: Collection[str]) -> Select[Any]:
    """Return the statement for what is looked at of subscriptions that are to be restored."""
    key = select(vapid_keys.c.state).where(vapid_keys.c.id == subscriptions.c.key_id).scalar_subquery()
    return select(subscriptions.c.id, subscriptions.c.user, subscriptions.c.state, key.label("key_state")).where(
        subscriptions.c.id.in_(ids)
    )


def count_live(users: Collection[str]) -> Select[Any]:
    """Return the statement for how many subscriptions of these users are sent to."""
    return (
        select(subscriptions.c.user, func.count().label("number"))
        .where(subscriptions.c.user.in_(users), is_live())
        .group_by(subscriptions.c.user)
    )


def remove_disabled(before_ms: int, limit: int) -> ReturningDelete[Any]:
    """Return the statement that removes a batch of what was disabled before a moment."""
    first = (
        select(subscriptions.c.id)
        .where(subscriptions.c.disabled_at < before_ms)
        .order_by(subscriptions.c.disabled_at, subscriptions.c.id)
        .limit(limit)
    )
    return delete(subscriptions).where(subscriptions.c.id.in_(first)).returning(subscriptions)


def _judge(row: Row[Any] | None, devices: Counter[str], max_per_user: int) -> RestoreResult:
    if row is None:
        return RestoreResult.NOT_FOUND
    if row.key_state is None or KeyState(row.key_state) in ENDED:
        return RestoreResult.KEY_ENDED
    if row.state == SubscriptionState.ACTIVE:
        return RestoreResult.ALREADY_ACTIVE
    if row.state == SubscriptionState.HELD:
        return RestoreResult.HELD
    return RestoreResult.RESTORED if devices[row.user] < max_per_user else RestoreResult.TOO_MANY_DEVICES


_REASONS: Final = {
    RestoreResult.ALREADY_ACTIVE: "It is sent to already.",
    RestoreResult.NOT_FOUND: "There is no such subscription; one that is disabled is kept for a while only.",
    RestoreResult.HELD: "The brake of its push service holds it: release what is held, or confirm that it has ended.",
    RestoreResult.KEY_ENDED: "The key that it was made with has ended, or is not here: its browser has to subscribe "
    "again. Rolling the key back, or importing it, brings back all that were made with it.",
    RestoreResult.TOO_MANY_DEVICES: "Its user has as many devices as are allowed: remove one, or raise max_devices in "
    "[push].",
}
