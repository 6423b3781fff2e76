from __future__ import annotations

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import PageQuery, Service, ServiceHealth
from pushdesk.server.service_listing import service_page

SERVICES = (
    ServiceHealth(Service.OTHER, sent=7),
    ServiceHealth(Service.MOZILLA, sent=9),
    ServiceHealth(Service.APPLE, sent=7),
    ServiceHealth(Service.FCM),
)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("", ["apple", "fcm", "mozilla", "other"]),
        ("service", ["apple", "fcm", "mozilla", "other"]),
        ("-service", ["other", "mozilla", "fcm", "apple"]),
        ("sent", ["fcm", "apple", "other", "mozilla"]),
        ("-sent", ["mozilla", "other", "apple", "fcm"]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 200])
def test_pages_follow_one_another_in_the_order_that_was_asked_for(sort: str, names: list[str], limit: int) -> None:
    seen: list[str] = []
    sizes: list[int] = []
    cursor: str | None = None
    while not sizes or cursor is not None:
        page = service_page(SERVICES, PageQuery(cursor=cursor, limit=limit, sort=sort))
        seen += [health.service for health in page.items]
        sizes.append(len(page.items))
        cursor = page.next
    assert seen == names
    assert 0 < min(sizes) <= max(sizes) <= limit


def test_a_service_that_comes_in_between_shifts_no_page() -> None:
    first = service_page(SERVICES, PageQuery(limit=3))
    more = (*SERVICES, ServiceHealth(Service.WNS))
    assert [health.service for health in service_page(more, PageQuery(cursor=first.next)).items] == ["other", "wns"]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ("m", ["fcm", "mozilla"]),
        ("^m", ["mozilla"]),
        ("ozilla", ["mozilla"]),
        ("^ozilla", []),
        ("OZILLA", []),
    ],
)
def test_the_filter_is_a_part_of_a_name_or_how_it_begins(written: str, names: list[str]) -> None:
    page = service_page(SERVICES, PageQuery(filter=written, sort="service"))
    assert [health.service for health in page.items] == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (PageQuery(sort="colour"), "sort"),
        (PageQuery(sort="-"), "sort"),
        (PageQuery(cursor="x"), "cursor"),
        (PageQuery(cursor=""), "cursor"),
    ],
)
def test_what_is_not_known_is_a_bad_field(query: PageQuery, field: str) -> None:
    with pytest.raises(PushdeskError) as refused:
        service_page(SERVICES, query)
    assert (refused.value.code, refused.value.fields) == ("bad_field", (field,))
