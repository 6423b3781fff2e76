"""What the answers of push services do to subscriptions, in the transaction that settles their deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, bindparam, or_, tuple_, update

from pushdesk.model import Service, SubscriptionState
from pushdesk.storage.brakes import BrakeState, put_on
from pushdesk.storage.generations import raise_generations, taken_away
from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import Refused
from pushdesk.storage.rows import to_subscription
from pushdesk.storage.schema import subscriptions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import BindParameter, Update

    from pushdesk.model import Subscription
    from pushdesk.storage.records import Disabling
    from pushdesk.storage.transaction import Transaction

SUCCESS_WRITE_INTERVAL_MS = 3_600_000
"""`last_success_at` is written at most this often per subscription: it is for people, and would cost a row a push."""
REAPED_AFTER: Final = 5
"""A subscription that nothing was ever delivered to is disabled after so many pushes that were refused, in a row."""


async def disable(
    transaction: Transaction, disablings: Sequence[Disabling], now_ms: int, *, has_failed: bool = True
) -> tuple[Subscription, ...]:
    """Disable subscriptions that are still the version that was sent to, or hold them, in the caller's transaction.

    Args:
        transaction: The caller's.
        disablings: Which, and what they are to be.
        now_ms: The time.
        has_failed: Whether that is one more failure of each; else it is counted already.

    Returns:
        Those that were: a late answer disables nobody who has subscribed again since.
    """
    brakes = await put_on(transaction, {item.hold for item in disablings if item.hold is not None})
    versions: dict[tuple[SubscriptionState, SubscriptionState | None], list[tuple[str, int]]] = {}
    for item in disablings:
        brake = None if item.hold is None else brakes[item.hold]
        if brake is BrakeState.RELEASED:
            # An operator has decided since it was answered.
            continue
        states = (SubscriptionState.HELD, item.state) if brake is BrakeState.ON else (item.state, None)
        versions.setdefault(states, []).append((item.subscription, item.version))
    disabled: list[Subscription] = []
    held: list[Subscription] = []
    for (state, held_as), wanted in versions.items():
        statement = (
            update(subscriptions)
            .where(is_one_of(wanted))
            .values(
                state=state,
                held_as=held_as,
                disabled_at=now_ms if held_as is None else None,
                version=subscriptions.c.version + 1,
                last_failure_at=now_ms,
                failures=subscriptions.c.failures + int(has_failed),
            )
            .returning(subscriptions)
        )
        found = disabled if held_as is None else held
        found += [to_subscription(row) for row in await transaction.execute(statement)]
    # What is held is told of: it is not only taken away.
    await raise_generations(transaction, taken_away(disabled) | {subscription.user: None for subscription in held})
    return (*disabled, *held)


async def count_refusals(transaction: Transaction, refusals: Mapping[str, int]) -> tuple[Refused, ...]:
    """Note how many pushes to subscriptions were refused, of those that nothing was ever delivered to.

    Returns:
        Those of which it is too many, in a row.
    """
    found: list[Refused] = []
    for times in sorted(set(refusals.values())):
        ids = [id_ for id_, number in refusals.items() if number == times]
        rows = await transaction.execute(_count_refusals(ids, times))
        found += [Refused(row.id, row.version, Service(row.service)) for row in rows if row.refusals >= REAPED_AFTER]
    return tuple(found)


def _count_refusals(ids: Collection[str], times: int) -> Update:
    return (
        update(subscriptions)
        .where(
            subscriptions.c.id.in_(ids),
            subscriptions.c.last_success_at.is_(None),
            subscriptions.c.state == SubscriptionState.ACTIVE,
        )
        .values(refusals=subscriptions.c.refusals + times)
        .returning(subscriptions.c.id, subscriptions.c.version, subscriptions.c.service, subscriptions.c.refusals)
    )


def is_one_of(versions: Collection[tuple[str, int]]) -> ColumnElement[bool]:
    """Return the condition that a subscription is one of these, still of that version."""
    return and_(
        # By which the index is searched: for both at once, SQLite would look through all subscriptions.
        subscriptions.c.id.in_({subscription for subscription, _ in versions}),
        tuple_(subscriptions.c.id, subscriptions.c.version).in_(versions),
    )


def is_success_due(now_ms: int) -> ColumnElement[bool]:
    """Return the condition that it is to be written down when a subscription is pushed to."""
    return _is_success_due(now_ms - SUCCESS_WRITE_INTERVAL_MS)


async def count_successes(transaction: Transaction, ids: Collection[str], now_ms: int) -> None:
    """Note that these subscriptions were pushed to, in the caller's transaction; most need no write."""
    # Apart: where `failures` is written its indexes are too, were it with the value that it had.
    await transaction.execute(_FORGET_FAILURES, {"ids": ids, "now": now_ms})
    due_before = now_ms - SUCCESS_WRITE_INTERVAL_MS
    await transaction.execute(_NOTE_SUCCESSES, {"ids": ids, "now": now_ms, "due_before": due_before})


async def count_failures(transaction: Transaction, ids: Collection[str], now_ms: int) -> None:
    """Note that these subscriptions were not pushed to, in the caller's transaction."""
    await transaction.execute(_NOTE_FAILURES, {"ids": ids, "now": now_ms})


def _is_success_due(before: int | BindParameter[int]) -> ColumnElement[bool]:
    return or_(subscriptions.c.last_success_at.is_(None), subscriptions.c.last_success_at < before)


_MINE: Final = subscriptions.c.id.in_(bindparam("ids", expanding=True))
# Not "> 0", which are the words of an index: there, all that ever failed would be looked through.
_FORGET_FAILURES: Final = Prepared(
    update(subscriptions)
    .where(_MINE, subscriptions.c.failures != 0)
    .values(last_success_at=bindparam("now"), failures=0)
)
_NOTE_SUCCESSES: Final = Prepared(
    update(subscriptions)
    .where(_MINE, _is_success_due(bindparam("due_before")))
    .values(last_success_at=bindparam("now"))
)
_NOTE_FAILURES: Final = Prepared(
    update(subscriptions).where(_MINE).values(last_failure_at=bindparam("now"), failures=subscriptions.c.failures + 1)
)
