"""What is kept of the lanes, and how it is found."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql, sqlite

from pushdesk.model import Outcome, Service
from pushdesk.storage import migrations
from pushdesk.storage.lanes import free_awaiting, select_awaited
from pushdesk.storage.store import DATABASE_NAME, Store

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Dialect

KEY = "11111111"
LATER_MS = 10**12


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / DATABASE_NAME


def fill(file: Path, *deliveries: tuple[str, Service, str | None]) -> None:
    """Store deliveries that wait until later, each for a key or for nothing."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO dispatches (id, user, kind, title, message, urgency, state, accepted_at, due_at, expires_at) "
            "VALUES ('d', 'ada', 'notification', 'Hello', '{}', 'normal', 'sending', 0, 0, ?)",
            (LATER_MS,),
        )
        database.executemany(
            "INSERT INTO deliveries (id, dispatch, user, subscription, service, device, outcome, reason, attempts, at, "
            "next_attempt_at, awaits_key) VALUES (?, 'd', 'ada', 's', ?, 'phone', 'waiting', '', 0, 0, ?, ?)",
            [(id_, service, LATER_MS, key) for id_, service, key in deliveries],
        )


async def test_a_pause_is_kept_since_when_it_was_made(file: Path) -> None:
    async with Store(file) as store:
        assert await store.lanes.paused() == {}
        await store.lanes.pause(Service.FCM, 1000)
        await store.lanes.pause(Service.FCM, 2000)
        await store.lanes.pause(Service.WNS, 3000)
    async with Store(file) as store:
        assert await store.lanes.paused() == {Service.FCM: 1000, Service.WNS: 3000}
        await store.lanes.resume(Service.FCM)
        await store.lanes.resume(Service.APPLE)
        assert await store.lanes.paused() == {Service.WNS: 3000}


async def test_what_waits_for_a_key_is_made_due_oldest_first_and_nothing_else_is(file: Path) -> None:
    async with Store(file) as store:
        fill(
            file,
            ("3", Service.APPLE, KEY),
            ("1", Service.APPLE, KEY),
            ("2", Service.APPLE, KEY),
            ("of another key", Service.APPLE, "22222222"),
            ("of another service", Service.FCM, KEY),
            ("tried again later", Service.APPLE, None),
        )
        assert set(await store.lanes.awaited()) == {
            (Service.APPLE, KEY),
            (Service.APPLE, "22222222"),
            (Service.FCM, KEY),
        }
        assert await store.lanes.free(Service.APPLE, KEY, 5, 2) == 2
        claimed = await store.outbox.claim("claim", Service.APPLE, 5, 10)
        assert [(item.delivery.id, item.delivery.outcome) for item in claimed] == [
            ("1", Outcome.WAITING),
            ("2", Outcome.WAITING),
        ]
        assert await store.lanes.free(Service.APPLE, KEY, 5, 2) == 1
        assert await store.lanes.free(Service.APPLE, KEY, 5, 2) == 0


async def test_what_is_claimed_waits_for_no_key_any_longer(file: Path) -> None:
    async with Store(file) as store:
        fill(file, ("1", Service.APPLE, KEY))
        await store.outbox.claim("claim", Service.APPLE, LATER_MS, 10)
        assert await store.lanes.awaited() == ()


@pytest.mark.parametrize("dialect", [postgresql.dialect(), sqlite.dialect()], ids=["postgresql", "sqlite"])  # type: ignore[no-untyped-call]
def test_both_databases_would_take_the_statements(dialect: Dialect) -> None:
    for statement in (select_awaited(), free_awaiting(Service.FCM, KEY, 0, 1)):
        assert "awaits_key" in str(statement.compile(dialect=dialect))


async def test_what_waits_for_a_key_is_found_by_its_index(file: Path) -> None:
    async with Store(file):
        pass
    statement = free_awaiting(Service.FCM, KEY, 0, 10).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    with closing(sqlite3.connect(file)) as database:
        plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert any("ix_deliveries_service_awaits_key_id" in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


async def test_the_deliveries_of_an_older_database_are_worked_on(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.execute(text("INSERT INTO server_state (id, generation, digest_key) VALUES (1, 0, x'00')"))
        connection.execute(
            text(
                "INSERT INTO dispatches (id, user, kind, title, message, urgency, state, accepted_at, due_at, "
                "expires_at) VALUES ('d', 'ada', 'notification', 'Hello', x'7b7d', 'normal', 'sending', 0, 0, 9)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO deliveries (id, dispatch, user, subscription, service, device, outcome, reason, attempts, "
                "at, next_attempt_at) VALUES ('1', 'd', 'ada', 's', 'fcm', 'phone', 'transient', '', 1, 0, 5)"
            )
        )
    engine.dispose()
    async with Store(file) as store:
        assert await store.lanes.awaited() == ()
        (claimed,) = await store.outbox.claim("claim", Service.FCM, 5, 10)
        assert (claimed.delivery.id, claimed.message.plaintext) == ("1", b"{}")
