"""`Store`: the one seam to the database. No SQL anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from pushdesk.storage.database import Database
from pushdesk.storage.keys import Keys
from pushdesk.storage.listings import Listings
from pushdesk.storage.outbox import OutboxTable
from pushdesk.storage.schema import server_state
from pushdesk.storage.subscriptions import Subscriptions

if TYPE_CHECKING:
    from pathlib import Path


class Store:
    """An open database, by subject: `subscriptions`, `keys`, `outbox` change it, `listings` pages through it.

    Used as an async context manager; the subjects are there inside of it.

    Raises:
        DatabaseError: The database cannot be opened, is no database, or was written by a newer pushdesk.
    """

    subscriptions: Subscriptions
    keys: Keys
    outbox: OutboxTable
    listings: Listings

    def __init__(self, path: Path) -> None:
        self.description = f"sqlite {path.name}"
        self._database = Database(path)

    async def __aenter__(self) -> Self:
        """Open the database and bring its schema to the newest revision."""
        await self._database.__aenter__()
        async with self._database.read() as connection:
            digest_key: bytes = (await connection.execute(select(server_state.c.digest_key))).scalar_one()
        self.subscriptions = Subscriptions(self._database, digest_key)
        self.keys = Keys(self._database)
        self.outbox = OutboxTable(self._database)
        self.listings = Listings(self._database)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the database."""
        await self._database.__aexit__(*exc)

    async def ping(self) -> None:
        """Read from the database.

        Raises:
            DatabaseError: It does not answer.
        """
        await self._database.ping()
