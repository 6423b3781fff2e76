"""Access tokens at rest: of a token's secret only the SHA-256 is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, func, insert, select, update

from pushdesk.errors import PushdeskError
from pushdesk.model import AccessToken, Scope
from pushdesk.storage.records import StoredToken
from pushdesk.storage.schema import access_tokens
from pushdesk.storage.times import to_datetime, to_datetime_or_none, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.storage.database import Database

MAX_TOKENS = 1000
"""They are all held in memory, and nobody looks through more."""


class AccessTokens:
    """The access tokens of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> tuple[StoredToken, ...]:
        """Return every token.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select(access_tokens).order_by(access_tokens.c.id))).all()
        return tuple(
            StoredToken(
                AccessToken(
                    id=row.id,
                    name=row.name,
                    scopes=tuple(Scope(scope) for scope in row.scopes.split()),
                    created_at=to_datetime(row.created_at),
                    last_used_at=to_datetime_or_none(row.last_used_at),
                ),
                row.secret_digest,
            )
            for row in rows
        )

    async def add(self, token: StoredToken) -> None:
        """Store a new token.

        Raises:
            PushdeskError: `forbidden` when there are too many.
            DatabaseError: Nothing was changed.
        """
        access = token.access
        async with self._database.write() as transaction:
            if await transaction.scalar(select(func.count()).select_from(access_tokens)) >= MAX_TOKENS:
                raise PushdeskError(
                    f"There are {MAX_TOKENS} access tokens, the most that are held.",
                    code="forbidden",
                    hint="Revoke those that are no longer used.",
                )
            await transaction.execute(
                insert(access_tokens).values(
                    id=access.id,
                    name=access.name,
                    scopes=" ".join(access.scopes),
                    secret_digest=token.secret_digest,
                    created_at=to_milliseconds(access.created_at),
                )
            )

    async def remove(self, token: str) -> bool:
        """Remove a token; returns whether it was there.

        Raises:
            DatabaseError: Nothing was changed.
        """
        async with self._database.write() as transaction:
            removed = await transaction.execute(
                delete(access_tokens).where(access_tokens.c.id == token).returning(access_tokens.c.id)
            )
            return removed.one_or_none() is not None

    async def note_uses(self, uses_ms: Mapping[str, int]) -> None:
        """Write down when tokens were last used, in milliseconds since the epoch.

        Raises:
            DatabaseError: Nothing was changed.
        """
        statement = (
            update(access_tokens)
            .where(access_tokens.c.id == bindparam("token"))
            .values(last_used_at=bindparam("used_at"))
        )
        async with self._database.write() as transaction:
            await transaction.execute(statement, [{"token": token, "used_at": at} for token, at in uses_ms.items()])
