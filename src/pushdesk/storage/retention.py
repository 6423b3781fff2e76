"""What is done goes when it is old, or when there is too much of it: the oldest first, in short transactions.

What waits or is scheduled stays, however old it is, and so does what an idempotency key stands for that is remembered:
a repeated request is answered with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import and_, delete, exists, or_, select, tuple_

from pushdesk.errors import PushdeskError
from pushdesk.model import UNSETTLED, DispatchState
from pushdesk.storage.records import IDEMPOTENCY_MS
from pushdesk.storage.schema import broadcasts, deliveries, dispatches, idempotency_keys, invitations, metadata

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Delete, Select, Table

    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Transaction

BATCH: Final = 200
"""The most rows that one transaction removes; attempts go with their deliveries."""
INVITATION_MS: Final = 7 * 24 * 3_600_000
"""How long an invitation is kept after its end, so that whoever comes too late is told so."""
_MAY_HAVE_BEEN: Final = "What is done is kept for as long as [retention] says: it may have been removed."
ENDED: Final = (DispatchState.DONE, DispatchState.CANCELLED)


class Limits(NamedTuple):
    """What is kept no longer."""

    before_ms: int = 0
    """What was accepted, due and last changed before."""
    last_delivery: str = ""
    """The newest of the deliveries that are too many, if there are any."""
    last_dispatch: str = ""
    """The same of dispatches."""
    keys_since_ms: int = 0
    """When the oldest idempotency key was made that is remembered."""


class Looked(NamedTuple):
    """Dispatches that are kept no longer, and after which to look for more; None if there can be none."""

    over: tuple[str, ...]
    after: str | None


class Removed(NamedTuple):
    """How much was removed."""

    dispatches: int = 0
    deliveries: int = 0
    others: int = 0
    """Rows that belonged to them."""


class Retention:
    """Removes from a database what is kept no longer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def limits(self, now_ms: int, *, kept_ms: int | None, rows: int | None) -> Limits:
        """Return what is kept no longer.

        Args:
            now_ms: The time.
            kept_ms: How long what is done is kept; None for ever.
            rows: How many deliveries are kept, and how many dispatches; None for all.

        Raises:
            DatabaseError: It could not be read.
        """
        last = {deliveries: "", dispatches: ""}
        if rows is not None:
            async with self._database.read() as connection:
                for table in last:
                    last[table] = (await connection.execute(select_beyond(table, rows))).scalar_one_or_none() or ""
        return Limits(
            before_ms=0 if kept_ms is None else now_ms - kept_ms,
            last_delivery=last[deliveries],
            last_dispatch=last[dispatches],
            keys_since_ms=now_ms - IDEMPOTENCY_MS,
        )

    async def look(self, after: str, limits: Limits) -> Looked:
        """Look for dispatches that are kept no longer, in the order in which they were accepted.

        Args:
            after: The id of the last one that was looked at; at first, nothing.
            limits: What is kept no longer.

        Raises:
            DatabaseError: They could not be read.
        """
        async with self._database.read() as connection:
            rows = (await connection.execute(select_next(after, limits))).all()
        over = tuple(row.id for row in rows if row.is_over)
        if len(rows) < BATCH:
            return Looked(over, None)
        # Ids sort by the time they were made: what comes after is younger still.
        last = rows[-1]
        is_kept = last.accepted_at >= limits.before_ms and last.id > max(limits.last_delivery, limits.last_dispatch)
        return Looked(over, None if is_kept else last.id)

    async def remove(self, ids: Collection[str]) -> Removed:
        """Remove a batch of dispatches with all that belongs to them; nothing is left when nothing was removed.

        Raises:
            DatabaseError: Nothing was removed.
        """
        room, removed = BATCH, dict.fromkeys(PARTS, 0)
        async with self._database.write() as transaction:
            for table in PARTS:
                removed[table] = await _delete(transaction, delete_parts(table, ids, room))
                room -= removed[table]
                if not room:
                    break
            gone = await _delete(transaction, delete_dispatches(ids, room)) if room else 0
        found = removed.pop(deliveries)
        return Removed(gone, found, sum(removed.values()))

    async def forget_keys(self, now_ms: int) -> int:
        """Remove a batch of idempotency keys that are not remembered any more; returns how many there were.

        Raises:
            DatabaseError: None was removed.
        """
        async with self._database.write() as transaction:
            return await _delete(transaction, delete_keys(now_ms))

    async def forget_invitations(self, now_ms: int) -> int:
        """Remove a batch of invitations that ended long ago; returns how many there were.

        Raises:
            DatabaseError: None was removed.
        """
        async with self._database.write() as transaction:
            return await _delete(transaction, delete_invitations(now_ms))


