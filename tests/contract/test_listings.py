"""Listings of the database: every sort, every filter, page by page, whichever way they are looked for."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from msgspec import structs
from sqlalchemy.dialects import postgresql

from pushdesk.filters import passes
from pushdesk.model import Outcome, PageQuery
from pushdesk.storage import pages
from pushdesk.storage.schema import user_state
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription
from tests.contract.tracing import tracing
from tests.crowd import ELDERS, fill, name_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pushdesk.model import Delivery, Dispatch, Page, Subscription, User

    Item = User | Subscription | Delivery | Dispatch

SIZE = 400
SORTS = {
    "users": ("id", "created_at"),
    "subscriptions": ("created_at", "user", "state", "service", "failures"),
    "deliveries": ("at",),
    "dispatches": ("accepted_at",),
}
EVERY_SORT = [
    (listing, f"{sign}{field}") for listing, fields in SORTS.items() for field in fields for sign in ("", "-")
]
FILTERS = (
    "",
    "^",
    "^ada",
    "^ada.elder",
    "^nobody",
    "ada",
    "elder",
    "quill",
    "nobody",
    f"^{name_of(7)}",
    "subscription:",
    *(Outcome.GONE, Outcome.ACCEPTED),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("crowd") / "pushdesk.db"
    asyncio.run(make(file))
    fill(file, SIZE)
    return file


async def make(file: Path) -> None:
    async with Store(file):
        pass


def listing_of(store: Store, name: str) -> Callable[[PageQuery], Awaitable[Page[Any]]]:
    found: Callable[[PageQuery], Awaitable[Page[Any]]] = getattr(store.listings, name)
    return found


async def every(store: Store, listing: str, *, sort: str, limit: int, filter_: str = "") -> list[Any]:
    found: list[Item] = []
    query = PageQuery(sort=sort, limit=limit, filter=filter_)
    while True:
        page = await listing_of(store, listing)(query)
        assert len(page.items) == limit or page.next is None
        found += page.items
        if page.next is None:
            return found
        query = PageQuery(sort=sort, limit=limit, filter=filter_, cursor=page.next)


def is_wanted(listing: str, filter_: str, item: Any) -> bool:
    if listing == "deliveries" and filter_ in set(Outcome):
        return bool(item.outcome == filter_)
    if listing == "deliveries" and filter_.startswith("subscription:"):
        return bool(item.subscription == filter_.removeprefix("subscription:"))
    if listing == "dispatches":
        return passes(item.user, filter_) or passes(item.title, filter_)
    return passes(item.id if listing == "users" else item.user, filter_)


@pytest.mark.parametrize("few", [0, 10, SIZE])
@pytest.mark.parametrize(("listing", "sort"), EVERY_SORT)
async def test_pages_hold_what_passes_the_filter_once_and_in_order(
    file: Path, monkeypatch: pytest.MonkeyPatch, listing: str, sort: str, few: int
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    async with Store(file) as store:
        everything = await every(store, listing, sort="", limit=200)
        assert len(everything) == SIZE
        field = sort.removeprefix("-")
        wanted = sorted(everything, key=lambda item: (getattr(item, field), item.id), reverse=sort.startswith("-"))
        for filter_ in FILTERS:
            passing = [item for item in wanted if is_wanted(listing, filter_, item)]
            for limit in (200, 7 if len(passing) < 100 else 31):
                assert await every(store, listing, sort=sort, limit=limit, filter_=filter_) == passing, filter_


async def test_deliveries_of_one_subscription_are_those_only(file: Path) -> None:
    async with Store(file) as store:
        for one in (await store.listings.subscriptions(PageQuery(limit=3))).items:
            found = await store.listings.deliveries(PageQuery(filter=f"subscription:{one.id}"))
            assert [(item.subscription, item.user) for item in found.items] == [(one.id, one.user)]


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ("Ä", ["Ä"]),
        ("ä", ["ä"]),
        ("^^", ["^caret"]),
        ("^caret", []),
        ("caret", ["^caret"]),
        ("%", ["100%"]),
        ("_", ["a_b"]),
        ("\\", ["\\"]),
        ("'", ["o'hara"]),
        ("🙂", ["x🙂y"]),
        ("^x🙂", ["x🙂y"]),
        ("^x\U0010ffff", ["x\U0010ffff\U0010ffff"]),
        ("^x", ["x\U0010ffff\U0010ffff", "x🙂y"]),
    ],
)
async def test_filters_take_every_character_for_itself(tmp_path: Path, filter_: str, found: list[str]) -> None:
    names = ("100%", "^caret", "\\", "a_b", "o'hara", "x🙂y", "x\U0010ffff\U0010ffff", "Ä", "ä")
    async with Store(tmp_path / "pushdesk.db") as store:
        for name in names:
            await put(store, subscription(name.encode().hex(), user=name))
        users = (await store.listings.users(PageQuery(filter=filter_, sort="id"))).items
        mine = (await store.listings.subscriptions(PageQuery(filter=filter_))).items
    assert sorted(user.id for user in users) == sorted(found)
    assert sorted(one.user for one in mine) == sorted(found)
    assert sorted(found) == sorted(name for name in names if passes(name, filter_))


async def test_users_are_listed_with_their_last_delivery_and_their_last_failure(tmp_path: Path) -> None:
    async with Store(tmp_path / "pushdesk.db") as store:
        for name in ("one", "two", "three"):
            await put(store, subscription(name))
        await put(store, subscription("other", user="bo"))
        for number, results in enumerate(
            (
                {"id-one": Outcome.ACCEPTED, "id-two": Outcome.REFUSED, "id-three": Outcome.ACCEPTED},
                {"id-one": Outcome.ACCEPTED, "id-two": Outcome.ACCEPTED, "id-three": Outcome.GONE},
                {"id-one": Outcome.ACCEPTED, "id-two": Outcome.ACCEPTED},
            )
        ):
            jobs = await spread(store, message(f"m{number}"))
            settled = [outcome(job, results[job.target.subscription]) for job in jobs]
            # By hours: a success is written at most once in one.
            await store.outbox.settle(settled, CLAIM, NOW + number * 3_600_001)
        ada, bo = (await store.listings.users(PageQuery(sort="id"))).items
    assert (ada.id, ada.subscriptions, bo.id, bo.subscriptions) == ("ada", 2, "bo", 1)
    assert (ada.last_delivery_at, ada.last_failure_at) == (
        to_datetime(NOW + 2 * 3_600_001),
        to_datetime(NOW + 3_600_001),
    )
    assert (bo.last_delivery_at, bo.last_failure_at) == (None, None)


async def test_users_whose_browsers_subscribed_anew_keep_their_last_delivery_and_their_last_failure(
    tmp_path: Path,
) -> None:
    async with Store(tmp_path / "pushdesk.db") as store:
        known = [(await put(store, subscription(name))).subscription.id for name in ("one", "two")]
        refused, accepted = Outcome.REFUSED, Outcome.ACCEPTED
        for number, results in enumerate(((refused, accepted), (accepted, Outcome.SUPERSEDED))):
            jobs = await spread(store, message(f"m{number}"))
            for job, result in zip(jobs, results, strict=True):
                settlement = outcome(job, result)
                at = structs.replace(settlement.delivery, at=to_datetime(NOW + number * 1000))
                await store.outbox.settle([replace(settlement, delivery=at)], CLAIM, NOW + number * 1000)
        await store.subscriptions.remove_ids(known)
        await put(store, subscription("anew", key="key2"))
        (ada,) = (await store.listings.users(PageQuery())).items
    assert (ada.last_delivery_at, ada.last_failure_at) == (to_datetime(NOW + 1000), to_datetime(NOW))


async def plans(file: Path, listing: str, query: PageQuery) -> list[str]:
    """Return how SQLite goes about every statement of a page."""
    with tracing() as trace:
        async with Store(file) as store:
            trace.statements.clear()
            await listing_of(store, listing)(query)
            asked = [statement for statement in trace.statements if statement.startswith("SELECT")]
    with closing(sqlite3.connect(file)) as connection:
        return [row[3] for one in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]


def is_cheap(step: str) -> bool:
    """Whether a step looks at what it needs only, or walks through an index that holds all that it looks at."""
    # Those that are counted are no more than that; and there are few keys.
    is_bounded = step.endswith(" counted") or step in {"SCAN vapid_keys", "SCAN CONSTANT ROW"}
    return is_bounded or "USING COVERING INDEX" in step or step.startswith(("SEARCH", "CORRELATED", "LIST SUBQUERY"))


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("filter_", ["", "^ada", "ada", Outcome.ACCEPTED])
@pytest.mark.parametrize(("listing", "sort"), [one for one in EVERY_SORT if one[0] != "dispatches"])
async def test_nothing_is_sorted_and_no_table_is_read_through_for_a_page(
    file: Path, monkeypatch: pytest.MonkeyPatch, listing: str, sort: str, filter_: str, *, deep: bool
) -> None:
    monkeypatch.setattr(pages, "FEW", 0)
    async with Store(file) as store:
        first = await listing_of(store, listing)(PageQuery(sort=sort, filter=filter_, limit=2))
    steps = await plans(
        file, listing, PageQuery(sort=sort, filter=filter_, limit=200, cursor=first.next if deep else None)
    )
    assert [step for step in steps if not is_cheap(step)] == []


@pytest.mark.parametrize(("listing", "sort"), [one for one in EVERY_SORT if one[0] != "dispatches"])
async def test_the_few_that_begin_with_something_are_found_by_its_index(file: Path, listing: str, sort: str) -> None:
    steps = await plans(file, listing, PageQuery(sort=sort, filter="^ada.elder"))
    assert any("(user>? AND user<?)" in step for step in steps)
    bounded = {"CO-ROUTINE few", "SCAN few", "USE TEMP B-TREE FOR ORDER BY"}
    assert [step for step in steps if not is_cheap(step) and step not in bounded] == []


@pytest.mark.parametrize("sort", ["accepted_at", "-accepted_at"])
async def test_dispatches_are_walked_through_in_their_order(file: Path, sort: str) -> None:
    # A title is looked for in the rows: it may be too long for an index, and no screen lists dispatches.
    for filter_ in ("", "ada", "^ada"):
        steps = await plans(file, "dispatches", PageQuery(sort=sort, filter=filter_))
        assert not [step for step in steps if "TEMP B-TREE FOR ORDER BY" in step]


async def test_what_is_scheduled_is_found_by_the_index_of_what_is_to_be_sent(file: Path) -> None:
    steps = await plans(file, "dispatches", PageQuery(filter="state:scheduled"))
    assert any("ix_dispatches_open_due_at" in step for step in steps)
    assert not [step for step in steps if step == "SCAN dispatches"]


def test_postgresql_would_take_the_filters() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for filter_, words in (("ada", "strpos("), ("^ada", "substr(")):
        test = pages.having(user_state.c.user, filter_).test
        assert test is not None
        assert words in str(test.compile(dialect=dialect))


async def test_what_was_sent_to_the_few_that_are_not_active_is_no_way_to_a_users_devices(file: Path) -> None:
    with tracing() as trace:
        async with Store(file) as store:
            trace.statements.clear()
            await store.subscriptions.targets([name_of(number) for number in range(ELDERS)])
            (read,) = [statement for statement in trace.statements if statement.startswith("SELECT")]
    with closing(sqlite3.connect(file)) as connection:
        plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {read}"))
    assert "SEARCH subscriptions USING INDEX ix_subscriptions_user_id (user=?)" in plan
