"""What attempts came to, at rest: of the deliveries, their subscriptions and their dispatches, in one transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs
from sqlalchemy import and_, bindparam, column, null, select, update, values

from pushdesk.model import UNSETTLED, Delivery, DispatchState, Outcome, SubscriptionState
from pushdesk.storage.answers import count_failures, count_refusals, count_successes, disable, is_one_of
from pushdesk.storage.attempts import keep_attempts
from pushdesk.storage.ending import LAST, finish
from pushdesk.storage.prepared import PreparedRows
from pushdesk.storage.records import IS_HELD, KEY_NOT_USED, Settled, Settlement
from pushdesk.storage.rows import settle_row, to_delivery, to_dispatch, to_subscription
from pushdesk.storage.schema import deliveries, dispatches, subscriptions
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from sqlalchemy import Row

    from pushdesk.model import Dispatch, Subscription
    from pushdesk.storage.records import Disabling, Refused
    from pushdesk.storage.transaction import Transaction


async def settle(
    transaction: Transaction, settlements: Sequence[Settlement], claim: str, now_ms: int, *, again: bool
) -> Settled:
    """Write what a batch of attempts came to, in the caller's transaction; see `OutboxTable.settle`."""
    again_later = [settle_row(item, claim) for item in settlements if item.delivery.outcome in UNSETTLED]
    await keep_attempts(transaction, again_later)
    ended = await _ended_meanwhile(transaction, settlements)
    if ended:
        settlements = [_ending(item, ended.get(item.delivery.id)) for item in settlements]
    # Of one that is there twice, the first is written: what is settled is under the claim no longer.
    rows = {item.delivery.id: settle_row(item, claim) for item in reversed(settlements)}
    await transaction.execute(_SETTLE, list(rows.values()))
    disabled, refused = await note_answers(transaction, settlements, now_ms)
    touched = {item.delivery.dispatch for item in settlements if item.delivery.outcome.is_settled}
    done = await finish(transaction, touched)
    if again:
        # What an earlier try did all the same is told now: it was not then.
        disabled += await disabled_before(transaction, settlements)
        done += await _done_before(transaction, touched, {dispatch.id for dispatch in done})
    return Settled(disabled, done, refused, ended=ended)


async def note_answers(
    transaction: Transaction, settlements: Sequence[Settlement], now_ms: int
) -> tuple[tuple[Subscription, ...], tuple[Refused, ...]]:
    """Note what the answers of push services say of their subscriptions, in the caller's transaction.

    Returns:
        Those that were disabled; and those that are to be, as nothing was ever delivered to them.
    """
    accepted = {s.delivery.subscription for s in settlements if s.delivery.outcome is Outcome.ACCEPTED}
    if accepted:
        await count_successes(transaction, accepted, now_ms)
    disabled = await disable(transaction, _disablings(settlements), now_ms)
    failed = {
        s.delivery.subscription
        for s in settlements
        if s.attempted and s.disabling is None and s.delivery.attempts and s.delivery.outcome is not Outcome.ACCEPTED
    }
    if failed:
        await count_failures(transaction, failed, now_ms)
    return disabled, await count_refusals(transaction, Counter(_refused_for_good(settlements)))


def without_device(delivery: Delivery, device: Row[*tuple[Any, ...]] | None, now_ms: int) -> Delivery:
    """Return how a claimed delivery ends whose device was not among the active ones of its user, if it does.

    Args:
        delivery: It is returned as it is if its subscription is active again.
        device: Its subscription's row, if there is one.
        now_ms: The time.
    """
    # A subscription that has moved to another user gets nothing that was meant for the one before.
    state, key_has_ended = None, False
    if device is not None and device.user == delivery.user:
        state, key_has_ended = device.state, device.key_has_ended
    if state == SubscriptionState.ACTIVE and not key_has_ended:
        return delivery
    outcome, reason = Outcome.CANCELLED, "The subscription was removed before this could be sent."
    if key_has_ended:
        outcome, reason = Outcome.KEY_MISMATCH, KEY_NOT_USED
    elif state == SubscriptionState.KEY_MISMATCH:
        outcome, reason = Outcome.KEY_MISMATCH, "The subscription was found to belong to another key."
    elif state == SubscriptionState.HELD:
        outcome, reason = Outcome.HELD, IS_HELD
    elif state == SubscriptionState.GONE:
        outcome, reason = Outcome.GONE, "The subscription was found to be gone."
    return structs.replace(
        delivery, outcome=outcome, status=None, reason=reason, at=to_datetime(now_ms), next_attempt_at=None
    )


