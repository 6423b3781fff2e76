"""Pages of what is held in memory, by keyset: what comes and goes between two pages disturbs neither."""

from __future__ import annotations

import base64
import binascii
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import msgspec

from pushdesk.errors import PushdeskError
from pushdesk.model import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pushdesk.model import PageQuery

T = TypeVar("T")


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
            PushdeskError: `bad_field` for a cursor or a sort that is not known.
        """
        sort = query.sort or self.default
        name, descending = sort.removeprefix("-"), sort.startswith("-")
        if name not in self.sorts:
            raise PushdeskError(
                f"sort cannot be {name!r}.",
                code="bad_field",
                fields=("sort",),
                hint=f"It is one of {', '.join(self.sorts)}, '-' before it for descending.",
            )
        by, identity = self.sorts[name], self.identity
        value, name_of = by.value, identity.value
        places = ((value(item), name_of(item), item) for item in items)
        if query.cursor is not None:
            last = _decode(query.cursor, by.kind, identity.kind)
            if descending:
                places = (place for place in places if place[:2] < last)
            else:
                places = (place for place in places if place[:2] > last)
        # Two places are never compared by their item: what tells items apart is different.
        first = heapq.nlargest if descending else heapq.nsmallest
        found = first(query.limit + 1, places)
        shown = found[: query.limit]
        return Page(tuple(place[2] for place in shown), _encode(*shown[-1][:2]) if len(found) > len(shown) else None)


def _encode(value: float | str, identity: int | str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((value, identity))).decode().rstrip("=")


def _decode(cursor: str, value: type, identity: type) -> tuple[Any, Any]:
    shape: Any = tuple[value, identity]  # type: ignore[valid-type]  # made at run time, for the decoder
    try:
        place: tuple[Any, Any] = msgspec.json.decode(
            base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True), type=shape
        )
    except (binascii.Error, ValueError) as error:
        raise PushdeskError(
            "cursor is not one that this listing gave.",
            code="bad_field",
            fields=("cursor",),
            hint="Take it from `next` of the page before, or leave it out for the first page.",
        ) from error
    return place
