"""From what was accepted to what is sent: what is due, a delivery for each device, and those that waited."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, insert, or_, select, update

from pushdesk.model import DispatchKind, DispatchState, Service
from pushdesk.storage.accepting import accept
from pushdesk.storage.ending import finish, supersede
from pushdesk.storage.generations import THE_ROW, generation_of_user
from pushdesk.storage.prepared import Prepared, PreparedRows
from pushdesk.storage.records import Accepted, Claimed, Due, Ended, Open
from pushdesk.storage.rows import NEW_DELIVERY, delivery_row, to_delivery, to_message
from pushdesk.storage.schema import IS_OPEN, deliveries, dispatches, server_state, user_state

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from pushdesk.storage.records import Message, Spread
    from pushdesk.storage.transaction import Snapshot, Transaction

OPEN_STATES: Final = (DispatchState.QUEUED, DispatchState.SCHEDULED)


async def look(snapshot: Snapshot, now_ms: int, limit: int) -> Due:
    """Return what is due, as the snapshot sees it; see `OutboxTable.due`."""
    first_ms, later_ms, *services_ms = (await snapshot.execute(_NEXT_DUE, {"now": now_ms})).one()
    opened: tuple[Open, ...] = ()
    if first_ms is not None and first_ms <= now_ms:
        rows = await snapshot.execute(_SELECT_OPEN, {"now": now_ms, "most": limit})
        opened = tuple(Open(to_message(row), row.floor) for row in rows)
    deliveries_ms = {service: at for service, at in zip(Service, services_ms, strict=True) if at is not None}
    return Due(later_ms if len(opened) < limit else first_ms, deliveries_ms, opened)


async def count_backlog(snapshot: Snapshot, claim: str) -> tuple[int, dict[Service, int]]:
    """Return how much is not spread and not settled, as the snapshot sees it; see `OutboxTable.backlog`."""
    queued = await snapshot.scalar(_COUNT_OPEN)
    unsettled: Counter[Service] = Counter()
    for statement in (_COUNT_WAITING, _COUNT_CLAIMED):
        for service, number in await snapshot.execute(statement, {"mine": claim}):
            unsettled[Service(service)] += number
    return queued, dict(unsettled)


async def spread(transaction: Transaction, new: Spread, now_ms: int) -> Ended:
    """Write one delivery for each device of some dispatches, in the caller's transaction; see `OutboxTable.spread`."""
    for state in (DispatchState.SENDING, DispatchState.DONE):
        ids = [dispatch for dispatch, its in new.states.items() if its is state]
        if ids:
            await transaction.execute(_SET_STATE, {"ids": ids, "new_state": state})
    return await _write(transaction, new, now_ms)


async def _write(transaction: Transaction, new: Spread, now_ms: int) -> Ended:
    """Write deliveries whose dispatches are in their new states."""
    topics = new.topics
    if new.deliveries:
        rows = [
            delivery_row(
                delivery, new.claims.get(delivery.id), new.awaited.get(delivery.id), topics.get(delivery.dispatch)
            )
            for delivery in new.deliveries
        ]
        await transaction.execute(_INSERT_DELIVERIES, rows)
    pairs = {
        (delivery.subscription, topics[delivery.dispatch].name)
        for delivery in new.deliveries
        if delivery.dispatch in topics
    }
    ended = await supersede(transaction, pairs, now_ms)
    settled = {delivery.dispatch for delivery in new.deliveries if delivery.outcome.is_settled}
    return replace(ended, done=(*ended.done, *await finish(transaction, settled - new.empty)))


async def accept_and_spread(
    transaction: Transaction,
    messages: Sequence[Message],
    precedence: int,
    new: Spread,
    known: Mapping[str, int],
    now_ms: int,
) -> Accepted:
    """Store a batch of dispatches and spread some of them, in the caller's transaction; see `OutboxTable`."""
    outdated: frozenset[str] = frozenset()
    if known:
        floors, epoch = await _floors(transaction, known.keys())
        changed = {user for user, generation in known.items() if floors.get(user, epoch) > generation}
        # Who is no longer there has no generation, and no devices.
        changed |= {delivery.user for delivery in new.deliveries} - floors.keys()
        outdated = frozenset(message.id for message in messages if message.user in changed)
        new = new.but_for(outdated)
    repeats = await accept(transaction, messages, precedence, new.states)
    ended = await _write(transaction, new.but_for(repeats), now_ms) if known else Ended()
    return Accepted(repeats, outdated, ended)


