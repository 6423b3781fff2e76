"""What is read of broadcasts to explain why a device did not get one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.model import DispatchKind, DispatchState, KeyState
from pushdesk.storage.explaining_broadcasts import BROADCASTS_LOOKED_THROUGH, select_broadcasts, select_stretches
from pushdesk.storage.records import StoredKey
from pushdesk.storage.schema import broadcast_users, broadcasts, chunks, dispatches
from pushdesk.storage.store import Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import NOW, put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy import Dialect

    from pushdesk.storage.explaining_broadcasts import Reach
    from tests.contract.tracing import Trace

SERVICE = "mozilla"


@pytest.fixture
async def store(path: Path, trace: Trace) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        await opened.keys.make_current(StoredKey("key1", "public key1", b"pem", KeyState.CURRENT, NOW))
        for name in ("a", "b", "c", "d"):
            await put(opened, subscription(name))
        trace.statements.clear()
        yield opened


async def broadcast(
    store: Store, id_: str, *settled: tuple[str, str], state: DispatchState = DispatchState.SENDING, **columns: Any
) -> None:
    """Have a broadcast, of which these stretches are settled."""
    users = columns.pop("listed", None)
    row = {
        "id": id_,
        "user": None,
        "kind": DispatchKind.BROADCAST,
        "title": "Hello, all",
        "message": b"{}",
        "urgency": "normal",
        "state": state,
        "accepted_at": NOW,
        "due_at": columns.pop("due", NOW),
        "expires_at": NOW + 60_000,
        "ttl_s": 60,
    }
    more = {
        "dispatch": id_,
        "planned": '{"mozilla": 4}',
        "last_subscription": "id-c",
        "users": None if users is None else len(users),
    }
    async with store._database.write() as transaction:
        await transaction.execute(insert(dispatches).values(row))
        await transaction.execute(insert(broadcasts).values(more | columns))
        for after, last in settled:
            part = {"recipients": 1, "accepted": 1, "superseded": 0}
            await transaction.execute(
                insert(chunks).values(dispatch=id_, service=SERVICE, after=after, last=last, **part)
            )
        for user in users or ():
            await transaction.execute(insert(broadcast_users).values(dispatch=id_, user=user))


async def reaches(store: Store, user: str = "ada") -> dict[str, Reach]:
    devices = (await store.explaining.user(user, NOW)).devices
    return {device.subscription.id: device.reach for device in devices if device.reach is not None}


async def test_of_a_device_it_is_known_whether_it_was_got_to(store: Store) -> None:
    assert await reaches(store) == {}
    await broadcast(store, "b1", ("", "id-a"), ("id-b", "id-c"), paused_at=NOW + 5)
    found = await reaches(store)
    assert {id_: (one.is_for, one.is_settled) for id_, one in found.items()} == {
        "id-a": (True, True),
        # Between two stretches: it is still to be got to.
        "id-b": (True, False),
        "id-c": (True, True),
        # It subscribed later.
        "id-d": (False, False),
    }
    one = found["id-a"]
    assert (one.sending.dispatch.id, one.sending.ttl_s, one.paused_at) == ("b1", 60, to_datetime(NOW + 5))
    assert (one.reached_at, one.is_cut_short) == (None, False)
    assert (await store.explaining.device("id-b")).reach == found["id-b"]


async def test_the_newest_that_is_due_and_for_the_user_is_told(store: Store) -> None:
    await broadcast(store, "b1", reached_at=NOW, unreached=3, state=DispatchState.CANCELLED)
    await broadcast(store, "b2", listed=["bob"])
    await broadcast(store, "b3", state=DispatchState.SCHEDULED, due=NOW + 1000)
    one = (await reaches(store))["id-a"]
    assert (one.sending.dispatch.id, one.reached_at, one.is_cut_short) == ("b1", to_datetime(NOW), True)
    await broadcast(store, "b4", listed=["ada"])
    assert (await reaches(store))["id-a"].sending.dispatch.id == "b4"
    # Whom a list named is forgotten when everybody was got to: it is not said to have been for them.
    for number in range(BROADCASTS_LOOKED_THROUGH):
        await broadcast(store, f"c{number:02}", listed=["bob"])
    assert await reaches(store) == {}


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])  # type: ignore[no-untyped-call]
def test_both_databases_would_take_the_statements(dialect: Dialect) -> None:
    for statement in (select_broadcasts("ada"), select_stretches("b1", ["s"])):
        assert str(statement.compile(dialect=dialect))


async def test_they_are_found_by_their_indexes(store: Store, path: Path, trace: Trace) -> None:
    await broadcast(store, "b1", ("", "id-a"), listed=["ada"])
    trace.statements.clear()
    await reaches(store)
    mine = [one for one in trace.statements if "broadcasts" in one or "chunks" in one]
    assert len(mine) == 2
    with closing(sqlite3.connect(path)) as connection:
        plans = [row[3] for one in mine for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]
    # The newest broadcasts are read from the end of their key.
    through = [step for step in plans if step.startswith("SCAN") and "USING" not in step]
    assert through == [], plans
    assert any("SEARCH chunks USING" in step and "after<?" in step for step in plans), plans
