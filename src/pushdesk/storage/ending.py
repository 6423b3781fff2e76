"""How deliveries end without an attempt: by a newer one of their topic, by their time, by whoever cancels them.

What somebody works on ends like the others, but stays claimed: its attempt may come to more, which is then written over
this. So whatever happens to that attempt, what is written here holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, case, exists, func, or_, select, tuple_, update

from pushdesk.errors import PushdeskError
from pushdesk.model import UNSETTLED, DispatchState, Outcome, Service
from pushdesk.storage.broadcast_counts import end_reaching
from pushdesk.storage.prepared import Prepared
from pushdesk.storage.records import Ended
from pushdesk.storage.retention import ENDED, not_kept
from pushdesk.storage.rows import to_delivery, to_dispatch
from pushdesk.storage.schema import IS_SENDING, broadcast_users, broadcasts, chunks, deliveries, dispatches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import BindParameter, Row, Table, Update

    from pushdesk.model import Dispatch
    from pushdesk.storage.records import Topic
    from pushdesk.storage.transaction import Transaction

PAIRS: Final = 500
"""The most subscriptions with a topic that one statement looks at."""
LAST: Final = " Last: "
"""What stands between why something ended and what was said of it before."""
BEFORE: Final = " Before that: "
"""And between the last that it waited for and what was said of it before that."""
_SUPERSEDED: Final = "A newer one of its topic took its place."
_EXPIRED: Final = "Its TTL was over before it could be sent."
CANCELLED: Final = "It was cancelled."


class _Ending(NamedTuple):
    """What is told of a dispatch of which nothing is left to do."""

    id: str
    user: str | None
    kind: str
    title: str
    accepted_at: int
    due_at: int
    state: DispatchState = DispatchState.DONE


_TOLD: Final = _Ending._fields[:-1]


async def supersede(transaction: Transaction, pairs: Collection[tuple[str, str]], now_ms: int) -> Ended:
    """End what may still be sent of a topic to a subscription, where there is a newer one, in the caller's transaction.

    Args:
        transaction: The caller's.
        pairs: Subscriptions, each with a topic.
        now_ms: The time.
    """
    rows: list[Row[Any]] = []
    ordered = sorted(pairs)
    for first in range(0, len(ordered), PAIRS):
        batch = ordered[first : first + PAIRS]
        devices = {subscription for subscription, _ in batch}
        rows += await transaction.execute(_END_OLDER, {"devices": devices, "pairs": batch, "now": now_ms})
    return await ended_of(transaction, rows)


async def expire(
    transaction: Transaction, now_ms: int, limit: int, waits: Mapping[Service, str]
) -> tuple[Ended, int | None]:
    """End a batch of what nobody works on and whose time is over, in the caller's transaction.

    Args:
        transaction: The caller's.
        now_ms: The time.
        limit: The most that ends.
        waits: What all that is for these push services has been waiting for last.

    Returns:
        What ended; and when the next one does, which is past where there is more, or somebody works on it.
    """
    if waits:
        rows = await transaction.execute(end_expired(now_ms, limit, waits))
    else:
        rows = await transaction.execute(_END_EXPIRED, {"now": now_ms, "most": limit})
    ended = await ended_of(transaction, rows)
    return ended, await transaction.scalar(NEXT_EXPIRY)


async def cancel(transaction: Transaction, dispatch: str, sender: str | None, now_ms: int) -> tuple[Dispatch, Ended]:
    """End a dispatch and all that may still be sent of it, in the caller's transaction; see `OutboxTable.cancel`."""
    row = (await transaction.execute(select(dispatches).where(dispatches.c.id == dispatch))).one_or_none()
    if row is None:
        raise not_kept("dispatch")
    if sender is not None and row.sender != sender:
        raise PushdeskError(
            "This dispatch was asked for with another token.",
            code="forbidden",
            hint="Cancel it with that one, or with one that has the scope admin.",
        )
    found = to_dispatch(row)
    if found.state in ENDED:
        raise PushdeskError(
            f"This dispatch is {found.state} already.",
            code="already_ended",
            hint="Only what is scheduled, or still being sent, can be cancelled.",
        )
    rows = (await transaction.execute(end_all_of(dispatch, now_ms))).all()
    # What was for later is over as of now: it hides nothing that is sent until then.
    over = {"state": DispatchState.CANCELLED, "due_at": min(row.due_at, now_ms)}
    await transaction.execute(update(dispatches).where(dispatches.c.id == dispatch).values(over))
    await end_reaching(transaction, dispatch, now_ms, is_complete=False)
    return found, await ended_of(transaction, rows)


