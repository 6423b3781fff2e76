"""Sealing a whole database, sealing it anew with another key, and unsealing it, while nobody else works on it.

Before the first value is changed the database says that it is in between, after the last that it is whole. Values are
changed in batches, each a transaction of its own, and one that is as it should be is passed over: cut off at any point,
the same is done again and goes on where it was.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from sqlalchemy import bindparam, select, update

from pushdesk.errors import DatabaseError, StartUpError
from pushdesk.storage.database import Database
from pushdesk.storage.schema import subscriptions, vapid_keys
from pushdesk.storage.seal_state import LOSS, Word, read_state, state_of, word_of
from pushdesk.storage.sealing import (
    AUTH,
    ENDPOINT,
    PRIVATE_KEY,
    SealBrokenError,
    Sealer,
    key_id_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

BATCH: Final = 500
"""Subscriptions in one transaction."""
DAMAGED: Final = "damaged"

Value = TypeVar("Value", str, bytes)


class Resealed(NamedTuple):
    """What was changed."""

    endpoints: int = 0
    auths: int = 0
    private_keys: int = 0
    damaged: int = 0
    """Values that are not what was sealed there; they were left as they are."""


class Resealing:
    """Brings every secret of a database under one key, or under none.

    Args:
        path: The database's file, which nobody else has open.
        to: Seals from now on; without a key, all is unsealed.
        known: What may have sealed what is there.
        begin: Called once it is known that the keys fit, before anything is changed; what it raises ends it there.
        on_values: Called when every value is as it should be, before the file is written anew.
    """

    def __init__(
        self,
        path: Path,
        *,
        to: Sealer,
        known: Sequence[Sealer],
        begin: Callable[[], None],
        on_values: Callable[[Resealed], None],
    ) -> None:
        self._path = path
        self._to = to
        self._known = {sealer.key_id: sealer for sealer in (*known, to) if sealer.key_id is not None}
        self._begin = begin
        self._on_values = on_values
        self._was_whole = False
        self._counts: Counter[str] = Counter()

    async def run(self) -> Resealed:
        """Do it, or what is left of it.

        Raises:
            StartUpError: The database is sealed with a key that is not there. Nothing was changed, or nothing more.
            DatabaseError: The database failed; what was done stays done.
        """
        async with Database(self._path, lambda _raised, _committed: None, self._admit) as database:
            await self._private_keys(database)
            last: str | None = ""
            while last is not None:
                last = await self._subscriptions_after(database, last)
            done = Resealed(*(self._counts[kind] for kind in (ENDPOINT, AUTH, PRIVATE_KEY, DAMAGED)))
            self._on_values(done)
            if not self._was_whole or any(done[:-1]):
                # So that nothing that was overwritten lingers, in the file or in the log.
                await database.write_anew()
                if not await database.empty_log():
                    raise DatabaseError(
                        "The write-ahead log could not be emptied: somebody else has the database open."
                    )
                async with database.write() as transaction:
                    await transaction.execute(state_of(self._to, Word.WHOLE))
        return done

    def _admit(self, connection: Connection) -> None:
        """Check that the keys fit, and have the database say that it is in between."""
        state = read_state(connection)
        holder = self._to
        if state.key_id is not None:
            holder = self._known.get(state.key_id, Sealer())
            if holder.key_id is None:
                raise StartUpError(
                    f"The database is sealed with the key {state.key_id}, which is not given. {LOSS}".strip(),
                    hint="Name its file with --old-key-file; if it is to be sealed with it, with --seal-key-file.",
                )
            word = word_of(state, holder)
            if word is Word.CHANGING and self._to.key_id not in {None, state.key_id}:
                raise StartUpError(
                    f"The sealing of the database with the key {state.key_id} was begun and has not ended.",
                    hint="Let it end first: run `pushdesk seal` with that key.",
                )
            self._was_whole = word is Word.WHOLE and self._to.key_id == state.key_id
        else:
            self._was_whole = self._to.key_id is None
        self._begin()
        if not self._was_whole:
            connection.execute(state_of(holder if self._to.key_id is None else self._to, Word.CHANGING))

    async def _private_keys(self, database: Database) -> None:
        async with database.write() as transaction:
            for row in (await transaction.execute(select(vapid_keys.c.id, vapid_keys.c.private_key))).all():
                anew = self._anew(PRIVATE_KEY, row.id, row.private_key)
                if anew != row.private_key:
                    await transaction.execute(
                        update(vapid_keys).where(vapid_keys.c.id == row.id).values(private_key=anew)
                    )

    async def _subscriptions_after(self, database: Database, last: str) -> str | None:
        """Do a batch; returns the id to go on after, None when there is no more."""
        statement = (
            select(subscriptions.c.id, subscriptions.c.endpoint, subscriptions.c.auth)
            .where(subscriptions.c.id > last)
            .order_by(subscriptions.c.id)
            .limit(BATCH)
        )
        changes = []
        async with database.write() as transaction:
            rows = (await transaction.execute(statement)).all()
            for row in rows:
                endpoint = self._anew(ENDPOINT, row.id, row.endpoint)
                auth = self._anew(AUTH, row.id, row.auth)
                if (endpoint, auth) != (row.endpoint, row.auth):
                    changes.append({"row": row.id, "new_endpoint": endpoint, "new_auth": auth})
            if changes:
                await transaction.execute(_CHANGE, changes)
        return rows[-1].id if rows else None

    def _anew(self, column: str, row: str, stored: Value) -> Value:
        """Return what is to be in a column of a row from now on."""
        sealed_with = key_id_of(stored)
        # The private half of a revoked key was erased.
        if sealed_with == self._to.key_id or not stored:
            return stored
        sealer = Sealer() if sealed_with is None else self._known.get(sealed_with)
        if sealer is None:
            raise StartUpError(
                f"A value of {column} is sealed with the key {sealed_with}, which is not given.",
                hint="Run it again with --old-key-file: what is done stays done.",
            )
        try:
            if isinstance(stored, str):
                anew = self._to.seal_text(column, row, sealer.unseal_text(column, row, stored))
            else:
                anew = self._to.seal(column, row, sealer.unseal(column, row, stored))
        except SealBrokenError:
            self._counts[DAMAGED] += 1
            return stored
        self._counts[column] += 1
        return anew


_CHANGE: Final = (
    update(subscriptions)
    .where(subscriptions.c.id == bindparam("row"))
    .values(endpoint=bindparam("new_endpoint"), auth=bindparam("new_auth"))
)
