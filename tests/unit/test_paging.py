"""Pages of what is held in memory: in order, whole, and undisturbed by what comes and goes."""

from __future__ import annotations

import base64
from typing import NamedTuple

import msgspec
import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import Page, PageQuery
from pushdesk.paging import Listing, Order, Sort


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
    assert repr(sort) in refused.value.detail
    assert "name, age, number" in refused.value.hint


def cursor_of(text: str) -> str:
    """Make a cursor of what stands in one, but for the order that it belongs to."""
    order = msgspec.json.encode(Order.of(PageQuery(sort="number"), ["number"], default="number")).decode()
    return base64.urlsafe_b64encode(text.replace("[", f"[{order}, ", 1).encode()).decode().rstrip("=")


def test_a_cursor_that_is_made_as_the_listing_makes_them_is_taken() -> None:
    assert names(ITEMS, sort="number", cursor=cursor_of('[0, "d"]')) == ["ä", "a", "b"]


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
                '["a"',
                '[1.5, "b"]',
                '[1, "b", 2]',
                "[1]",
                "[1, 2]",
                "[1, null]",
                r'[1, "\ud800"]',
                f'[{"9" * 5000}, "a"]',
                "[" * 100_000,
            ),
        ),
    ],
)
@pytest.mark.parametrize("items", [ITEMS, []])
def test_a_cursor_that_was_not_given_is_refused(cursor: str, items: list[Item]) -> None:
    with pytest.raises(PushdeskError) as refused:
        LISTING.page(items, PageQuery(cursor=cursor, sort="number"))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("cursor",))


@pytest.mark.parametrize("sort", ["", "age", "name", "-name", "number"])
def test_a_cursor_of_another_sort_is_refused(sort: str) -> None:
    given = LISTING.page(ITEMS, PageQuery(limit=1, sort="-number")).next
    with pytest.raises(PushdeskError, match="belongs to another sort") as refused:
        LISTING.page(ITEMS, PageQuery(cursor=given, sort=sort))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("cursor",))


@pytest.mark.parametrize(("given_for", "asked_for"), [("", "a"), ("a", ""), ("a", "b"), ("a", "A")])
def test_a_cursor_of_another_filter_is_refused(given_for: str, asked_for: str) -> None:
    given = LISTING.page(ITEMS, PageQuery(limit=1, filter=given_for)).next
    with pytest.raises(PushdeskError, match="belongs to another filter") as refused:
        LISTING.page(ITEMS, PageQuery(cursor=given, filter=asked_for))
    assert (refused.value.code, refused.value.fields) == ("bad_field", ("cursor",))


def test_a_cursor_fits_whether_the_usual_sort_is_named_or_not() -> None:
    given = LISTING.page(ITEMS, PageQuery(limit=2)).next
    assert names(ITEMS, sort="-age", cursor=given) == ["ä", "b", "a"]


def test_the_longest_cursor_can_be_asked_with() -> None:
    longest = "\N{MATHEMATICAL SCRIPT SMALL A}" * 128
    given = Order("created_at", True, "0" * 8).cursor(longest, longest)
    assert msgspec.convert({"cursor": given}, PageQuery).cursor == given
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"cursor": given * 3}, PageQuery)


def test_a_filter_cannot_be_read_out_of_a_cursor() -> None:
    given = LISTING.page(ITEMS, PageQuery(limit=1, filter="somebody")).next
    assert given is not None
    assert b"somebody" not in base64.urlsafe_b64decode(given + "==")
