"""Pages of what is stored, by keyset: a page costs the same wherever it is, and rows that come and go disturb none."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Select, func, literal, or_, select, tuple_

from pushdesk.errors import PushdeskError
from pushdesk.model import Dispatch, Outcome, Page, SubscriptionState, User
from pushdesk.storage.rows import to_delivery, to_dispatch, to_subscription
from pushdesk.storage.schema import deliveries, dispatches, subscriptions, user_state
from pushdesk.storage.times import to_datetime, to_datetime_or_none

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Row

    from pushdesk.model import Delivery, PageQuery, Subscription
    from pushdesk.storage.database import Database

T = TypeVar("T")

DELIVERIES_SHOWN = 200
"""How many deliveries a dispatch shows of itself."""


@dataclass(frozen=True, slots=True)
class _Listing:
    """What can be listed: by which column the rows are told apart, and by which they can be sorted."""

    id: ColumnElement[Any]
    sorts: Mapping[str, ColumnElement[Any]]
    default: str


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
_DISPATCHES = _Listing(dispatches.c.id, {"accepted_at": dispatches.c.accepted_at}, default="-accepted_at")


class Listings:
    """Reads pages of users, subscriptions, deliveries and dispatches."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def users(self, query: PageQuery) -> Page[User]:
        """List users; the filter is a prefix of the id.

        Raises:
            PushdeskError: `bad_field` for a cursor or a sort that is not known.
            DatabaseError: They could not be read.
        """
        mine = subscriptions.c.user == user_state.c.user
        count = select(func.count()).where(mine, subscriptions.c.state == SubscriptionState.ACTIVE).scalar_subquery()
        last = select(func.max(subscriptions.c.last_success_at)).where(mine).scalar_subquery()
        statement = select(user_state, count.label("devices"), last.label("last"))
        if query.filter:
            statement = statement.where(user_state.c.user.startswith(query.filter, autoescape=True))
        return await self._page(_USERS, statement, query, _to_user)

    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        """List subscriptions; the filter is a part of the user's id.

        Raises:
            PushdeskError: `bad_field` for a cursor or a sort that is not known.
            DatabaseError: They could not be read.
        """
        statement = select(subscriptions)
        if query.filter:
            statement = statement.where(subscriptions.c.user.contains(query.filter, autoescape=True))
        return await self._page(_SUBSCRIPTIONS, statement, query, to_subscription)

    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        """List deliveries; the filter is a part of the user's id, or an outcome.

        Raises:
            PushdeskError: `bad_field` for a cursor or a sort that is not known.
            DatabaseError: They could not be read.
        """
        statement = select(deliveries)
        if query.filter in set(Outcome):
            statement = statement.where(deliveries.c.outcome == query.filter)
        elif query.filter:
            statement = statement.where(deliveries.c.user.contains(query.filter, autoescape=True))
        return await self._page(_DELIVERIES, statement, query, to_delivery)

    async def dispatches(self, query: PageQuery) -> Page[Dispatch]:
        """List dispatches without their deliveries; the filter is a part of the user's id or of the title.

        Raises:
            PushdeskError: `bad_field` for a cursor or a sort that is not known.
            DatabaseError: They could not be read.
        """
        statement = select(dispatches)
        if query.filter:
            found = [
                column.contains(query.filter, autoescape=True) for column in (dispatches.c.user, dispatches.c.title)
            ]
            statement = statement.where(or_(*found))
        return await self._page(_DISPATCHES, statement, query, to_dispatch)

    async def dispatch(self, dispatch: str) -> Dispatch:
        """Return a dispatch with its first deliveries and the counts of all.

        Raises:
            PushdeskError: `not_found`.
            DatabaseError: It could not be read.
        """
        mine = deliveries.c.dispatch == dispatch
        async with self._database.read() as connection:
            row = (await connection.execute(select(dispatches).where(dispatches.c.id == dispatch))).one_or_none()
            if row is None:
                raise PushdeskError("There is no such dispatch.", code="not_found")
            counts = await connection.execute(
                select(deliveries.c.outcome, func.count().label("count")).where(mine).group_by(deliveries.c.outcome)
            )
            first = await connection.execute(
                select(deliveries).where(mine).order_by(deliveries.c.id).limit(DELIVERIES_SHOWN + 1)
            )
            shown = [to_delivery(delivery) for delivery in first]
        more = len(shown) > DELIVERIES_SHOWN
        return msgspec.structs.replace(
            to_dispatch(row),
            counts={Outcome(count.outcome): count[1] for count in counts},
            deliveries=tuple(shown[:DELIVERIES_SHOWN]),
            next=shown[DELIVERIES_SHOWN - 1].id if more else None,
        )

    async def _page(
        self, listing: _Listing, statement: Select[Any], query: PageQuery, convert: Callable[[Row[Any]], T]
    ) -> Page[T]:
        sort = query.sort or listing.default
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        column = listing.sorts.get(name)
        if column is None:
            raise PushdeskError(
                f"sort cannot be {name!r}.",
                code="bad_field",
                fields=("sort",),
                hint=f"It is one of {', '.join(listing.sorts)}, '-' before it for descending.",
            )
        key = tuple_(column, listing.id)
        if query.cursor is not None:
            after = tuple_(*(literal(value) for value in _decode(query.cursor)))
            statement = statement.where(key < after if descending else key > after)
        order = (column.desc(), listing.id.desc()) if descending else (column, listing.id)
        statement = (
            statement.add_columns(column.label("sort_key"), listing.id.label("row_key"))
            .order_by(*order)
            .limit(query.limit + 1)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        shown = rows[: query.limit]
        more = len(rows) > query.limit
        return Page(
            tuple(convert(row) for row in shown),
            _encode(shown[-1].sort_key, shown[-1].row_key) if more else None,
        )


def _encode(value: object, identity: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((value, identity))).decode().rstrip("=")


def _decode(cursor: str) -> tuple[int | str, str]:
    try:
        return msgspec.json.decode(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True),
            type=tuple[int | str, str],
        )
    except (binascii.Error, ValueError) as error:
        raise PushdeskError(
            "cursor is not one that this listing gave.",
            code="bad_field",
            fields=("cursor",),
            hint="Take it from `next` of the page before, or leave it out for the first page.",
        ) from error


def _to_user(row: Row[Any]) -> User:
    return User(row.user, to_datetime(row.created_at), row.devices, to_datetime_or_none(row.last))
