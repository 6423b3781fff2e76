"""What attempts came to, at rest: of the deliveries, their subscriptions and their dispatches, in one transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs
from sqlalchemy import and_, bindparam, select, tuple_, update

from pushdesk.model import UNSETTLED, Delivery, DispatchState, Outcome, SubscriptionState
from pushdesk.storage.answers import count_failures, count_refusals, count_successes, disable
from pushdesk.storage.attempts import keep_attempts
from pushdesk.storage.ending import LAST, finish
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
    await keep_attempts(transaction, [settle_row(item, claim) for item in settlements])
    ended = await _ended_meanwhile(transaction, settlements)
    if ended:
        settlements = [_ending(item, ended.get(item.delivery.id)) for item in settlements]
    await transaction.execute(_SETTLE, [settle_row(item, claim) for item in settlements])
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
    version = tuple_(subscriptions.c.id, subscriptions.c.version)
    rows = await transaction.execute(select(subscriptions).where(version.in_(states)))
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


_SETTLE: Final = (
    update(deliveries)
    .where(deliveries.c.id == bindparam("settled_id"), deliveries.c.claim_id == bindparam("mine"))
    .values(
        outcome=bindparam("new_outcome"),
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        attempts=bindparam("new_attempts"),
        latency_ms=bindparam("new_latency_ms"),
        next_attempt_at=bindparam("new_next_attempt_at"),
        at=bindparam("new_at"),
        headers=bindparam("new_headers"),
        awaits_key=bindparam("new_awaits_key"),
        claim_id=None,
    )
)