async def claim(transaction: Transaction, mine: str, service: Service, now_ms: int, limit: int) -> tuple[Claimed, ...]:
    """Claim deliveries to one push service that are due, in the caller's transaction; see `OutboxTable.claim`."""
    due = {"due_service": service, "now": now_ms, "most": limit, "mine": mine}
    claimed = await transaction.execute(_CLAIM, due)
    if not claimed:
        return ()
    found = await transaction.execute(_SELECT_DISPATCHES, {"ids": {row.dispatch for row in claimed}})
    messages = {row.id: to_message(row) for row in found}
    floors, epoch = await _floors(transaction, {row.user for row in claimed})
    return tuple(
        # Of a broadcast's deliveries, each is a message for its own user.
        Claimed(to_delivery(row), replace(messages[row.dispatch], user=row.user), floors.get(row.user, epoch))
        for row in claimed
    )


async def _floors(transaction: Transaction, users: Collection[str]) -> tuple[dict[str, int], int]:
    """Return the generations of those users who are known, and the epoch, which is that of the others."""
    rows = await transaction.execute(_SELECT_FLOORS, {"users": users})
    return {row.user: row.floor for row in rows}, rows[0].epoch


# Built once: to build a statement costs as much as to execute it.
_IS_TO_BE_SPREAD: Final = (IS_OPEN, dispatches.c.kind != DispatchKind.BROADCAST)
"""Broadcasts are not: see `pushdesk.storage.broadcasts`."""
_WAITING: Final = (deliveries.c.next_attempt_at.is_not(None), deliveries.c.claim_id.is_(None))
"""What nobody has claimed: the words of the partial index that finds it."""
_INSERT_DELIVERIES: Final = PreparedRows(insert(deliveries), NEW_DELIVERY)
_SET_STATE: Final = Prepared(
    update(dispatches).where(dispatches.c.id.in_(bindparam("ids", expanding=True))).values(state=bindparam("new_state"))
)
_CLAIM: Final = (
    update(deliveries)
    .where(
        deliveries.c.id.in_(
            select(deliveries.c.id)
            .where(
                deliveries.c.service == bindparam("due_service"),
                *_WAITING,
                deliveries.c.next_attempt_at <= bindparam("now"),
            )
            .order_by(deliveries.c.next_attempt_at)
            .limit(bindparam("most"))
        )
    )
    .values(claim_id=bindparam("mine"), awaits_key=None)
    .returning(deliveries)
)
_SELECT_DISPATCHES: Final = select(dispatches).where(dispatches.c.id.in_(bindparam("ids", expanding=True)))
_SELECT_FLOORS: Final = Prepared(
    select(user_state.c.user, generation_of_user().label("floor"), server_state.c.epoch)
    .select_from(server_state.outerjoin(user_state, user_state.c.user.in_(bindparam("users", expanding=True))))
    .where(THE_ROW)
)
_SELECT_OPEN: Final = Prepared(
    select(dispatches, generation_of_user().label("floor"))
    .select_from(dispatches.join(server_state, THE_ROW).outerjoin(user_state, user_state.c.user == dispatches.c.user))
    .where(*_IS_TO_BE_SPREAD, dispatches.c.due_at <= bindparam("now"))
    .order_by(dispatches.c.due_at, dispatches.c.id)
    .limit(bindparam("most"))
)
# One look at the index for each, where grouping would read every waiting row.
_NEXT_DUE: Final = Prepared(
    select(
        select(func.min(dispatches.c.due_at)).where(*_IS_TO_BE_SPREAD).scalar_subquery().label("dispatch"),
        select(func.min(dispatches.c.due_at))
        .where(*_IS_TO_BE_SPREAD, dispatches.c.due_at > bindparam("now"))
        .scalar_subquery()
        .label("later"),
        *(
            select(func.min(deliveries.c.next_attempt_at))
            .where(deliveries.c.service == service, *_WAITING)
            .scalar_subquery()
            .label(service)
            for service in Service
        ),
    )
)
_COUNT_OPEN: Final = select(func.count()).select_from(dispatches).where(IS_OPEN)
# Apart, as each is counted from an index of its own: those of both are found by looking at everything that ever was.
_COUNT_WAITING: Final = select(deliveries.c.service, func.count()).where(*_WAITING).group_by(deliveries.c.service)
_COUNT_CLAIMED: Final = (
    select(deliveries.c.service, func.count())
    .where(
        deliveries.c.claim_id.is_not(None),
        or_(deliveries.c.next_attempt_at.is_not(None), deliveries.c.claim_id == bindparam("mine")),
    )
    .group_by(deliveries.c.service)
)
