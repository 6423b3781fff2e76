"""How a page of rows is found: by keyset, so that it costs the same wherever it is, and rows that come disturb none.

First the places of the page are read, from an index that holds all that is looked at: the value that is sorted by, the
id, and what the filter tests. Then the rows of these places. So a filter that hardly anything passes costs one pass
through an index, and not a look at every row; and one that most pass costs a few steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from msgspec import Meta
from sqlalchemy import Column, ColumnElement, Integer, Select, and_, func, literal, select, text, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from pushdesk.filters import Part
from pushdesk.model import Page
from pushdesk.paging import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Row
    from sqlalchemy.sql.compiler import SQLCompiler

    from pushdesk.model import PageQuery
    from pushdesk.storage.transaction import Snapshot

T = TypeVar("T")

FEW: Final = 2000
"""Up to so many rows of a span are fetched and sorted. More of them are soon met by whoever walks through all."""
_LONGEST: Final = 128
"""Of what begins with something, the most characters."""
_LAST_CHARACTER: Final = "\U0010ffff"
_KINDS: Final[Mapping[type, object]] = {int: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)], str: str}
"""What rows are sorted by; a number is one that a database holds."""


@dataclass(frozen=True, slots=True)
class Sort:
    """What rows can be sorted by; those of the same value are sorted by id.

    There is an index of the value, the id and what filters test. Where most rows have the lowest value, it has only the
    others: it costs nothing to write the most, and no planner takes it for a way to find them. The most are found by an
    index of the id, the value and what filters test.
    """

    value: ColumnElement[Any]
    lowest: int | str | None = None
    """The lowest value, if most rows have it."""
    others: str = ""
    """The condition of that index, in the same words."""


@dataclass(frozen=True, slots=True)
class Listing:
    """How rows can be listed: by which column they are told apart, and what they can be sorted by."""

    id: Column[str]
    sorts: Mapping[str, Sort]
    default: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows a filter lets pass."""

    test: ColumnElement[bool] | None = None
    """Passed by each of them; None where all pass. It is not to be taken for a way to find them."""
    column: ColumnElement[str] | None = None
    """By an index of this column they are found as well, if there is one,"""
    span: ColumnElement[bool] | None = None
    """within this span of it."""


def having(column: ColumnElement[Any], part: str) -> Wanted:
    """Return what a filter by a part of a column's text lets pass."""
    wanted = Part.of(part)
    if not wanted.text:
        return Wanted()
    if wanted.is_beginning:
        begins = func.substr(column, 1, len(wanted.text)) == wanted.text
        return Wanted(begins, column, beginning(column, wanted.text))
    # Not LIKE: SQLite's takes no notice of case, and ids do.
    return Wanted(_Position(column, literal(wanted.text)) > 0)


def beginning(column: ColumnElement[Any], text_: str) -> ColumnElement[bool]:
    """Return the condition that a column begins with a text: a span, so that an index finds it."""
    return and_(column >= text_, column < text_ + _LAST_CHARACTER * _LONGEST)


async def read_page(
    snapshot: Snapshot,
    listing: Listing,
    wanted: Wanted,
    query: PageQuery,
    rows: Select[Any],
    convert: Callable[[Row[Any]], T],
) -> Page[T]:
    """Return a page.

    Args:
        snapshot: What is read.
        listing: What is listed.
        wanted: What the query's filter lets pass.
        query: Which page.
        rows: The statement for all rows.
        convert: Makes an item of a row.

    Raises:
        PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
    """
    order = Order.of(query, listing.sorts, default=listing.default)
    after = None
    if query.cursor is not None:
        kind = listing.sorts[order.field].value.type.python_type
        after = order.place(query.cursor, _KINDS[kind], str)
    places: list[Row[Any]] = []
    for statement in await _ways(snapshot, listing, wanted, order, after):
        places += await snapshot.execute(statement.limit(query.limit + 1 - len(places)))
        if len(places) > query.limit:
            break
    if not places:
        return Page(())
    shown = places[: query.limit]
    found = await snapshot.execute(rows.where(listing.id.in_([place.id for place in shown])))
    by_id = {getattr(row, listing.id.name): row for row in found}
    more = len(places) > query.limit
    return Page(
        tuple(convert(by_id[place.id]) for place in shown),
        order.cursor(shown[-1].value, shown[-1].id) if more else None,
    )


async def _ways(
    snapshot: Snapshot, listing: Listing, wanted: Wanted, order: Order, after: tuple[Any, str] | None
) -> Iterable[Select[Any]]:
    """Return the statements for the places after one of them, or from the first: one goes on where another ends."""
    sort = listing.sorts[order.field]
    places = select(sort.value.label("value"), listing.id.label("id"))
    if wanted.span is not None and wanted.column is not sort.value:
        counted = select(listing.id).where(wanted.span).limit(FEW + 1).subquery("counted")
        if await snapshot.scalar(select(func.count()).select_from(counted)) <= FEW:
            few = places.where(wanted.span).limit(FEW).subquery("few")
            return [_in_order(select(few), (few.c.value, few.c.id), order, after)]
    test = wanted.span if wanted.column is sort.value else wanted.test
    return _walks(places if test is None else places.where(test), listing, order, after)


def _walks(places: Select[Any], listing: Listing, order: Order, after: tuple[Any, str] | None) -> Iterator[Select[Any]]:
    sort = listing.sorts[order.field]
    by_id = (listing.id,)
    by_value = by_id if sort.value is listing.id else (sort.value, listing.id)
    if sort.lowest is None:
        yield _in_order(places, by_value, order, after)
        return
    stretches = {
        True: (places.where(sort.value == sort.lowest), by_id),
        False: (places.where(text(sort.others)), by_value),
    }
    left = [False, True] if order.is_descending else [True, False]
    if after is not None:
        is_lowest = after[0] == sort.lowest
        left = left[left.index(is_lowest) + 1 :]
        yield _in_order(*stretches[is_lowest], order, after)
    for is_lowest in left:
        yield _in_order(*stretches[is_lowest], order, None)


def _in_order(
    places: Select[Any], key: tuple[ColumnElement[Any], ...], order: Order, after: tuple[Any, str] | None
) -> Select[Any]:
    if after is not None:
        here, there = tuple_(*key), tuple_(*map(literal, after[-len(key) :]))
        places = places.where(here < there if order.is_descending else here > there)
    return places.order_by(*(column.desc() if order.is_descending else column for column in key))


class _Position(FunctionElement[int]):
    """Where in a text another one begins, counted from 1; 0 where it is not in it."""

    inherit_cache = True
    type = Integer()


@compiles(_Position)
def _instr(element: _Position, compiler: SQLCompiler, **options: object) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(_Position, "postgresql")
def _strpos(element: _Position, compiler: SQLCompiler, **options: object) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"
