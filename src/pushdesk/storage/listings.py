"""Pages of what is stored, by keyset: a page costs the same wherever it is, and rows that come and go disturb none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
from msgspec import Meta
from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_

from pushdesk.errors import PushdeskError
from pushdesk.model import Dispatch, KeyState, Outcome, Page, Service, SubscriptionState, User, VapidKey
from pushdesk.paging import Order
from pushdesk.storage.rows import to_delivery, to_dispatch, to_subscription
from pushdesk.storage.schema import deliveries, dispatches, subscriptions, user_state, vapid_keys
from pushdesk.storage.times import to_datetime, to_datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Row
    from sqlalchemy.ext.asyncio import AsyncConnection

    from pushdesk.model import Delivery, PageQuery, Subscription
    from pushdesk.storage.database import Database
    from pushdesk.storage.transaction import Snapshot

T = TypeVar("T")

OF_SUBSCRIPTION = "subscription:"
"""How a filter of deliveries begins that is meant for one subscription."""
LAST_CHARACTER = "\U0010ffff"
DELIVERIES_SHOWN = 200
"""How many deliveries a dispatch shows of itself."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """What can be listed: by which column the rows are told apart, and by which they can be sorted."""

    id: ColumnElement[Any]
    sorts: Mapping[str, ColumnElement[Any]]
    default: str


_SortKey = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | str
"""What rows are sorted by; a number is one that a database holds."""

_USERS = _Listing(
    user_state.c.user, {"id": user_state.c.user, "created_at": user_state.c.created_at}, default="-created_at"
)
_SUBSCRIPTIONS = _Listing(
    subscriptions.c.id,
    {
        "created_at": subscriptions.c.created_at,
        "user": subscriptions.c.user,
        "state": subscriptions.c.state,
        "service": subscriptions.c.service,
        "failures": subscriptions.c.failures,
        "last_success_at": func.coalesce(subscriptions.c.last_success_at, 0),
    },
    default="-created_at",
)
_DELIVERIES = _Listing(deliveries.c.id, {"at": deliveries.c.at}, default="-at")
_KEYS = _Listing(
    vapid_keys.c.id,
    {"created_at": vapid_keys.c.created_at, "id": vapid_keys.c.id, "state": vapid_keys.c.state},
    default="-created_at",
)
_DISPATCHES = _Listing(dispatches.c.id, {"accepted_at": dispatches.c.accepted_at}, default="-accepted_at")


class Listings:
    """Reads pages of users, subscriptions, deliveries and dispatches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def users(self, query: PageQuery) -> Page[User]:
        """List users; the filter is a prefix of the id.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        mine = subscriptions.c.user == user_state.c.user
        count = select(func.count()).where(mine, subscriptions.c.state == SubscriptionState.ACTIVE).scalar_subquery()
        last = select(func.max(subscriptions.c.last_success_at)).where(mine).scalar_subquery()
        statement = select(user_state, count.label("devices"), last.label("last"))
        if query.filter:
            statement = statement.where(_starts_with(user_state.c.user, query.filter))
        return await self._page(_USERS, statement, query, _to_user)

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions; the filter is a part of the user's id.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        statement = select(subscriptions)
        if query.filter:
            statement = statement.where(_contains(subscriptions.c.user, query.filter))
        return await self._page(_SUBSCRIPTIONS, statement, query, to_subscription)

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries; the filter is an outcome, `subscription:` and an id, or a part of the user's id.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        statement = select(deliveries)
        if query.filter in set(Outcome):
            statement = statement.where(deliveries.c.outcome == query.filter)
        elif query.filter.startswith(OF_SUBSCRIPTION):
            statement = statement.where(deliveries.c.subscription == query.filter.removeprefix(OF_SUBSCRIPTION))
        elif query.filter:
            statement = statement.where(_contains(deliveries.c.user, query.filter))
        return await self._page(_DELIVERIES, statement, query, to_delivery)

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries; the filter is a part of the user's id or of the title.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        statement = select(dispatches)
        if query.filter:
            found = or_(_contains(dispatches.c.user, query.filter), _contains(dispatches.c.title, query.filter))
            statement = statement.where(found)
        async with self._database.snapshot() as snapshot:
            page = await _read_page(snapshot, _DISPATCHES, statement, query, to_dispatch)
            counts = await read_counts(snapshot, [dispatch.id for dispatch in page.items])
        items = (msgspec.structs.replace(dispatch, counts=counts.get(dispatch.id, {})) for dispatch in page.items)
        return Page(tuple(items), page.next)

    async def keys(self, query: PageQuery) -> Page[VapidKey]:
        """List VAPID keys, their subscriptions not counted; the filter is a prefix of the id.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
            DatabaseError: They could not be read.
        """
        # Without their private halves: nobody who looks needs them.
        columns = [column for column in vapid_keys.c if column is not vapid_keys.c.private_key]
        statement = select(*columns)
        if query.filter:
            statement = statement.where(_starts_with(vapid_keys.c.id, query.filter))
        return await self._page(_KEYS, statement, query, _to_key)

    async def dispatch(self, dispatch: str, cursor: str | None = None) -> Dispatch:
        """Return a dispatch with the counts of all its deliveries and a page of them, all as of one moment.

        Args:
            dispatch: Its id.
            cursor: `next` of the page before, for the one after it.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        mine = deliveries.c.dispatch == dispatch
        async with self._database.snapshot() as snapshot:
            row = (await snapshot.execute(select(dispatches).where(dispatches.c.id == dispatch))).one_or_none()
            if row is None:
                raise PushdeskError("There is no such dispatch.", code="not_found")
            after = mine if cursor is None else and_(mine, deliveries.c.id > cursor)
            page = await snapshot.execute(
                select(deliveries).where(after).order_by(deliveries.c.id).limit(DELIVERIES_SHOWN + 1)
            )
            shown = [to_delivery(delivery) for delivery in page]
            counts = await read_counts(snapshot, [dispatch])
        more = len(shown) > DELIVERIES_SHOWN
        return msgspec.structs.replace(
            to_dispatch(row),
            counts=counts.get(dispatch, {}),
            deliveries=tuple(shown[:DELIVERIES_SHOWN]),
            next=shown[DELIVERIES_SHOWN - 1].id if more else None,
        )

    async def _page(
        self, listing: _Listing, statement: Select[Any], query: PageQuery, convert: Callable[[Row[Any]], T]
    ) -> Page[T]:
        async with self._database.read() as connection:
            return await _read_page(connection, listing, statement, query, convert)


