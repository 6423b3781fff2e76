"""Broadcasts at rest: how their recipients are found, and that both databases would take the statements."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.model import Delivery, DispatchKind, DispatchState, Outcome, PageQuery, Service
from pushdesk.storage.broadcast_users import (
    count_all,
    count_listed,
    delete_listed,
    delete_user,
    select_left_over,
    select_unknown,
)
from pushdesk.storage.broadcasts import (
    free_paused,
    select_going_on,
    select_recipients,
)
from pushdesk.storage.ending import end_older, end_overtaken
from pushdesk.storage.overtaking import select_newer, select_overtaken
from pushdesk.storage.records import Chunk, NewBroadcast, Settlement, Stretch, Topic
from pushdesk.storage.retention import Limits
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message, put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Dialect, Executable

TEA = Topic("tea", 5)
STRETCH = Stretch("", "id-z")
STATEMENTS = {
    "count_all": count_all(),
    "count_listed": count_listed("d"),
    "select_unknown": select_unknown("d"),
    "select_left_over": select_left_over(),
    "delete_listed": delete_listed("d", 10),
    "delete_user": delete_user("ada"),
    "select_going_on": select_going_on(),
    "select_recipients": select_recipients(Service.FCM, STRETCH, 10, None, NOW),
    "select_listed_recipients": select_recipients(Service.FCM, STRETCH, 10, "d", NOW),
    "select_newer": select_newer("d", TEA, ["s"]),
    "select_overtaken": select_overtaken("d", TEA, ["s"]),
    "free_paused": free_paused("d", "", NOW, 10),
    "end_older": end_older(["s"], [("s", "tea")], NOW),
    "end_overtaken": end_overtaken("d", TEA, ["s"], NOW),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / DATABASE_NAME


@pytest.fixture
async def store(file: Path) -> AsyncIterator[Store]:
    async with Store(file) as opened:
        yield opened


async def begun(store: Store, name: str = "m1", users: tuple[str, ...] | None = None) -> None:
    """Store a broadcast that is being sent."""
    if users is not None:
        await store.broadcast_users.add(name, users)
    plan = await store.broadcast_users.plan(None if users is None else name)
    new = NewBroadcast(plan, None if users is None else await store.broadcast_users.count(name))
    await store.outbox.accept([replace(message(name, user=""), kind=DispatchKind.BROADCAST, broadcast=new)])
    assert await store.broadcasts.begin(name, plan, NOW) is not None


def result(name: str, outcome: Outcome) -> Settlement:
    at = to_datetime(NOW)
    delivery = Delivery(
        id=f"d-{name}",
        dispatch="m1",
        user=f"user {name}",
        subscription=f"id-{name}",
        service=Service.MOZILLA,
        outcome=outcome,
        at=at,
        attempts=1,
        next_attempt_at=None if outcome.is_settled else at,
    )
    return Settlement(delivery)


def chunk(*settlements: Settlement, after: str = "", last: str = "id-z") -> Chunk:
    return Chunk(
        dispatch="m1",
        service=Service.MOZILLA,
        stretch=Stretch(after, last),
        settlements=settlements,
        under_way=(),
        superseded=0,
        claim=CLAIM,
        topic=None,
    )


async def fill(store: Store, *names: str) -> None:
    for name in names:
        await put(store, subscription(name, user=f"user {name}"))


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])  # type: ignore[no-untyped-call]
@pytest.mark.parametrize("name", STATEMENTS)
def test_both_databases_would_take_the_statements(dialect: Dialect, name: str) -> None:
    statement = STATEMENTS[name]
    assert str(statement.compile(dialect=dialect)).startswith(("SELECT", "UPDATE", "DELETE"))


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("count_all", "COVERING INDEX ix_subscriptions_key_id_state_service"),
        ("count_listed", "COVERING INDEX sqlite_autoindex_broadcast_users_1"),
        ("select_recipients", "ix_subscriptions_service_id_user (service=? AND id>? AND id<?)"),
        ("select_listed_recipients", "ix_subscriptions_service_id_user (service=? AND id>? AND id<?)"),
        ("select_unknown", "COVERING INDEX sqlite_autoindex_broadcast_users_1 (dispatch=?)"),
        ("select_overtaken", "ix_dispatches_broadcast_topic_precedence (topic=? AND precedence>?)"),
        ("end_older", "ix_dispatches_broadcast_topic_precedence (topic=? AND precedence>?)"),
        ("end_older", "ix_deliveries_unsettled_subscription_topic (subscription=? AND topic>?)"),
        ("select_newer", "ix_deliveries_subscription_topic_precedence"),
        ("end_overtaken", "ix_deliveries_unsettled_subscription_topic"),
        ("free_paused", "ix_deliveries_dispatch_id (dispatch=? AND id>?)"),
    ],
)
async def test_nobody_is_looked_for_in_a_whole_table(store: Store, file: Path, name: str, index: str) -> None:
    await fill(store, "a")
    statement: Executable = STATEMENTS[name]
    text = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    with closing(sqlite3.connect(file)) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert any(index in step for step in plan), plan
    assert not any("ORDER BY" in step for step in plan), plan


async def test_recipients_are_read_in_order_up_to_the_last_one(store: Store) -> None:
    await fill(store, "c", "a", "b", "d", "z9")
    for limit, after, names in ((2, "", ["a", "b"]), (9, "id-b", ["c", "d"]), (9, "id-d", [])):
        found = await store.broadcasts.recipients(Service.MOZILLA, Stretch(after, "id-z"), limit, None, NOW)
        assert [target.subscription for target in found.targets] == [f"id-{name}" for name in names]
    assert (await store.broadcasts.recipients(Service.FCM, STRETCH, 9, None, NOW)).targets == ()


async def test_that_a_subscription_was_pushed_to_is_noted_once_an_hour_and_after_failures(store: Store) -> None:
    await fill(store, "a", "b")

    async def unmarked(now_ms: int) -> frozenset[str]:
        return (await store.broadcasts.recipients(Service.MOZILLA, STRETCH, 9, None, now_ms)).unmarked

    assert await unmarked(NOW) == {"id-a", "id-b"}
    await store.broadcasts.mark(["id-a"], NOW)
    assert await unmarked(NOW + 3_600_000) == {"id-b"}
    assert await unmarked(NOW + 3_600_001) == {"id-a", "id-b"}
    await begun(store)
    await store.broadcasts.settle(chunk(result("a", Outcome.TRANSIENT)), NOW)
    assert await unmarked(NOW) == {"id-a", "id-b"}


async def test_of_a_list_only_its_users_are_recipients(store: Store) -> None:
    await fill(store, "a", "b", "c")
    await begun(store, users=("user c", "user a", "nobody", "user a"))
    found = await store.broadcasts.recipients(Service.MOZILLA, STRETCH, 9, "m1", NOW)
    assert [target.user for target in found.targets] == ["user a", "user c"]
    assert (await store.broadcast_users.plan("m1")).planned == {Service.MOZILLA: 2}
    assert await store.broadcast_users.unknown("m1") == (1, ("nobody",))


async def test_a_list_is_removed_when_its_broadcast_does_not_need_it_any_more(store: Store) -> None:
    await fill(store, "a")
    await begun(store, users=("user a", "nobody"))
    await store.broadcast_users.add("never came about", ["ada"])
    assert await store.broadcast_users.left_over() == ("never came about",)
    assert await store.broadcast_users.remove("m1", 10) == 0
    await store.broadcasts.end("m1", NOW, is_complete=True)
    assert set(await store.broadcast_users.left_over()) == {"m1", "never came about"}
    assert [await store.broadcast_users.remove("m1", 1) for _ in range(3)] == [1, 1, 0]


async def test_counts_are_those_of_chunks_and_deliveries_and_of_who_was_not_got_to(store: Store) -> None:
    await fill(store, "a", "b", "c", "d", "e")
    await begun(store)
    accepted, gone, later = result("a", Outcome.ACCEPTED), result("b", Outcome.GONE), result("c", Outcome.TRANSIENT)
    await store.broadcasts.settle(replace(chunk(accepted, gone, later, last="id-c"), superseded=1), NOW)
    found = await store.broadcasts.find("m1")
    assert found.done == {Service.MOZILLA: 4}
    counts = {Outcome.ACCEPTED: 1, Outcome.GONE: 1, Outcome.TRANSIENT: 1, Outcome.SUPERSEDED: 1}
    assert found.counts == counts
    assert (await store.listings.dispatch("m1")).counts == counts
    assert await store.broadcasts.end("m1", NOW, is_complete=False) == ()
    assert (await store.listings.dispatch("m1")).state is DispatchState.SENDING
    assert (await store.broadcasts.find("m1")).counts == counts | {Outcome.EXPIRED: 1}
    assert (await store.broadcasts.page(PageQuery(filter="Title"))).items == (await store.broadcasts.find("m1"),)
    assert (await store.broadcasts.page(PageQuery(filter="title"))).items == ()


async def test_a_chunk_that_is_there_already_is_not_written_twice(store: Store) -> None:
    await fill(store, "a", "b")
    await begun(store)
    for again in (False, True):
        await store.broadcasts.settle(chunk(result("a", Outcome.ACCEPTED), result("b", Outcome.GONE)), NOW, again=again)
    assert (await store.broadcasts.find("m1")).counts == {Outcome.ACCEPTED: 1, Outcome.GONE: 1}


async def test_what_is_settled_is_known_in_order(store: Store) -> None:
    await begun(store)
    for after, last in (("id-c", "id-f"), ("", "id-c")):
        await store.broadcasts.settle(chunk(after=after, last=last), NOW)
    assert await store.broadcasts.settled("m1") == {Service.MOZILLA: [Stretch("", "id-c"), Stretch("id-c", "id-f")]}


async def test_a_broadcast_goes_with_all_that_is_its_own_when_it_is_kept_no_longer(store: Store, file: Path) -> None:
    await fill(store, "a", "b")
    await begun(store)
    await store.broadcasts.settle(chunk(result("a", Outcome.ACCEPTED), result("b", Outcome.GONE)), NOW)
    await store.broadcasts.end("m1", NOW + 9, is_complete=True)
    # It has just ended, although all that was sent of it was long before.
    assert (await store.retention.look("", Limits(before_ms=NOW + 9))).over == ()
    looked = await store.retention.look("", Limits(before_ms=NOW + 10))
    assert looked.over == ("m1",)
    while (await store.retention.remove(looked.over)).dispatches == 0:
        pass
    with closing(sqlite3.connect(file)) as database:
        for table in ("dispatches", "deliveries", "broadcasts", "chunks"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608 (a name from above)


async def test_an_open_broadcast_is_never_spread(store: Store) -> None:
    await fill(store, "a")
    plan = await store.broadcast_users.plan(None)
    new = replace(message("m1", user=""), kind=DispatchKind.BROADCAST, broadcast=NewBroadcast(plan, None))
    await store.outbox.accept([new])
    assert (await store.outbox.due(NOW, 10)).opened == ()
    assert (await store.outbox.due(NOW, 10))[:2] == (None, {})
    assert (await store.outbox.backlog())[0] == 1
    assert [one.dispatch.id for one in await store.broadcasts.going_on()] == ["m1"]
