"""What is read of broadcasts to explain why a device did not get one: the newest for its user, and how far it is.

Of a device that was accepted for there is no delivery: that its stretch is settled is all that is known. Whom a list
named is known while somebody on it is still to be got to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, or_, select

from pushdesk.model import DispatchState
from pushdesk.storage.rows import to_dispatch, ttl_s_of
from pushdesk.storage.schema import broadcast_users, broadcasts, chunks, dispatches, subscriptions
from pushdesk.storage.sendings import Sending, moment
from pushdesk.storage.times import to_datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy import Select

    from pushdesk.storage.transaction import Snapshot

BROADCASTS_LOOKED_THROUGH: Final = 20
"""How many of the newest broadcasts are looked through."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How the newest broadcast that is for a user stands to one of their devices."""

    sending: Sending
    is_for: bool
    """Whether the device was there when it was accepted."""
    is_settled: bool
    """Whether the stretch of its recipients that the device is in was sent to."""
    paused_at: datetime | None = None
    reached_at: datetime | None = None
    """When everybody had been got to, or would not be any more."""
    is_cut_short: bool = False
    """Whether somebody was not got to."""


async def read_reach(snapshot: Snapshot, user: str, devices: Collection[str]) -> dict[str, Reach]:
    """Return how the broadcast that was due last stands to devices of a user, by their ids; nothing without one."""
    rows = (await snapshot.execute(select_broadcasts(user))).all()
    last = max(rows, key=lambda row: (row.due_at, row.id), default=None)
    if last is None:
        return {}
    sending = Sending(to_dispatch(last), moment(last.due_at), moment(last.expires_at), ttl_s_of(last))
    settled = await snapshot.execute(select_stretches(last.id, devices))
    return {
        row.id: Reach(
            sending,
            is_for=row.id <= last.last_subscription,
            is_settled=row.last is not None and row.id <= row.last,
            paused_at=to_datetime_or_none(last.paused_at),
            reached_at=to_datetime_or_none(last.reached_at),
            is_cut_short=last.unreached > 0,
        )
        for row in settled
    }


def select_broadcasts(user: str) -> Select[Any]:
    """Return the statement for the newest broadcasts that are for a user, as far as that is known, and begun."""
    newest = select(broadcasts.c.dispatch).order_by(broadcasts.c.dispatch.desc()).limit(BROADCASTS_LOOKED_THROUGH)
    listed = select(broadcast_users.c.user).where(
        broadcast_users.c.dispatch == broadcasts.c.dispatch, broadcast_users.c.user == user
    )
    columns = [column for column in dispatches.c if column is not dispatches.c.message]
    others = [column for column in broadcasts.c if column is not broadcasts.c.dispatch]
    return (
        select(*columns, *others)
        .select_from(broadcasts.join(dispatches, dispatches.c.id == broadcasts.c.dispatch))
        .where(
            broadcasts.c.dispatch.in_(newest),
            dispatches.c.state != DispatchState.SCHEDULED,
            or_(broadcasts.c.users.is_(None), listed.exists()),
        )
    )


def select_stretches(dispatch: str, devices: Collection[str]) -> Select[Any]:
    """Return the statement for the end of the last settled stretch of a broadcast that begins before each device."""
    begun = and_(
        chunks.c.dispatch == dispatch, chunks.c.service == subscriptions.c.service, chunks.c.after < subscriptions.c.id
    )
    last = select(chunks.c.last).where(begun).order_by(chunks.c.after.desc()).limit(1).correlate(subscriptions)
    return select(subscriptions.c.id, last.scalar_subquery().label("last")).where(subscriptions.c.id.in_(devices))