async def finish(transaction: Transaction, touched: Collection[str]) -> tuple[Dispatch, ...]:
    """End those of some dispatches of which nothing is left to do, in the caller's transaction; returns them."""
    if not touched:
        return ()
    told = await transaction.scalar(_SELECT_ENDING, {"touched": touched})
    rows = msgspec.json.decode(told, type=list[_Ending])
    if rows:
        await transaction.execute(_FINISH, {"ids": [row.id for row in rows]})
    return tuple(to_dispatch(row) for row in rows)


def end_older(
    devices: Collection[str] | BindParameter[Any],
    pairs: Sequence[tuple[str, str]] | BindParameter[Any],
    now_ms: int | BindParameter[int],
) -> Update:
    """Return the statement that ends what is older than another one of its topic.

    Args:
        devices: Subscriptions.
        pairs: The same, each with a topic.
        now_ms: The time.
    """
    newer = deliveries.alias("newer")
    has_delivery = exists().where(
        newer.c.subscription == deliveries.c.subscription,
        newer.c.topic == deliveries.c.topic,
        newer.c.topic.is_not(None),
        newer.c.precedence >= deliveries.c.precedence,
        or_(newer.c.precedence > deliveries.c.precedence, newer.c.dispatch > deliveries.c.dispatch),
    )
    is_newer = and_(
        dispatches.c.topic == deliveries.c.topic,
        dispatches.c.precedence >= deliveries.c.precedence,
        or_(dispatches.c.precedence > deliveries.c.precedence, dispatches.c.id > deliveries.c.dispatch),
    )
    is_older = or_(has_delivery, has_broadcast(is_newer, deliveries.c.subscription, deliveries))
    # The words of the partial index.
    may_be_sent = and_(deliveries.c.topic.is_not(None), deliveries.c.next_attempt_at.is_not(None))
    mine = and_(
        # By which the index is searched: for both at once, SQLite would look through all of it.
        deliveries.c.subscription.in_(devices),
        tuple_(deliveries.c.subscription, deliveries.c.topic).in_(pairs),
    )
    return _end(Outcome.SUPERSEDED, _SUPERSEDED, now_ms).where(mine, may_be_sent, is_older)


def has_broadcast(is_newer: ColumnElement[bool], subscription: ColumnElement[str], of: Table) -> ColumnElement[bool]:
    """Return the condition that a broadcast that has begun is for a subscription.

    One that was aborted counts for those only whom it had got to.

    Args:
        is_newer: Which broadcasts count: a condition on `dispatches`.
        subscription: The subscription's id.
        of: The table that has it, with its user and its push service.
    """
    listed = exists().where(broadcast_users.c.dispatch == broadcasts.c.dispatch, broadcast_users.c.user == of.c.user)
    listed = listed.correlate_except(broadcast_users)
    was_got_to = exists().where(
        chunks.c.dispatch == broadcasts.c.dispatch,
        chunks.c.service == of.c.service,
        chunks.c.after < subscription,
        chunks.c.last >= subscription,
    )
    was_got_to = was_got_to.correlate_except(chunks)
    found = exists().where(
        # The words of the partial index.
        dispatches.c.user.is_(None),
        dispatches.c.topic.is_not(None),
        is_newer,
        broadcasts.c.dispatch == dispatches.c.id,
        broadcasts.c.started_at.is_not(None),
        broadcasts.c.last_subscription >= subscription,
        or_(broadcasts.c.users.is_(None), listed),
        or_(dispatches.c.state != DispatchState.CANCELLED, was_got_to),
    )
    return found.correlate_except(broadcasts, dispatches)


def end_overtaken(dispatch: str, topic: Topic, ids: Collection[str], now_ms: int) -> Update:
    """Return the statement that ends what may be sent to some subscriptions and is older than a message of its topic.

    Args:
        dispatch: The message's.
        topic: Its topic.
        ids: The subscriptions.
        now_ms: The time.
    """
    # An expression, so that the index of what is not settled is searched: in the other one is all that ever was.
    precedence = func.coalesce(deliveries.c.precedence, 0)
    is_older = or_(
        precedence < topic.precedence, and_(precedence == topic.precedence, deliveries.c.dispatch < dispatch)
    )
    return _end(Outcome.SUPERSEDED, _SUPERSEDED, now_ms).where(
        deliveries.c.subscription.in_(ids),
        deliveries.c.topic == topic.name,
        # The words of the partial index.
        deliveries.c.topic.is_not(None),
        deliveries.c.next_attempt_at.is_not(None),
        is_older,
    )


