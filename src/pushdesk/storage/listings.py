"""What of the database can be listed: users, subscriptions, deliveries, dispatches, keys."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import and_, func, or_, select, text

from pushdesk.model import Dispatch, DispatchState, KeyState, Outcome, Page, Service, SubscriptionState, User, VapidKey
from pushdesk.storage.broadcast_counts import read_unwritten
from pushdesk.storage.key_bindings import is_live
from pushdesk.storage.pages import Listing, Sort, Wanted, having, read_page
from pushdesk.storage.retention import not_kept
from pushdesk.storage.rows import to_delivery, to_dispatch, to_subscription
from pushdesk.storage.schema import (
    HAS_FAILED,
    IS_NOT_ACTIVE,
    deliveries,
    dispatches,
    subscriptions,
    user_state,
    vapid_keys,
)
from pushdesk.storage.times import to_datetime, to_datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from sqlalchemy import Row, Select

    from pushdesk.model import Delivery, PageQuery, Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Snapshot

    T = TypeVar("T")

OF_SUBSCRIPTION = "subscription:"
"""How a filter of deliveries begins that is meant for one subscription."""
OF_STATE = "state:"
"""How a filter of dispatches begins that is meant for those in one state."""
DELIVERIES_SHOWN = 200
"""How many deliveries a dispatch shows of itself."""
LATELY = 20
"""Deliveries of a user that are looked at for when they were last reached, and when they were not; the latest."""
FAILURES = (
    Outcome.GONE,
    Outcome.KEY_MISMATCH,
    Outcome.REFUSED,
    Outcome.OUR_CONFIGURATION,
    Outcome.THROTTLED,
    Outcome.TRANSIENT,
    Outcome.EXPIRED,
)
"""What comes of an attempt that failed."""

_USERS: Final = Listing(
    user_state.c.user,
    {"id": Sort(user_state.c.user), "created_at": Sort(user_state.c.created_at)},
    default="-created_at",
)
_SUBSCRIPTIONS: Final = Listing(
    subscriptions.c.id,
    {
        # Ids sort by the time they were made.
        "created_at": Sort(subscriptions.c.id),
        "user": Sort(subscriptions.c.user),
        "state": Sort(subscriptions.c.state, lowest=SubscriptionState.ACTIVE.value, others=IS_NOT_ACTIVE),
        "service": Sort(subscriptions.c.service),
        "failures": Sort(subscriptions.c.failures, lowest=0, others=HAS_FAILED),
    },
    default="-created_at",
)
_DELIVERIES: Final = Listing(deliveries.c.id, {"at": Sort(deliveries.c.at)}, default="-at")
_DISPATCHES: Final = Listing(dispatches.c.id, {"accepted_at": Sort(dispatches.c.id)}, default="-accepted_at")
_KEYS: Final = Listing(
    vapid_keys.c.id,
    {"created_at": Sort(vapid_keys.c.created_at), "id": Sort(vapid_keys.c.id), "state": Sort(vapid_keys.c.state)},
    default="-created_at",
)


class Listings:
    """Reads pages of users, subscriptions, deliveries and dispatches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def users(self, query: PageQuery) -> Page[User]:
        """List users; the filter is a part of the id (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        mine = subscriptions.c.user == user_state.c.user
        live = select(func.count()).where(mine, is_live()).scalar_subquery()
        last = select(func.max(subscriptions.c.last_success_at)).where(mine).scalar_subquery()
        last_failure = select(func.max(subscriptions.c.last_failure_at)).where(mine).scalar_subquery()
        # A browser that subscribes anew is a subscription without a past: what was sent before tells of it.
        lately = select(deliveries.c.id).where(deliveries.c.user == user_state.c.user)
        lately = lately.order_by(deliveries.c.id.desc()).limit(LATELY).correlate(user_state)
        latest = select(func.max(deliveries.c.at)).where(deliveries.c.id.in_(lately))
        latest = latest.correlate(user_state)
        accepted = latest.where(deliveries.c.outcome == Outcome.ACCEPTED)
        failed = latest.where(deliveries.c.outcome.in_(FAILURES), deliveries.c.attempts > 0)
        rows = select(
            user_state,
            live.label("devices"),
            last.label("last"),
            last_failure.label("last_failure"),
            accepted.scalar_subquery().label("accepted"),
            failed.scalar_subquery().label("failed"),
        )
        return await self._page(_USERS, having(user_state.c.user, query.filter), query, rows, _to_user)

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions; the filter is a part of the user's id (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        wanted = having(subscriptions.c.user, query.filter)
        return await self._page(_SUBSCRIPTIONS, wanted, query, select(subscriptions), to_subscription)

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries; the filter is an outcome, `subscription:` and an id, or a part of the user's id (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        if query.filter in set(Outcome):
            wanted = Wanted(deliveries.c.outcome == query.filter)
        elif query.filter.startswith(OF_SUBSCRIPTION):
            wanted = Wanted(deliveries.c.subscription == query.filter.removeprefix(OF_SUBSCRIPTION))
        else:
            wanted = having(deliveries.c.user, query.filter)
        return await self._page(_DELIVERIES, wanted, query, select(deliveries), to_delivery)

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries.

        The filter is `state:` and a state, or a part of the user's id or the title (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        of_user, of_title = (having(column, query.filter) for column in (dispatches.c.user, dispatches.c.title))
        wanted = Wanted()
        if query.filter.startswith(OF_STATE):
            wanted = _in_state(query.filter.removeprefix(OF_STATE))
        elif of_user.test is not None and of_title.test is not None:
            wanted = Wanted(or_(of_user.test, of_title.test))
        # Without their messages: nobody who looks needs them.
        rows = select(*(column for column in dispatches.c if column is not dispatches.c.message))
        async with self._database.snapshot() as snapshot:
            page = await read_page(snapshot, _DISPATCHES, wanted, query, rows, to_dispatch)
            counts = await read_counts(snapshot, [dispatch.id for dispatch in page.items])
        items = (msgspec.structs.replace(dispatch, counts=counts.get(dispatch.id, {})) for dispatch in page.items)
        return Page(tuple(items), page.next)

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys, their subscriptions not counted; the filter is a part of the id (`filters`).

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        wanted = having(vapid_keys.c.id, query.filter)
        # Without their private halves: nobody who looks needs them.
        rows = select(*(column for column in vapid_keys.c if column is not vapid_keys.c.private_key))
        return await self._page(_KEYS, wanted, query, rows, _to_key)

    async def dispatch(self, dispatch: str, cursor: str | None = None) -> Dispatch:
        """Return a dispatch with the counts of all its deliveries and a page of them, all as of one moment.

        Args:
            dispatch: Its id.
            cursor: `next` of the page before, for the one after it.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        return await self._database.look(partial(_look_at, dispatch=dispatch, cursor=cursor))

    async def _page(
        self, listing: Listing, wanted: Wanted, query: PageQuery, rows: Select[Any], convert: Callable[[Row[Any]], T]
    ) -> Page[T]:
        async with self._database.snapshot() as snapshot:
            return await read_page(snapshot, listing, wanted, query, rows, convert)


