"""`Store`: the one seam to the database. No SQL anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from sqlalchemy import select

from pushdesk.storage.access_tokens import AccessTokens
from pushdesk.storage.brakes import BrakeTable
from pushdesk.storage.broadcast_users import BroadcastUsers
from pushdesk.storage.broadcasts import BroadcastTable
from pushdesk.storage.database import Database
from pushdesk.storage.delivery_records import DeliveryRecords
from pushdesk.storage.disabled import Disabled
from pushdesk.storage.explaining import Explaining
from pushdesk.storage.invitations import Invitations
from pushdesk.storage.key_bindings import KeyBindings
from pushdesk.storage.keys import Keys
from pushdesk.storage.lanes import LaneTable
from pushdesk.storage.listings import Listings
from pushdesk.storage.outbox import OutboxTable
from pushdesk.storage.retention import Retention
from pushdesk.storage.schema import server_state
from pushdesk.storage.seal_state import agree
from pushdesk.storage.sealing import Sealer
from pushdesk.storage.space import FileSpace
from pushdesk.storage.subscriptions import Subscriptions
from pushdesk.storage.users import Users

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pushdesk.storage.records import Raised
    from pushdesk.storage.transaction import OnRaised
    from pushdesk.storage.usage import Usage

DATABASE_NAME: Final = "pushdesk.db"
"""The database's file in a data directory."""


def _tell_nobody(_raised: Sequence[Raised], _committed: bool) -> None:  # noqa: FBT001 (what `OnRaised` says)
    pass


class Store:
    """An open database, by subject.

    `users`, `subscriptions`, `invitations`, `keys`, `access_tokens`, `outbox`, `broadcasts`, `broadcast_users`,
    `lanes`, `brakes` change it, `disabled` and `retention` remove what is kept no longer, `space` is the room that it
    takes, `listings` pages through it, `delivery_records` tells of one delivery, `explaining` of what tells why
    somebody did not get something.
    Used as an async context manager; the subjects are there inside of it.

    Args:
        path: The database's file.
        on_raised: Told after each transaction whose generations it raised, and whether its commit is certain.
        sealer: Seals what is secret, if it has a key.

    Raises:
        DatabaseError: The database cannot be opened, is no database, or was written by a newer pushdesk.
        StartUpError: The database is sealed and the key is not there, or the other way round; nothing was changed.
    """

    users: Users
    subscriptions: Subscriptions
    invitations: Invitations
    keys: Keys
    key_bindings: KeyBindings
    access_tokens: AccessTokens
    outbox: OutboxTable
    broadcasts: BroadcastTable
    broadcast_users: BroadcastUsers
    lanes: LaneTable
    retention: Retention
    space: FileSpace
    brakes: BrakeTable
    disabled: Disabled
    listings: Listings
    delivery_records: DeliveryRecords
    explaining: Explaining

    def __init__(self, path: Path, on_raised: OnRaised = _tell_nobody, *, sealer: Sealer | None = None) -> None:
        self.description = f"sqlite {path.name}"
        self._sealer = sealer or Sealer()
        self._database = Database(path, on_raised, lambda connection: agree(connection, self._sealer))

    @property
    def on_raised(self) -> OnRaised:
        """Who is told; can be set once whoever it is has been made."""
        return self._database.on_raised

    @on_raised.setter
    def on_raised(self, hook: OnRaised) -> None:
        self._database.on_raised = hook

    async def __aenter__(self) -> Self:
        """Open the database and bring its schema to the newest revision."""
        await self._database.__aenter__()
        async with self._database.read() as connection:
            digest_key: bytes = (await connection.execute(select(server_state.c.digest_key))).scalar_one()
        self.users = Users(self._database)
        self.subscriptions = Subscriptions(self._database, digest_key, self._sealer)
        self.invitations = Invitations(self._database)
        self.keys = Keys(self._database, self._sealer)
        self.key_bindings = KeyBindings(self._database)
        self.access_tokens = AccessTokens(self._database)
        self.outbox = OutboxTable(self._database)
        self.broadcasts = BroadcastTable(self._database, self._sealer)
        self.broadcast_users = BroadcastUsers(self._database)
        self.lanes = LaneTable(self._database)
        self.retention = Retention(self._database)
        self.space = FileSpace(self._database)
        self.brakes = BrakeTable(self._database)
        self.disabled = Disabled(self._database)
        self.listings = Listings(self._database)
        self.delivery_records = DeliveryRecords(self._database)
        self.explaining = Explaining(self._database)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the database."""
        await self._database.__aexit__(*exc)

    @property
    def usage(self) -> Usage:
        """What was asked of the database since it was opened."""
        return self._database.usage

    @property
    def path(self) -> Path:
        """The database's file."""
        return self._database.path

    @property
    def size(self) -> int:
        """How many bytes it takes on the disk, with its write-ahead log."""
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def free_bytes(self) -> int | None:
        """Return how much room is left on the disk with the database; None where that cannot be known."""
        return self._database.free_bytes()

    async def ping(self) -> None:
        """Read from the database.

        Raises:
            DatabaseError: It does not answer.
        """
        await self._database.ping()
