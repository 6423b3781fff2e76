"""Pages of what is held in memory: in order, whole, and undisturbed by what comes and goes."""

from __future__ import annotations

import base64
from typing import NamedTuple

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import Page, PageQuery
from pushdesk.paging import Listing, Sort


class Item(NamedTuple):
    name: str
    age: float
    number: int = 0


NAME: Sort[Item] = Sort(str, lambda item: item.name)
LISTING: Listing[Item] = Listing(
    identity=NAME,
    sorts={"name": NAME, "age": Sort(float, lambda item: item.age), "number": Sort(int, lambda item: item.number)},
    default="-age",
)
ITEMS = [Item("d", 0.1 + 0.2), Item("b", 0.3, 1), Item("ä", 0.3), Item("a", 1e-9, 1), Item("c", 12345.678)]


def names(items: list[Item], **query: object) -> list[str]:
    return [item.name for item in LISTING.page(items, PageQuery(**query)).items]  # type: ignore[arg-type]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 200])
@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", "cdäba"),
        ("-age", "cdäba"),
        ("age", "abädc"),
        ("name", "abcdä"),
        ("-name", "ädcba"),
        ("number", "cdäab"),
        ("-number", "baädc"),
    ],
)
def test_pages_follow_one_another_in_the_order_that_was_asked_for(sort: str, order: str, limit: int) -> None:
    seen = ""
    pages: list[Page[Item]] = []
    cursor: str | None = None
    while not pages or cursor is not None:
        page = LISTING.page(ITEMS, PageQuery(cursor=cursor, limit=limit, sort=sort))
        pages.append(page)
        seen += "".join(item.name for item in page.items)
        cursor = page.next
    assert seen == order
    assert len(pages) == -(-len(ITEMS) // limit)


@pytest.mark.parametrize("sort", ["number", "-number", "age", "-age", "name", "-name"])
def test_the_last_item_of_a_page_may_go_and_others_may_come_before_the_next(sort: str) -> None:
    whole = names(ITEMS, sort=sort)
    first = LISTING.page(ITEMS, PageQuery(limit=2, sort=sort))
    gone = first.items[-1]
    extreme = -1 if not sort.startswith("-") else 10**6
    early = Item("A" if extreme < 0 else "z\U0010ffff", extreme, extreme)
    now = [*(item for item in ITEMS if item != gone), early]
    assert names(now, sort=sort, cursor=first.next) == whole[2:]


def test_nothing_is_one_empty_page() -> None:
    page = LISTING.page([], PageQuery())
    assert (page.items, page.next) == ((), None)


@pytest.mark.parametrize("sort", ["colour", "-", "--age", "Age", " age"])
def test_a_sort_that_is_not_known_is_refused_with_those_that_are(sort: str) -> None:
    with pytest.raises(PushdeskError) as refused:
        LISTING.page(ITEMS, PageQuery(sort=sort))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("sort",))
    assert "name, age, number" in refused.value.hint


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "\x00",
        "ä",
        "a" * 5000,
        *map(
            cursor_of,
            (
                "nope",
                "[]",
                "{}",
                "null",
                '["a", 1]',
                '["a", "b"]',
                '[1.5, "b"]',
                '[1, "b", 2]',
                "[1]",
                "[1, 2]",
                "[1, null]",
                r'[1, "\ud800"]',
                f'[{"9" * 5000}, "a"]',
            ),
        ),
    ],
)
@pytest.mark.parametrize("items", [ITEMS, []])
def test_a_cursor_that_was_not_given_is_refused(cursor: str, items: list[Item]) -> None:
    with pytest.raises(PushdeskError) as refused:
        LISTING.page(items, PageQuery(cursor=cursor, sort="number"))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("cursor",))


def test_a_cursor_of_another_sort_is_refused_where_it_cannot_fit() -> None:
    by_name = LISTING.page(ITEMS, PageQuery(limit=1, sort="name")).next
    with pytest.raises(PushdeskError) as refused:
        LISTING.page(ITEMS, PageQuery(cursor=by_name, sort="number"))
    assert refused.value.fields == ("cursor",)