def not_kept(what: str) -> PushdeskError:
    """Return the error for what is not there, or not there any more."""
    return PushdeskError(f"There is no such {what}.", code="not_found", hint=_MAY_HAVE_BEEN)


def select_beyond(table: Table, rows: int) -> Select[Any]:
    """Return the statement for the id of the newest row that is one too many."""
    return select(table.c.id).order_by(table.c.id.desc()).offset(rows).limit(1)


def select_next(after: str, limits: Limits) -> Select[Any]:
    """Return the statement for the next dispatches, each with whether it is kept no longer."""
    mine = deliveries.c.dispatch == dispatches.c.id
    is_old = and_(
        dispatches.c.accepted_at < limits.before_ms,
        dispatches.c.due_at < limits.before_ms,
        ~exists().where(mine, deliveries.c.at >= limits.before_ms),
        # Of a broadcast, most have no delivery.
        ~exists().where(broadcasts.c.dispatch == dispatches.c.id, broadcasts.c.reached_at >= limits.before_ms),
    )
    # What was scheduled long ahead has newer deliveries than what was accepted after it.
    is_too_much = or_(
        dispatches.c.id <= limits.last_dispatch, exists().where(mine, deliveries.c.id <= limits.last_delivery)
    )
    is_remembered = exists().where(
        idempotency_keys.c.dispatch == dispatches.c.id, idempotency_keys.c.created_at >= limits.keys_since_ms
    )
    waits = exists().where(mine, deliveries.c.outcome.in_(UNSETTLED))
    is_over = and_(dispatches.c.state.in_(ENDED), or_(is_old, is_too_much), ~is_remembered, ~waits)
    return (
        select(dispatches.c.id, dispatches.c.accepted_at, is_over.label("is_over"))
        .where(dispatches.c.id > after)
        .order_by(dispatches.c.id)
        .limit(BATCH)
    )


def delete_parts(table: Table, ids: Collection[str], limit: int) -> Delete:
    """Return the statement that removes some rows that belong to dispatches of which nothing is left to do."""
    ended = select(dispatches.c.id).where(dispatches.c.id.in_(ids), dispatches.c.state.in_(ENDED))
    first = select(*table.primary_key).where(table.c.dispatch.in_(ended)).limit(limit)
    if table is deliveries:
        first = first.where(deliveries.c.outcome.not_in(UNSETTLED))
    return _delete_first(table, first)


def delete_dispatches(ids: Collection[str], limit: int) -> Delete:
    """Return the statement that removes some dispatches of which nothing is left to do, and nothing else is left."""
    has_deliveries = exists().where(deliveries.c.dispatch == dispatches.c.id)
    ended = select(dispatches.c.id).where(dispatches.c.id.in_(ids), dispatches.c.state.in_(ENDED), ~has_deliveries)
    return _delete_first(dispatches, ended.order_by(dispatches.c.id).limit(limit))


def delete_keys(now_ms: int) -> Delete:
    """Return the statement that removes some idempotency keys that are not remembered any more."""
    made_at = idempotency_keys.c.created_at
    old = select(*idempotency_keys.primary_key).where(made_at < now_ms - IDEMPOTENCY_MS).order_by(made_at)
    return _delete_first(idempotency_keys, old.limit(BATCH))


def delete_invitations(now_ms: int) -> Delete:
    """Return the statement that removes some invitations that ended long ago."""
    ended_at = invitations.c.expires_at
    old = select(*invitations.primary_key).where(ended_at < now_ms - INVITATION_MS).order_by(ended_at)
    return _delete_first(invitations, old.limit(BATCH))


def _delete_first(table: Table, first: Select[Any]) -> Delete:
    return delete(table).where(tuple_(*table.primary_key).in_(first))


async def _delete(transaction: Transaction, statement: Delete) -> int:
    return (await transaction.execute(statement)).rowcount


PARTS: Final = tuple(
    table for table in metadata.sorted_tables if any(key.column is dispatches.c.id for key in table.foreign_keys)
)
"""The tables whose rows belong to a dispatch."""
