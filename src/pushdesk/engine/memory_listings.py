"""The listings of what the engine holds in memory: the subscription cache, and the latest lines of the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.filters import LogFilter, Part
from pushdesk.model import CacheEntry, LogEntry, Page
from pushdesk.paging import Listing, Sort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushdesk.engine.shelf import Entry
    from pushdesk.model import PageQuery

_USER: Final[Sort[Entry]] = Sort(str, lambda entry: entry.user)
_CACHE: Final[Listing[Entry]] = Listing(
    identity=_USER,
    sorts={
        # Ages and times left move on between two pages; when an entry was read and when it ends do not.
        "age": Sort(float, lambda entry: -entry.started_at),
        "time_left": Sort(float, lambda entry: entry.expires_at),
        "user": _USER,
        "generation": Sort(int, lambda entry: entry.targets.generation),
        "devices": Sort(int, lambda entry: len(entry.targets.targets)),
        "size": Sort(int, lambda entry: entry.size),
    },
    default="age",
)
_SEQ: Final[Sort[LogEntry]] = Sort(int, lambda entry: entry.seq)
_LOG: Final[Listing[LogEntry]] = Listing(identity=_SEQ, sorts={"seq": _SEQ}, default="-seq")


def cache_page(held: Iterable[Entry], query: PageQuery, *, now: float) -> Page[CacheEntry]:
    """Return a page of what the cache holds; the filter is a part of the user's id. `now` is the cache's clock.

    Raises:
        PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
    """
    wanted = Part.of(query.filter)
    page = _CACHE.page([entry for entry in held if wanted.is_in(entry.user)] if wanted.text else held, query)
    return Page(tuple(entry.shown(now) for entry in page.items), page.next)


def log_page(entries: Iterable[LogEntry], query: PageQuery) -> Page[LogEntry]:
    """Return a page of the log; the filter is a `LogFilter`.

    Raises:
        PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
    """
    wanted = LogFilter.of(query.filter)
    return _LOG.page((entry for entry in entries if wanted.passes(entry)), query)
