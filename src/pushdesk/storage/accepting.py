"""Accepting a batch of messages: each is written down once, whatever comes in together, in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from pushdesk.storage.generations import THE_ROW
from pushdesk.storage.records import IDEMPOTENCY_MS
from pushdesk.storage.rows import broadcast_row, dispatch_row, idempotency_row
from pushdesk.storage.schema import broadcasts, dispatches, idempotency_keys, server_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.storage.records import Message
    from pushdesk.storage.transaction import Transaction


async def accept(
    transaction: Transaction, messages: Sequence[Message], precedence: int
) -> dict[str, tuple[str, bytes]]:
    """Store a batch of dispatches, in the caller's transaction; see `OutboxTable.accept`."""
    keyed = [(message.id, message.idempotency) for message in messages if message.idempotency is not None]
    repeats: dict[str, tuple[str, bytes]] = {}
    if keyed:
        oldest = max(message.accepted_at_ms for message in messages) - IDEMPOTENCY_MS
        first: dict[tuple[str, str], tuple[str, bytes]] = {}
        wanted = [(key.sender, key.key) for _, key in keyed]
        # All others that are as old are removed by and by.
        await transaction.execute(_FORGET_KEYS, {"names": wanted, "oldest": oldest})
        for row in await transaction.execute(_SELECT_KEYS, {"names": wanted}):
            first[row.sender, row.key] = (row.dispatch, row.body_digest)
        for message, key in keyed:
            found = first.setdefault((key.sender, key.key), (message, key.body_digest))
            if found[0] != message:
                repeats[message] = found
    fresh = [message for message in messages if message.id not in repeats]
    if fresh:
        await transaction.execute(_INSERT_DISPATCHES, [dispatch_row(message) for message in fresh])
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


# Built once: to build a statement costs as much as to execute it.
_KEY_NAMES: Final = tuple_(idempotency_keys.c.sender, idempotency_keys.c.key).in_(bindparam("names", expanding=True))
_FORGET_KEYS: Final = delete(idempotency_keys).where(_KEY_NAMES, idempotency_keys.c.created_at < bindparam("oldest"))
_SELECT_KEYS: Final = select(idempotency_keys).where(_KEY_NAMES)
_INSERT_KEYS: Final = insert(idempotency_keys)
_INSERT_DISPATCHES: Final = insert(dispatches)
_RAISE_PRECEDENCE: Final = (
    update(server_state)
    .where(THE_ROW, server_state.c.precedence < bindparam("latest"))
    .values(precedence=bindparam("latest"))
)