async def _read_page(
    connection: AsyncConnection | Snapshot,
    listing: _Listing,
    statement: Select[Any],
    query: PageQuery,
    convert: Callable[[Row[Any]], T],
) -> Page[T]:
    order = Order.of(query, listing.sorts, default=listing.default)
    column = listing.sorts[order.field]
    key = tuple_(column, listing.id)
    if query.cursor is not None:
        after = tuple_(*(literal(value) for value in order.place(query.cursor, _SortKey, str)))
        statement = statement.where(key < after if order.is_descending else key > after)
    statement = (
        statement.add_columns(column.label("sort_key"), listing.id.label("row_key"))
        .order_by(*((column.desc(), listing.id.desc()) if order.is_descending else (column, listing.id)))
        .limit(query.limit + 1)
    )
    rows = (await connection.execute(statement)).all()
    shown = rows[: query.limit]
    more = len(rows) > query.limit
    return Page(
        tuple(convert(row) for row in shown),
        order.cursor(shown[-1].sort_key, shown[-1].row_key) if more else None,
    )


async def read_counts(snapshot: Snapshot, ids: Sequence[str]) -> dict[str, dict[Outcome, int]]:
    """Return what the deliveries of dispatches have come to, by dispatch."""
    statement = (
        select(deliveries.c.dispatch, deliveries.c.outcome, func.count().label("number"))
        .where(deliveries.c.dispatch.in_(ids))
        .group_by(deliveries.c.dispatch, deliveries.c.outcome)
    )
    counts: dict[str, dict[Outcome, int]] = {}
    for row in await snapshot.execute(statement):
        counts.setdefault(row.dispatch, {})[Outcome(row.outcome)] = row.number
    return counts


def _contains(column: ColumnElement[Any], part: str) -> ColumnElement[bool]:
    # Not LIKE: SQLite's takes no notice of case, and ids do.
    return func.replace(column, part, "") != column


def _starts_with(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    # A range, so that an index finds it.
    return and_(column >= prefix, column < prefix + LAST_CHARACTER)


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
    return User(row.user, to_datetime(row.created_at), row.devices, to_datetime_or_none(row.last))
