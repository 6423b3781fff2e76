"""The listing of push services: a handful that is held in memory, paged as every listing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.errors import PushdeskError
from pushdesk.model import Page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pushdesk.model import PageQuery, ServiceHealth

_SORTS: Final[dict[str, Callable[[ServiceHealth], tuple[int, str]]]] = {
    "service": lambda health: (0, health.service),
    "sent": lambda health: (health.sent, health.service),
}


def service_page(services: Iterable[ServiceHealth], query: PageQuery) -> Page[ServiceHealth]:
    """Return a page of the services; the filter is how a name begins, the cursor the last service of a page.

    Raises:
        PushdeskError: `bad_field` for a cursor or a sort that is not known.
    """
    sort = query.sort or "service"
    name = sort.removeprefix("-")
    if name not in _SORTS:
        raise PushdeskError(
            f"sort cannot be {name!r}.",
            code="bad_field",
            fields=("sort",),
            hint=f"It is one of {', '.join(_SORTS)}, '-' before it for descending.",
        )
    found = [health for health in services if health.service.startswith(query.filter)]
    found.sort(key=_SORTS[name], reverse=sort.startswith("-"))
    shown = found[_place_after(query.cursor, found) :]
    page = tuple(shown[: query.limit])
    return Page(page, page[-1].service if len(shown) > len(page) else None)


def _place_after(cursor: str | None, found: list[ServiceHealth]) -> int:
    if cursor is None:
        return 0
    places = {health.service.value: place for place, health in enumerate(found, start=1)}
    if cursor not in places:
        raise PushdeskError(
            "cursor is not one that this listing gave.",
            code="bad_field",
            fields=("cursor",),
            hint="Take it from `next` of the page before, or leave it out for the first page.",
        )
    return places[cursor]
