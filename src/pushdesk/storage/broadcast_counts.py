"""What became of broadcasts: the numbers of their chunks, and the deliveries of those who are in none of these."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from pushdesk.model import DispatchState, Outcome, Service
from pushdesk.storage.records import StoredBroadcast, Topic
from pushdesk.storage.rows import to_dispatch, to_plan
from pushdesk.storage.schema import broadcasts, chunks, deliveries, dispatches

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import Row, Select

    from pushdesk.storage.transaction import Snapshot, Transaction


async def read_stored(snapshot: Snapshot, ids: Collection[str]) -> dict[str, StoredBroadcast]:
    """Return broadcasts by their ids, with what became of them so far."""
    rows = (await snapshot.execute(_select_broadcasts(ids))).all()
    done: dict[str, dict[Service, int]] = {}
    counts = unwritten(rows)
    for row in await snapshot.execute(_sum_chunks(ids)):
        done.setdefault(row.dispatch, {})[Service(row.service)] = row.recipients
        counts[row.dispatch].update(_of_chunks(row))
    settled_at: dict[str, int] = {}
    mine = deliveries.c.dispatch.in_(ids)
    became = select(
        deliveries.c.dispatch, deliveries.c.outcome, func.count().label("number"), func.max(deliveries.c.at).label("at")
    )
    for row in await snapshot.execute(became.where(mine).group_by(deliveries.c.dispatch, deliveries.c.outcome)):
        counts[row.dispatch][Outcome(row.outcome)] += row.number
        settled_at[row.dispatch] = max(row.at, settled_at.get(row.dispatch, 0))
    return {
        row.id: StoredBroadcast(
            dispatch=to_dispatch(row),
            due_at_ms=row.due_at,
            expires_at_ms=row.expires_at,
            topic=None if row.topic is None else Topic(row.topic, row.precedence),
            users=row.users,
            plan=to_plan(row),
            done=done.get(row.id, {}),
            counts=+counts[row.id],
            unreached=row.unreached,
            paused_at_ms=row.paused_at,
            started_at_ms=row.started_at,
            reached_at_ms=row.reached_at,
            settled_at_ms=settled_at.get(row.id),
        )
        for row in rows
    }


async def read_unwritten(snapshot: Snapshot, ids: Collection[str]) -> dict[str, Counter[Outcome]]:
    """Return what of broadcasts among some dispatches has no delivery: for the counts of dispatches."""
    counts = unwritten((await snapshot.execute(_select_broadcasts(ids))).all())
    if counts:
        for row in await snapshot.execute(_sum_chunks(counts)):
            counts[row.dispatch].update(_of_chunks(row))
    return {dispatch: +counted for dispatch, counted in counts.items()}


def unwritten(rows: Collection[Row[Any]]) -> dict[str, Counter[Outcome]]:
    """Return how many of broadcasts were never got to, by what they came to for that."""
    return {
        row.id: Counter({Outcome.CANCELLED if row.state == DispatchState.CANCELLED else Outcome.EXPIRED: row.unreached})
        for row in rows
    }


async def end_reaching(transaction: Transaction, dispatch: str, now_ms: int, *, is_complete: bool) -> None:
    """Note that nobody more of a broadcast is got to, in the caller's transaction; nothing for other dispatches.

    Args:
        transaction: The caller's.
        dispatch: Its id.
        now_ms: The time.
        is_complete: Whether everybody was, but for those who were removed before their turn came.
    """
    mine = (broadcasts.c.dispatch == dispatch, broadcasts.c.reached_at.is_(None))
    row = (await transaction.execute(select(broadcasts).where(*mine))).one_or_none()
    if row is None:
        return
    unreached = 0
    if not is_complete:
        planned = to_plan(row).planned
        got_to = {part.service: part.recipients for part in await transaction.execute(_sum_chunks([dispatch]))}
        unreached = sum(max(0, number - got_to.get(service, 0)) for service, number in planned.items())
    await transaction.execute(update(broadcasts).where(*mine).values(reached_at=now_ms, unreached=unreached))


def _select_broadcasts(ids: Collection[str]) -> Select[Any]:
    # Without their messages: nobody who looks needs them.
    columns = [column for column in dispatches.c if column is not dispatches.c.message]
    others = [column for column in broadcasts.c if column is not broadcasts.c.dispatch]
    joined = broadcasts.join(dispatches, dispatches.c.id == broadcasts.c.dispatch)
    return select(*columns, *others).select_from(joined).where(broadcasts.c.dispatch.in_(ids))


def _sum_chunks(ids: Collection[str]) -> Select[Any]:
    numbers = (chunks.c.recipients, chunks.c.accepted, chunks.c.superseded)
    return (
        select(chunks.c.dispatch, chunks.c.service, *(func.sum(number).label(number.name) for number in numbers))
        .where(chunks.c.dispatch.in_(ids))
        .group_by(chunks.c.dispatch, chunks.c.service)
    )


def _of_chunks(row: Row[Any]) -> Mapping[Outcome, int]:
    return {Outcome.ACCEPTED: int(row.accepted), Outcome.SUPERSEDED: int(row.superseded)}