def end_expired(
    now_ms: int | BindParameter[int], limit: int | BindParameter[int], waits: Mapping[Service, str]
) -> Update:
    """Return the statement that ends what nobody works on and whose time is over, the longest past first."""
    first = (
        select(deliveries.c.id)
        .select_from(dispatches.join(deliveries, deliveries.c.dispatch == dispatches.c.id))
        .where(
            IS_SENDING,
            dispatches.c.expires_at <= now_ms,
            deliveries.c.next_attempt_at.is_not(None),
            deliveries.c.claim_id.is_(None),
        )
        .order_by(dispatches.c.expires_at)
        .limit(limit)
    )
    statement = _end(Outcome.EXPIRED, _EXPIRED, now_ms).where(deliveries.c.id.in_(first))
    if not waits:
        return statement
    why = [
        (deliveries.c.service == service, _said(f"{_EXPIRED}{LAST}{wait}", BEFORE)) for service, wait in waits.items()
    ]
    return statement.values(reason=case(*why, else_=_said(_EXPIRED, LAST)))


def end_all_of(dispatch: str, now_ms: int) -> Update:
    """Return the statement that ends all that may still be sent of a dispatch."""
    return _end(Outcome.CANCELLED, CANCELLED, now_ms).where(
        deliveries.c.dispatch == dispatch, deliveries.c.next_attempt_at.is_not(None)
    )


def _end(outcome: Outcome, reason: str, now_ms: int | BindParameter[int]) -> Update:
    return (
        update(deliveries)
        .values(outcome=outcome, reason=_said(reason, LAST), next_attempt_at=None, awaits_key=None, at=now_ms)
        .returning(deliveries)
    )


def _said(reason: str, between: str) -> ColumnElement[str]:
    """Return a reason, with what was said before it, if anything was."""
    return case((deliveries.c.reason == "", reason), else_=f"{reason}{between}" + deliveries.c.reason)


async def ended_of(transaction: Transaction, rows: Sequence[Row[Any]]) -> Ended:
    """Return what has ended by a statement of this module, with the dispatches that it ends, in its transaction."""
    waiting = [row for row in rows if row.claim_id is None]
    return Ended(
        waiting=tuple(to_delivery(row) for row in waiting),
        claimed=frozenset(row.id for row in rows if row.claim_id is not None),
        done=await finish(transaction, {row.dispatch for row in waiting}),
    )


def _is_worked_on() -> ColumnElement[bool]:
    unsettled = exists().where(
        deliveries.c.dispatch == dispatches.c.id,
        or_(deliveries.c.outcome.in_(UNSETTLED), deliveries.c.claim_id.is_not(None)),
    )
    # Of a broadcast, until everybody was got to.
    return or_(unsettled, exists().where(broadcasts.c.dispatch == dispatches.c.id, broadcasts.c.reached_at.is_(None)))


# Built once: to build one of these costs more than to execute it, and each is executed for every few notifications.
_END_OLDER: Final = Prepared(
    end_older(bindparam("devices", expanding=True), bindparam("pairs", expanding=True), bindparam("now"))
)
_END_EXPIRED: Final = Prepared(end_expired(bindparam("now"), bindparam("most"), {}))
NEXT_EXPIRY: Final = select(func.min(dispatches.c.expires_at)).where(IS_SENDING)
"""When the time of the next dispatch is over that is being sent."""
# In one row: for each that it takes from the driver, the database's thread would give up the interpreter's lock.
_SELECT_ENDING: Final = Prepared(
    select(func.json_group_array(func.json_array(*(dispatches.c[name] for name in _TOLD))).label("told")).where(
        dispatches.c.id.in_(bindparam("touched", expanding=True)),
        dispatches.c.state == DispatchState.SENDING,
        ~_is_worked_on(),
    )
)
_FINISH: Final = Prepared(
    update(dispatches).where(dispatches.c.id.in_(bindparam("ids", expanding=True))).values(state=DispatchState.DONE)
)
