"""What every database must do about what is kept no longer: it goes, the oldest first, and nothing else does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.errors import PushdeskError
from pushdesk.model import InvitationFault, Outcome, PageQuery
from pushdesk.storage import retention
from pushdesk.storage.records import IDEMPOTENCY_MS, IdempotencyKey
from pushdesk.storage.retention import INVITATION_MS, Limits, Removed
from pushdesk.storage.schema import deliveries
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

DAY_MS = 24 * 3_600_000
OLD = Limits(before_ms=NOW + DAY_MS)
"""All that tests store is older, unless they say otherwise."""
TABLES = ("dispatches", "deliveries", "attempts", "idempotency_keys", "chunks")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushdesk.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        for name in ("one", "two"):
            await put(opened, subscription(name))
        yield opened


async def send(
    store: Store,
    name: str,
    result: Outcome = Outcome.ACCEPTED,
    *,
    accepted_at: int = NOW,
    due: int = NOW,
    at: int = NOW,
    key: str | None = None,
) -> None:
    """Send to two devices; `result` is what comes of the second one, `at` is when that was."""
    idempotency = None if key is None else IdempotencyKey("admin", key, b"d" * 32)
    jobs = await spread(store, replace(message(name, key=idempotency, due=due), accepted_at_ms=accepted_at))
    retry_at = None if result.is_settled else at
    settled = [outcome(jobs[0], Outcome.ACCEPTED), outcome(jobs[1], result, retry_at=retry_at)]
    await store.outbox.settle(
        [replace(item, delivery=structs.replace(item.delivery, at=to_datetime(at))) for item in settled], CLAIM, at
    )


async def trim(store: Store, limits: Limits = OLD) -> list[Removed]:
    """Remove what is kept no longer; returns what each transaction removed."""
    batches: list[Removed] = []
    after: str | None = ""
    while after is not None:
        looked = await store.retention.look(after, limits)
        while (removed := await store.retention.remove(looked.over)) != Removed():
            batches.append(removed)
        after = looked.after
    return batches


async def left(store: Store) -> list[str]:
    """Return the ids of the dispatches that are there, the oldest first."""
    return sorted(item.id for item in (await store.listings.dispatches(PageQuery(limit=200))).items)


def rows(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(path)) as connection:
        return {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (names of tables)
            for table in TABLES
        }


async def test_what_is_done_and_old_goes_with_all_that_belongs_to_it(store: Store, path: Path) -> None:
    await send(store, "m1", key="first")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "INSERT INTO attempts (delivery, number, at, outcome, reason) VALUES ('m1-id-two', 1, 0, 'transient', '')"
        )
    assert [rows(path)[table] for table in TABLES[:4]] == [1, 2, 1, 1]
    assert await trim(store, OLD._replace(keys_since_ms=NOW + 1)) == [Removed(dispatches=1, deliveries=2, others=1)]
    assert not any(rows(path).values())


@pytest.mark.parametrize(
    ("accepted_at", "due", "at"),
    [(NOW + DAY_MS, NOW + DAY_MS, NOW + DAY_MS), (NOW, NOW + DAY_MS, NOW + DAY_MS), (NOW, NOW, NOW + DAY_MS)],
    ids=["accepted", "scheduled", "retried"],
)
async def test_what_has_changed_lately_stays(store: Store, accepted_at: int, due: int, at: int) -> None:
    await send(store, "m1", accepted_at=accepted_at, due=due, at=at)
    assert await trim(store) == []
    assert await trim(store, Limits(before_ms=NOW + DAY_MS + 1)) == [Removed(1, 2)]


async def test_what_waits_stays_however_old_and_however_many(store: Store) -> None:
    await store.outbox.accept([message("m1"), message("m2", due=NOW + 1)])
    await send(store, "m3", Outcome.TRANSIENT)
    await spread(store, message("m4"))
    everything = Limits(NOW + 1000 * DAY_MS, last_delivery="z", last_dispatch="z", keys_since_ms=NOW + 1000 * DAY_MS)
    assert await trim(store, everything) == []
    ids = await left(store)
    assert ids == ["m1", "m2", "m3", "m4"]
    # Neither if somebody says that it is over.
    assert await store.retention.remove(ids) == Removed()
    assert await left(store) == ids


async def test_what_began_to_wait_after_it_was_looked_at_stays(store: Store, path: Path) -> None:
    await send(store, "m1")
    over = (await store.retention.look("", OLD)).over
    assert over == ("m1",)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE deliveries SET outcome = 'waiting' WHERE id = 'm1-id-two'")
    assert await store.retention.remove(over) == Removed(dispatches=0, deliveries=1)
    assert await store.retention.remove(over) == Removed()
    assert await left(store) == ["m1"]


async def test_a_dispatch_without_deliveries_goes_too(store: Store) -> None:
    await store.outbox.accept([message("m1", user="nobody")])
    await store.outbox.spread([], ["m1"], {})
    assert await trim(store) == [Removed(dispatches=1)]


async def test_what_an_idempotency_key_stands_for_stays_as_long_as_it(store: Store) -> None:
    await send(store, "m1", key="first")
    await send(store, "m2")
    everything = Limits(before_ms=NOW + 1, last_delivery="z", last_dispatch="z", keys_since_ms=NOW)
    assert await trim(store, everything) == [Removed(1, 2)]
    assert await left(store) == ["m1"]
    repeated = (await store.outbox.accept([message("m3", key=IdempotencyKey("admin", "first", b"d" * 32))])).repeats
    assert repeated == {"m3": ("m1", b"d" * 32)}


@pytest.mark.parametrize(("rows_kept", "stays"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (100, 4)])
async def test_of_too_many_deliveries_the_oldest_go(store: Store, rows_kept: int, stays: int) -> None:
    for number in range(4):
        await send(store, f"m{number}")
    await trim(store, await store.retention.limits(NOW, kept_ms=None, rows=rows_kept))
    assert await left(store) == [f"m{number}" for number in range(4)][4 - stays :]


async def test_of_too_many_dispatches_the_oldest_go(store: Store) -> None:
    for number in range(5):
        await store.outbox.accept([message(f"m{number}", user="nobody")])
        await store.outbox.spread([], [f"m{number}"], {})
    await trim(store, await store.retention.limits(NOW, kept_ms=None, rows=2))
    assert await left(store) == ["m3", "m4"]


async def test_what_was_scheduled_long_ahead_counts_by_its_deliveries(store: Store) -> None:
    await send(store, "m1")
    # Accepted first, and sent last.
    jobs = await spread(store, message("m0"))
    await store.outbox.settle([outcome(job, Outcome.ACCEPTED) for job in jobs], CLAIM, NOW)
    async with store._database.write() as transaction:
        for number, job in enumerate(jobs):
            await transaction.execute(
                deliveries.update().where(deliveries.c.id == job.delivery.id).values(id=f"m9-{number}")
            )
    await trim(store, await store.retention.limits(NOW, kept_ms=None, rows=2))
    assert await left(store) == ["m0"]


async def test_limits_are_as_they_are_set(store: Store) -> None:
    await send(store, "m1")
    since = NOW - IDEMPOTENCY_MS
    assert await store.retention.limits(NOW, kept_ms=DAY_MS, rows=None) == Limits(NOW - DAY_MS, keys_since_ms=since)
    assert await store.retention.limits(NOW, kept_ms=None, rows=None) == Limits(0, keys_since_ms=since)
    assert await store.retention.limits(NOW, kept_ms=None, rows=1) == Limits(0, "m1-id-one", "", since)
    assert await trim(store, Limits(0, keys_since_ms=since)) == []


async def test_no_transaction_removes_more_than_a_batch(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number in range(7):
        await send(store, f"m{number}", key=f"key {number}")
    await store.outbox.accept([message("m3a")])
    batches = await trim(store, OLD._replace(keys_since_ms=NOW + 1))
    assert all(0 < sum(removed) <= 3 for removed in batches)
    assert tuple(map(sum, zip(*batches, strict=True))) == (7, 14, 7)
    assert rows(path) == {**dict.fromkeys(TABLES, 0), "dispatches": 1}


async def test_looking_ends_where_all_is_younger(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(6):
        late = number > 1
        await send(store, f"m{number}", accepted_at=NOW + late * DAY_MS, due=NOW + late * DAY_MS, at=NOW)
    looked = await store.retention.look("", OLD)
    assert looked == (("m0", "m1"), "m1")
    assert await store.retention.look("m1", OLD) == ((), None)
    # But not where some of it is too much.
    assert await store.retention.look("m1", OLD._replace(last_dispatch="m4")) == (("m2", "m3"), "m3")


async def test_idempotency_keys_go_after_their_day(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for number in range(3):
        await store.outbox.accept([message(f"m{number}", key=IdempotencyKey("admin", f"{number}", b"d" * 32))])
    assert await store.retention.forget_keys(NOW + IDEMPOTENCY_MS) == 0
    assert [await store.retention.forget_keys(NOW + IDEMPOTENCY_MS + 1) for _ in range(3)] == [2, 1, 0]
    assert await left(store) == ["m0", "m1", "m2"]


async def test_a_key_that_is_still_there_after_its_day_is_not_remembered(store: Store, path: Path) -> None:
    for number in range(2):
        await store.outbox.accept([message(f"m{number}", key=IdempotencyKey("admin", f"{number}", b"d" * 32))])
    again = replace(message("m9", key=IdempotencyKey("admin", "0", b"e" * 32)), accepted_at_ms=NOW + IDEMPOTENCY_MS + 1)
    assert (await store.outbox.accept([again])).repeats == {}
    # Only its own went with it: accepting removes no more than it must.
    assert rows(path)["idempotency_keys"] == 2


async def test_invitations_go_some_time_after_their_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    codes = [bytes([number]) * 32 for number in range(4)]
    for number, code in enumerate(codes):
        await store.invitations.add("ada", code, now_ms=NOW, expires_at_ms=NOW + (number == 3))
    late = NOW + INVITATION_MS + 1
    assert await store.retention.forget_invitations(late - 1) == 0
    assert [await store.retention.forget_invitations(late) for _ in range(3)] == [2, 1, 0]
    faults = [
        (await store.invitations.redeem(code, enrollment="e", token_digest=b"s" * 32, now_ms=late)).fault
        for code in codes
    ]
    assert faults == [*[InvitationFault.UNKNOWN] * 3, InvitationFault.EXPIRED]


async def test_who_asks_for_what_went_is_told_that_it_may_have_been_there(store: Store) -> None:
    await send(store, "m1")
    await trim(store)
    for asking in (
        store.listings.dispatch("m1"),
        store.delivery_records.record("m1-id-one"),
        store.delivery_records.sendable("m1-id-one"),
        store.explaining.delivery("m1-id-one"),
    ):
        with pytest.raises(PushdeskError, match=r"no such (dispatch|delivery)\.") as caught:
            await asking
        assert caught.value.code == "not_found"
        assert caught.value.hint == "What is done is kept for as long as [retention] says: it may have been removed."


def test_statements_are_ones_that_postgresql_takes_too() -> None:
    statements = (
        retention.select_beyond(deliveries, 5),
        retention.select_next("", OLD),
        *(retention.delete_parts(table, ["a"], 5) for table in retention.PARTS),
        retention.delete_dispatches(["a"], 5),
        retention.delete_keys(NOW),
        retention.delete_invitations(NOW),
    )
    for statement in statements:
        for dialect in (sqlite.dialect(), postgresql.dialect()):  # type: ignore[no-untyped-call]
            assert str(statement.compile(dialect=dialect))


@pytest.mark.usefixtures("store")
def test_what_is_looked_for_is_found_by_an_index(path: Path) -> None:
    statements = [
        retention.select_beyond(deliveries, 5),
        retention.select_next("m", OLD),
        *(retention.delete_parts(table, ["a", "b"], 5) for table in retention.PARTS),
        retention.delete_dispatches(["a", "b"], 5),
        retention.delete_keys(NOW),
        retention.delete_invitations(NOW),
    ]
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            compiled = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {compiled}")]
            scans = [line for line in plan if line.startswith("SCAN") and "USING" not in line]
            assert scans == [], (str(compiled), plan)
