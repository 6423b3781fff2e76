"""The attempts of deliveries that were tried again: each is kept when the delivery goes on to the next one.

The last attempt is the delivery itself. So a push that is accepted at once, as nearly all are, has no row here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, cast, insert, select

from pushdesk.storage.schema import attempts, deliveries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.storage.transaction import Transaction

_OF_SETTLING: Final = {
    "number": "new_attempts",
    "at": "new_at",
    "outcome": "new_outcome",
    "status": "new_status",
    "reason": "new_reason",
    "latency_ms": "new_latency_ms",
    "headers": "new_headers",
}
"""Where an attempt's columns are among the parameters of `settle_row`."""

_KEEP: Final = insert(attempts).from_select(
    ["delivery", *_OF_SETTLING],
    select(
        deliveries.c.id,
        # PostgreSQL would take a parameter that is NULL for text.
        *(cast(bindparam(parameter), attempts.c[name].type) for name, parameter in _OF_SETTLING.items()),
    ).where(
        deliveries.c.id == bindparam("settled_id"),
        deliveries.c.claim_id == bindparam("mine"),
        # What was put off has no attempt more than before, nor what a commit wrote that only seemed to fail.
        deliveries.c.attempts < bindparam("new_attempts"),
    ),
)


async def keep_attempts(transaction: Transaction, settlements: Sequence[Mapping[str, Any]]) -> None:
    """Keep attempts whose deliveries are still under the claim and will be tried again, before these are settled.

    Args:
        transaction: The one that settles them.
        settlements: What `settle_row` returned for each of them.
    """
    if settlements:
        await transaction.execute(_KEEP, settlements)
