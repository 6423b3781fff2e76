"""VAPID keys at rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, select, update

from pushdesk.model import KeyState
from pushdesk.storage.records import StoredKey
from pushdesk.storage.schema import vapid_keys
from pushdesk.storage.sealing import PRIVATE_KEY

if TYPE_CHECKING:
    from pushdesk.storage.database import Database
    from pushdesk.storage.sealing import Sealer


class Keys:
    """The VAPID keys of a database: exactly one is current once there is any."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def all(self) -> tuple[StoredKey, ...]:
        """Return every key, the newest first.

        Raises:
            DatabaseError: They could not be read.
        """
        statement = select(vapid_keys).order_by(vapid_keys.c.created_at.desc(), vapid_keys.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return tuple(
            StoredKey(
                row.id,
                row.public_key,
                self._sealer.unseal(PRIVATE_KEY, row.id, row.private_key),
                KeyState(row.state),
                row.created_at,
            )
            for row in rows
        )

    async def make_current(self, key: StoredKey) -> None:
        """Store a new current key; the one that was current is retiring from now on.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            await transaction.execute(
                update(vapid_keys).where(vapid_keys.c.state == KeyState.CURRENT).values(state=KeyState.RETIRING)
            )
            await transaction.execute(
                insert(vapid_keys).values(
                    id=key.id,
                    public_key=key.public_key,
                    private_key=self._sealer.seal(PRIVATE_KEY, key.id, key.private_key),
                    state=KeyState.CURRENT,
                    created_at=key.created_at_ms,
                )
            )
