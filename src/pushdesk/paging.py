"""Pages by keyset: what comes and goes between two pages disturbs neither. `Order` is for all, `Listing` for memory.

`every` is for whoever wants all pages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from pushdesk.errors import PushdeskError
from pushdesk.model import Page, PageQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
    from typing import Self

T = TypeVar("T")


class Order(NamedTuple):
    """What a page is a page of: a cursor belongs to it, and is refused by any other."""

    field: str
    is_descending: bool
    filter: str
    """A digest."""

    @classmethod
    def of(cls, query: PageQuery, sorts: Collection[str], *, default: str) -> Self:
        """Return what a query asks for.

        Args:
            query: It.
            sorts: The fields that can be sorted by.
            default: The sort where none is asked for.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known.
        """
        sort = query.sort or default
        field = sort.removeprefix("-")
        if field not in sorts:
            raise PushdeskError(
                f"sort cannot be {sort!r}.",
                code="bad_field",
                fields=("sort",),
                hint=f"It is one of {', '.join(sorts)}, '-' before it for descending.",
            )
        return cls(field, sort.startswith("-"), hashlib.sha256(query.filter.encode()).hexdigest()[:8])

    def cursor(self, value: float | str, identity: int | str) -> str:
        """Return what the next page is asked for with, by the place of this one's last item."""
        return base64.urlsafe_b64encode(msgspec.json.encode((self, value, identity))).decode().rstrip("=")

    def place(self, cursor: str, value: object, identity: object) -> tuple[Any, Any]:
        """Return the place that a cursor stands for: the value that was sorted by, and what tells items apart.

        Args:
            cursor: As it was sent.
            value: The type of the first.
            identity: The type of the second.

        Raises:
            PushdeskError: `bad_field` for a cursor that was not given, or belongs to another order.
        """
        shape: Any = tuple[value, identity]  # type: ignore[valid-type]  # made at run time, for the decoder
        try:
            document = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            order, *place = msgspec.json.decode(document, type=tuple[Order, Any, Any])
            if order != self:
                raise _bad_cursor(f"belongs to another {'filter' if order[:2] == self[:2] else 'sort'}")
            found: tuple[Any, Any] = msgspec.convert(place, shape)
        except (binascii.Error, ValueError, RecursionError) as error:
            raise _bad_cursor("is not one that this listing gave") from error
        return found


def _bad_cursor(problem: str) -> PushdeskError:
    return PushdeskError(
        f"cursor {problem}.",
        code="bad_field",
        fields=("cursor",),
        hint="Take it from `next` of the page before, with its sort and filter, or leave it out for the first page.",
    )


class Sort(NamedTuple, Generic[T]):
    """What items can be sorted by. Pages miss nothing if an item's value does not change while it is held."""

    kind: type[int | float | str]
    value: Callable[[T], Any]


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """How items can be listed: what tells them apart, what they can be sorted by, and how they are without a sort."""

    identity: Sort[T]
    sorts: Mapping[str, Sort[T]]
    default: str

    def page(self, items: Iterable[T], query: PageQuery) -> Page[T]:
        """Return a page of the items, of which none is there twice. The filter is the caller's.

        Looks at every item, and keeps no more than the page: the time is that of one pass.

        Raises:
            PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
        """
        order = Order.of(query, self.sorts, default=self.default)
        by, identity = self.sorts[order.field], self.identity
        value, name_of = by.value, identity.value

        def place(item: T) -> tuple[Any, Any]:
            return value(item), name_of(item)

        if query.cursor is not None:
            last = order.place(query.cursor, by.kind, identity.kind)
            if order.is_descending:
                items = [item for item in items if place(item) < last]
            else:
                items = [item for item in items if place(item) > last]
        first = heapq.nlargest if order.is_descending else heapq.nsmallest
        found = first(query.limit + 1, items, key=place)
        shown = tuple(found[: query.limit])
        return Page(shown, order.cursor(*place(shown[-1])) if len(found) > len(shown) else None)


async def every(listing: Callable[[PageQuery], Awaitable[Page[T]]], *, having: str = "") -> tuple[T, ...]:
    """Return the items of all pages of a listing.

    Args:
        listing: Gives a page.
        having: The filter.

    Raises:
        PushdeskError: What the listing raises.
    """
    found: tuple[T, ...] = ()
    cursor: str | None = None
    while True:
        page = await listing(PageQuery(cursor=cursor, limit=200, filter=having))
        found += page.items
        cursor = page.next
        if cursor is None:
            return found