def _in_state(state: str) -> Wanted:
    mine = dispatches.c.state == state
    if state not in {DispatchState.SCHEDULED, DispatchState.QUEUED}:
        return Wanted(mine)
    # In the words of their index: these are few among all.
    return Wanted(mine, dispatches.c.due_at, and_(text("state IN ('queued', 'scheduled')"), mine))


async def _look_at(snapshot: Snapshot, dispatch: str, cursor: str | None) -> Dispatch:
    """Return a dispatch with a page of its deliveries, as the snapshot sees it; see `Listings.dispatch`."""
    mine = deliveries.c.dispatch == dispatch
    row = (await snapshot.execute(select(dispatches).where(dispatches.c.id == dispatch))).one_or_none()
    if row is None:
        raise not_kept("dispatch")
    after = mine if cursor is None else and_(mine, deliveries.c.id > cursor)
    page = await snapshot.execute(select(deliveries).where(after).order_by(deliveries.c.id).limit(DELIVERIES_SHOWN + 1))
    shown = [to_delivery(delivery) for delivery in page]
    counts = await read_counts(snapshot, [dispatch])
    more = len(shown) > DELIVERIES_SHOWN
    return msgspec.structs.replace(
        to_dispatch(row),
        counts=counts.get(dispatch, {}),
        deliveries=tuple(shown[:DELIVERIES_SHOWN]),
        next=shown[DELIVERIES_SHOWN - 1].id if more else None,
    )


async def read_counts(snapshot: Snapshot, ids: Sequence[str]) -> dict[str, dict[Outcome, int]]:
    """Return what dispatches have come to, by dispatch: their deliveries, and of broadcasts all that has none."""
    statement = (
        select(deliveries.c.dispatch, deliveries.c.outcome, func.count().label("number"))
        .where(deliveries.c.dispatch.in_(ids))
        .group_by(deliveries.c.dispatch, deliveries.c.outcome)
    )
    counts: dict[str, dict[Outcome, int]] = {}
    for row in await snapshot.execute(statement):
        counts.setdefault(row.dispatch, {})[Outcome(row.outcome)] = row.number
    for dispatch, others in (await read_unwritten(snapshot, ids)).items():
        counts[dispatch] = dict(others + Counter(counts.get(dispatch, {})))
    return counts


def _to_key(row: Row[Any]) -> VapidKey:
    state = KeyState(row.state)
    is_retiring = state is KeyState.RETIRING
    return VapidKey(
        id=row.id,
        public_key=row.public_key,
        state=state,
        created_at=to_datetime(row.created_at),
        retiring_at=to_datetime_or_none(row.retiring_at) if is_retiring else None,
        before=msgspec.json.decode(row.bound_before or "{}", type=dict[Service, int]) if is_retiring else {},
    )


def _to_user(row: Row[Any]) -> User:
    return User(
        row.user,
        to_datetime(row.created_at),
        row.devices,
        to_datetime_or_none(_latest(row.last, row.accepted)),
        to_datetime_or_none(_latest(row.last_failure, row.failed)),
    )


def _latest(*times: int | None) -> int | None:
    return max((time for time in times if time is not None), default=None)
