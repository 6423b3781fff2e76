"""Which columns of a table fit, and how wide they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP: Final = 2


class Column(NamedTuple):
    """A column of a table."""

    key: str
    label: str
    width: int
    """In cells; of a column that grows, the least."""
    priority: int = 0
    """Columns of the highest number are left out first; those of 0 never."""
    grows: int = 0
    """Its share of the room that is left."""
    sort: str = ""
    """The field by which the server sorts it; empty if it does not."""
    right: bool = False
    """Whether it is aligned to the right."""
    ages: bool = False
    """Whether it shows how long ago its field is: what is first by the one is last by the other."""


class Fitted(NamedTuple):
    """A column as it is shown."""

    column: Column
    place: int
    """Its place among all columns."""
    x: int
    width: int


def fit(columns: Sequence[Column], room: int) -> list[Fitted]:
    """Return the columns that fit into so many cells, from the left."""
    chosen = list(enumerate(columns))
    while _needed(chosen) > room:
        worst = max(column.priority for _, column in chosen)
        if worst == 0:
            break
        last = max(place for place, column in chosen if column.priority == worst)
        chosen = [(place, column) for place, column in chosen if place != last]
    spare = max(0, room - _needed(chosen))
    shares = sum(column.grows for _, column in chosen)
    fitted, x = [], 0
    for place, column in chosen:
        more = spare * column.grows // shares if shares else 0
        fitted.append(Fitted(column, place, x, column.width + more))
        x += column.width + more + GAP
    return fitted


def _needed(chosen: Sequence[tuple[int, Column]]) -> int:
    return sum(column.width for _, column in chosen) + GAP * (len(chosen) - 1)
