"""What the answers of push services do to subscriptions, in the transaction that settles their deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import or_, tuple_, update

from pushdesk.storage.generations import raise_generations, taken_away
from pushdesk.storage.rows import to_subscription
from pushdesk.storage.schema import subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pushdesk.model import Subscription, SubscriptionState
    from pushdesk.storage.records import Disabling
    from pushdesk.storage.transaction import Transaction

SUCCESS_WRITE_INTERVAL_MS = 3_600_000
"""`last_success_at` is written at most this often per subscription: it is for people, and would cost a row a push."""


async def disable(transaction: Transaction, disablings: Sequence[Disabling], now_ms: int) -> tuple[Subscription, ...]:
    """Disable subscriptions that are still the version that was sent to, in the caller's transaction.

    Returns:
        Those that were disabled: a late answer disables nobody who has subscribed again since.
    """
    versions: dict[SubscriptionState, list[tuple[str, int]]] = {}
    for item in disablings:
        versions.setdefault(item.state, []).append((item.subscription, item.version))
    found: list[Subscription] = []
    for state, wanted in versions.items():
        statement = (
            update(subscriptions)
            .where(tuple_(subscriptions.c.id, subscriptions.c.version).in_(wanted))
            .values(
                state=state,
                version=subscriptions.c.version + 1,
                last_failure_at=now_ms,
                failures=subscriptions.c.failures + 1,
            )
            .returning(subscriptions)
        )
        found += [to_subscription(row) for row in await transaction.execute(statement)]
    await raise_generations(transaction, taken_away(found))
    return tuple(found)


async def count_successes(transaction: Transaction, ids: Collection[str], now_ms: int) -> None:
    """Note that these subscriptions were pushed to, in the caller's transaction; most need no write."""
    mine = subscriptions.c.id.in_(ids)
    due = or_(
        subscriptions.c.last_success_at.is_(None),
        subscriptions.c.last_success_at < now_ms - SUCCESS_WRITE_INTERVAL_MS,
    )
    # Apart: where `failures` is written its indexes are too, were it with the value that it had. Not "> 0", which are
    # the words of one of them: there, all that ever failed would be looked through.
    await transaction.execute(
        update(subscriptions).where(mine, subscriptions.c.failures != 0).values(last_success_at=now_ms, failures=0)
    )
    await transaction.execute(update(subscriptions).where(mine, due).values(last_success_at=now_ms))


async def count_failures(transaction: Transaction, ids: Collection[str], now_ms: int) -> None:
    """Note that these subscriptions were not pushed to, in the caller's transaction."""
    await transaction.execute(
        update(subscriptions)
        .where(subscriptions.c.id.in_(ids))
        .values(
            last_failure_at=now_ms,
            failures=subscriptions.c.failures + 1,
        )
    )
