"""Accepting a batch of messages: each is written down once, whatever comes in together, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import String, bindparam, column, delete, insert, select, tuple_, update, values

from pushdesk.storage.generations import THE_ROW
from pushdesk.storage.prepared import Prepared, PreparedRows
from pushdesk.storage.records import IDEMPOTENCY_MS
from pushdesk.storage.rows import broadcast_row, dispatch_row, idempotency_row
from pushdesk.storage.schema import broadcasts, dispatches, idempotency_keys, server_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.model import DispatchState
    from pushdesk.storage.records import Message
    from pushdesk.storage.transaction import Transaction


async def accept(
    transaction: Transaction, messages: Sequence[Message], precedence: int, states: Mapping[str, DispatchState]
) -> dict[str, tuple[str, bytes]]:
    """Store a batch of dispatches, in the caller's transaction; see `OutboxTable.accept`.

    Args:
        transaction: The caller's.
        messages: The batch.
        precedence: The latest that was given to a dispatch.
        states: Dispatch -> its state, of those that do not wait to be spread.
    """
    keyed = [(message.id, message.idempotency) for message in messages if message.idempotency is not None]
    repeats: dict[str, tuple[str, bytes]] = {}
    if keyed:
        oldest = max(message.accepted_at_ms for message in messages) - IDEMPOTENCY_MS
        first = await _remembered(transaction, [(key.sender, key.key) for _, key in keyed], oldest)
        for message, key in keyed:
            found = first.setdefault((key.sender, key.key), (message, key.body_digest))
            if found[0] != message:
                repeats[message] = found
    fresh = [message for message in messages if message.id not in repeats]
    if fresh:
        await transaction.execute(
            _INSERT_DISPATCHES, [dispatch_row(message, states.get(message.id)) for message in fresh]
        )
    made = [broadcast_row(item, item.broadcast) for item in fresh if item.broadcast is not None]
    if made:
        await transaction.execute(insert(broadcasts), made)
    rows = [
        idempotency_row(message, idempotency) for message in fresh if (idempotency := message.idempotency) is not None
    ]
    if rows:
        await transaction.execute(_INSERT_KEYS, rows)
    if any(message.topic is not None for message in fresh):
        await transaction.execute(_RAISE_PRECEDENCE, {"latest": precedence})
    return repeats


async def _remembered(
    transaction: Transaction, names: Sequence[tuple[str, str]], oldest: int
) -> dict[tuple[str, str], tuple[str, bytes]]:
    """Return the first dispatches of idempotency keys, with the digests of the bodies; forget older ones."""
    rows = [{"of_sender": sender, "of_key": key, "oldest": oldest} for sender, key in names]
    known = await transaction.execute(SELECT_KEYS, rows)
    if any(row.created_at < oldest for row in known):
        # All others that are as old are removed by and by.
        await transaction.execute(FORGET_KEYS, rows)
    return {(row.sender, row.key): (row.dispatch, row.body_digest) for row in known if row.created_at >= oldest}


# Built once: to build a statement costs as much as to execute it.
_WANTED: Final = (
    values(column("sender", String), column("key", String), name="wanted")
    .data([(bindparam("of_sender"), bindparam("of_key"))])
    .cte("wanted")
)
# Selected from once more: where more than one stands in `IN` itself, SQLite looks through all keys that there are.
_IS_WANTED: Final = tuple_(idempotency_keys.c.sender, idempotency_keys.c.key).in_(
    select(_WANTED.c.sender, _WANTED.c.key)
)
FORGET_KEYS: Final = PreparedRows(
    delete(idempotency_keys).where(_IS_WANTED, idempotency_keys.c.created_at < bindparam("oldest"))
)
SELECT_KEYS: Final = PreparedRows(select(idempotency_keys).where(_IS_WANTED))
_INSERT_KEYS: Final = PreparedRows(insert(idempotency_keys), idempotency_keys.c.keys())
_INSERT_DISPATCHES: Final = PreparedRows(insert(dispatches), dispatches.c.keys())
_RAISE_PRECEDENCE: Final = Prepared(
    update(server_state)
    .where(THE_ROW, server_state.c.precedence < bindparam("latest"))
    .values(precedence=bindparam("latest"))
)
