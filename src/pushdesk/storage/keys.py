"""VAPID keys at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from pushdesk.model import KeyState, SubscriptionState, VapidKey
from pushdesk.storage.records import StoredKey
from pushdesk.storage.schema import subscriptions, vapid_keys
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from pushdesk.storage.database import Database


class Keys:
    """The VAPID keys of a database: exactly one is current once there is any."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[StoredKey, ...]:
        """Return every key, the newest first.

        Raises:
            DatabaseError: They could not be read.
        """
        statement = select(vapid_keys).order_by(vapid_keys.c.created_at.desc(), vapid_keys.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return tuple(
            StoredKey(row.id, row.public_key, row.private_key, KeyState(row.state), row.created_at) for row in rows
        )

    async def make_current(self, key: StoredKey) -> None:
        """Store a new current key; the one that was current is retiring from now on.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as connection:
            await connection.execute(
                update(vapid_keys).where(vapid_keys.c.state == KeyState.CURRENT).values(state=KeyState.RETIRING)
            )
            await connection.execute(
                insert(vapid_keys).values(
                    id=key.id,
                    public_key=key.public_key,
                    private_key=key.private_key,
                    state=KeyState.CURRENT,
                    created_at=key.created_at_ms,
                )
            )

    async def listing(self) -> tuple[VapidKey, ...]:
        """Return what may be shown of every key, with the active subscriptions bound to each, the newest first.

        Raises:
            DatabaseError: They could not be read.
        """
        bound = (
            select(func.count())
            .where(subscriptions.c.key_id == vapid_keys.c.id, subscriptions.c.state == SubscriptionState.ACTIVE)
            .scalar_subquery()
        )
        statement = select(vapid_keys, bound.label("bound")).order_by(vapid_keys.c.created_at.desc(), vapid_keys.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return tuple(
            VapidKey(row.id, row.public_key, KeyState(row.state), to_datetime(row.created_at), row.bound)
            for row in rows
        )
