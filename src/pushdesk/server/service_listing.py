"""The listing of push services: a handful that is held in memory, paged as every listing is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.filters import passes
from pushdesk.paging import Listing, Sort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pushdesk.model import Page, PageQuery, ServiceHealth

_NAME: Final[Sort[ServiceHealth]] = Sort(str, lambda health: health.service.value)
_LISTING: Final[Listing[ServiceHealth]] = Listing(
    identity=_NAME, sorts={"service": _NAME, "sent": Sort(int, lambda health: health.sent)}, default="service"
)


def service_page(services: Iterable[ServiceHealth], query: PageQuery) -> Page[ServiceHealth]:
    """Return a page of the services; the filter is a part of the name (`filters`).

    Raises:
        PushdeskError: `bad_field` for a sort that is not known, or a cursor that is not of this sort and filter.
    """
    return _LISTING.page((health for health in services if passes(health.service, query.filter)), query)