def _refused_for_good(settlements: Iterable[Settlement]) -> Iterator[str]:
    """Yield the subscriptions of which a push service has refused a push, each time; what was too large says nothing.

    Nor does a redirect, which comes from something on the way.
    """
    for delivery in (item.delivery for item in settlements if item.attempted):
        status = delivery.status
        if delivery.outcome is Outcome.REFUSED and status is not None and status >= 400 and status != 413:
            yield delivery.subscription


async def disabled_before(transaction: Transaction, settlements: Sequence[Settlement]) -> tuple[Subscription, ...]:
    """Return the subscriptions that are the next version after one that was sent to, and disabled as it was to be."""
    states = {(item.subscription, item.version + 1): item.state for item in _disablings(settlements)}
    rows = await transaction.execute(select(subscriptions).where(is_one_of(states)))
    return tuple(to_subscription(row) for row in rows if states[row.id, row.version] in {row.state, row.held_as})


def _disablings(settlements: Iterable[Settlement]) -> list[Disabling]:
    return [item.disabling for item in settlements if item.disabling is not None]


async def _done_before(
    transaction: Transaction, touched: Collection[str], known: Collection[str]
) -> tuple[Dispatch, ...]:
    """Return those of some dispatches that are done, but for those of which that is known."""
    is_done = and_(dispatches.c.id.in_(touched), dispatches.c.state == DispatchState.DONE)
    rows = await transaction.execute(select(dispatches).where(is_done))
    return tuple(to_dispatch(row) for row in rows if row.id not in known)


async def _ended_meanwhile(transaction: Transaction, settlements: Sequence[Settlement]) -> dict[str, Delivery]:
    """Return the deliveries that would be tried again, and have ended meanwhile: as they are now, with the attempt."""
    again = {item.delivery.id: item for item in settlements if not item.delivery.outcome.is_settled}
    if not again:
        return {}
    rows = await transaction.execute(
        select(deliveries).where(deliveries.c.id.in_(again), deliveries.c.outcome.not_in(UNSETTLED))
    )
    return {row.id: _as_it_ended(row, again[row.id]) for row in rows}


def _ending(settlement: Settlement, ended: Delivery | None) -> Settlement:
    return settlement if ended is None else replace(settlement, delivery=ended, awaits_key=None)


def _as_it_ended(row: Row[Any], settlement: Settlement) -> Delivery:
    delivery = settlement.delivery
    if not settlement.attempted:
        return to_delivery(row)
    why = row.reason.partition(LAST)[0]
    return structs.replace(
        delivery, outcome=Outcome(row.outcome), reason=f"{why}{LAST}{delivery.reason}", next_attempt_at=None
    )


# Where each column of a delivery is among the parameters of `settle_row`.
_NEW: Final = {
    "outcome": "new_outcome",
    "status": "new_status",
    "reason": "new_reason",
    "attempts": "new_attempts",
    "latency_ms": "new_latency_ms",
    "next_attempt_at": "new_next_attempt_at",
    "at": "new_at",
    "headers": "new_headers",
    "awaits_key": "new_awaits_key",
}
_SETTLED: Final = (
    values(column("settled_id"), *map(column, _NEW.values()), name="settled")
    .data([tuple(map(bindparam, ("settled_id", *_NEW.values())))])
    .cte("settled")
)
_SETTLE: Final = PreparedRows(
    update(deliveries)
    .where(deliveries.c.id == _SETTLED.c.settled_id, deliveries.c.claim_id == bindparam("mine"))
    .values({name: _SETTLED.c[parameter] for name, parameter in _NEW.items()} | {"claim_id": null()})
)
