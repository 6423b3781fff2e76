"""The database: read without a trace, whatever state it was left in; damage, age and what waits are said."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from pushdesk.doctor.database import INTEGRITY_S, LATE_S, Contents, judge_backlog, judge_troubles, look_at_database
from pushdesk.doctor.findings import Check, Level
from pushdesk.errors import DatabaseError
from pushdesk.model import KeyState, Outcome, Service, SubscriptionState
from pushdesk.storage.inspection import Backlog, TookTooLongError, Trouble, open_inspection, state_of_files
from pushdesk.storage.records import StoredKey
from pushdesk.storage.revisions import HEAD
from pushdesk.storage.schema import server_state
from pushdesk.storage.store import Store
from pushdesk.webpush.vapid import SigningKey
from tests.clocks import FrozenClock
from tests.contract.storing import CLAIM, NOW, message, outcome, put, spread, subscription
from tests.doctor.surroundings import found, tree

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.doctor.findings import Finding

CLOCK = FrozenClock(NOW / 1000 + 3600)
GENERATION = select(server_state.c.generation)
WRITING = update(server_state).values(generation=1)
A_CRASH = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("UPDATE server_state SET generation = 41 + 1")
os._exit(0)
"""


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A database with a key, three subscriptions, and a delivery that waits."""
    path = tmp_path / "data" / "pushdesk.db"
    path.parent.mkdir()
    async with Store(path) as store:
        await make_key(store)
        for name, user in (("one", "ada"), ("two", "ada"), ("three", "bob")):
            await put(store, subscription(name, user, (await store.keys.all())[0].id))
        await spread(store, message("m1", "bob"))
        await store.outbox.release_claims()
    return path


async def make_key(store: Store) -> SigningKey:
    key = SigningKey.generate()
    await store.keys.make_current(StoredKey(key.id, key.public_key, key.to_pem(), KeyState.CURRENT, NOW))
    return key


def look(path: Path, *, is_served: bool = False) -> tuple[list[Finding], Contents]:
    return look_at_database(path, is_served=is_served, clock=CLOCK)


def change(path: Path, statement: str, *parameters: Any) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(statement, parameters)


def test_without_a_database_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    findings, contents = look(tmp_path / "pushdesk.db")
    assert found(findings, Check.DATABASE).level is Level.NOT_LOOKED_AT
    assert contents == Contents()
    assert tree(tmp_path) == {}


def test_a_database_is_looked_at_and_left_as_it_is(path: Path) -> None:
    before = tree(path.parent)
    findings, contents = look(path)
    assert tree(path.parent) == before
    assert {finding.check: finding.level for finding in findings} == {
        Check.SIZE: Level.OK,
        Check.DATABASE: Level.OK,
        Check.SCHEMA: Level.OK,
        Check.INTEGRITY: Level.OK,
        Check.QUEUE: Level.WARNING,
        Check.ANSWERS: Level.OK,
        Check.DEVICES: Level.OK,
    }
    assert "1 delivery waits" in found(findings, Check.QUEUE).what
    assert found(findings, Check.DEVICES).what == "3 subscriptions can be sent to."
    assert contents.keys is not None
    assert len(contents.keys) == 1
    assert contents.active(Service.MOZILLA) == 3
    assert contents.seal is not None
    assert contents.seal.key_id is None


@pytest.fixture
async def crashed(path: Path) -> Path:
    """The same database, after a process that had changed it was killed."""
    crash = await asyncio.create_subprocess_exec(sys.executable, "-c", A_CRASH, str(path))
    assert await crash.wait() == 0
    assert path.with_name("pushdesk.db-wal").stat().st_size > 0
    return path


def test_what_a_killed_server_left_in_the_log_is_read_and_left_there(crashed: Path) -> None:
    before = tree(crashed.parent)
    with open_inspection(crashed, is_served=False, monotonic=CLOCK.monotonic) as inspection:
        assert inspection._ask(GENERATION) == [(42,)]
    findings, _ = look(crashed)
    assert tree(crashed.parent) == before
    assert found(findings, Check.DATABASE).level is Level.OK
    assert found(findings, Check.INTEGRITY).level is Level.OK


@pytest.mark.parametrize("content", [None, b"\0" * 4096, b"no log"])
def test_a_log_without_its_index_is_left_alone_and_said_to_be(crashed: Path, content: bytes | None) -> None:
    crashed.with_name("pushdesk.db-shm").unlink()
    if content is not None:
        crashed.with_name("pushdesk.db-wal").write_bytes(content)
    before = tree(crashed.parent)
    findings, contents = look(crashed)
    assert tree(crashed.parent) == before
    finding = found(findings, Check.DATABASE)
    assert finding.level is Level.WARNING
    assert "not looked at" in finding.what
    assert contents.keys is not None


@pytest.mark.parametrize("content", [b"\0" * 4096, b"no log", b""])
def test_a_log_and_an_index_that_hold_nothing_are_left_alone(crashed: Path, content: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        crashed.with_name(f"pushdesk.db{suffix}").write_bytes(content)
    before = tree(crashed.parent)
    findings, _ = look(crashed)
    assert tree(crashed.parent) == before
    assert found(findings, Check.DATABASE).level is Level.OK


async def test_beside_a_running_server_what_it_has_just_written_is_seen(path: Path) -> None:
    async with Store(path) as store:
        await put(store, subscription("four", "eve", (await store.keys.all())[0].id))
        files = set(path.parent.iterdir())
        findings, contents = await asyncio.to_thread(look, path, is_served=True)
        assert set(path.parent.iterdir()) == files
        assert contents.active(Service.MOZILLA) == 4
        assert "No server runs" not in found(findings, Check.QUEUE).what
        await put(store, subscription("five", "eve"))


async def test_a_server_that_starts_meanwhile_is_noticed(path: Path) -> None:
    before = state_of_files(path)
    async with Store(path) as store:
        await put(store, subscription("four", "eve"))
        assert state_of_files(path) != before


def test_a_file_that_is_no_database_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "pushdesk.db"
    path.write_bytes(b"no database, and longer than the header of one" * 100)
    findings, _ = look(path)
    finding = found(findings, Check.DATABASE)
    assert finding.level is Level.BROKEN
    assert "backup" in finding.advice
    assert {finding.check for finding in findings} == {Check.SIZE, Check.DATABASE}


def test_an_empty_file_is_broken_as_nothing_of_ours_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "pushdesk.db"
    path.touch()
    findings, _ = look(path)
    assert found(findings, Check.SCHEMA).level is Level.BROKEN


def test_a_damaged_table_is_broken_and_the_rest_is_looked_at(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        ((root,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'deliveries'").fetchall()
        ((page,),) = database.execute("PRAGMA page_size").fetchall()
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    findings, contents = look(path)
    finding = found(findings, Check.INTEGRITY)
    assert finding.level is Level.BROKEN
    assert "malformed" in finding.what or "btree" in finding.what.lower()
    assert found(findings, Check.QUEUE).level is Level.BROKEN
    assert contents.keys is not None


def test_a_row_that_means_nothing_is_broken(path: Path) -> None:
    change(path, "UPDATE subscriptions SET state = 'confused' WHERE id = 'id-one'")
    findings, contents = look(path)
    assert found(findings, Check.DEVICES).level is Level.BROKEN
    assert contents.keys is not None


@pytest.mark.parametrize(
    ("revision", "level", "said"), [("9999", Level.BROKEN, "newer version"), ("0001", Level.WARNING, "next start")]
)
def test_another_revision_is_said_and_its_tables_are_not_looked_into(
    path: Path, revision: str, level: Level, said: str
) -> None:
    change(path, "UPDATE alembic_version SET version_num = ?", revision)
    findings, contents = look(path)
    finding = found(findings, Check.SCHEMA)
    assert finding.level is level
    assert said in finding.why
    assert revision in finding.what
    assert contents == Contents()
    assert not any(finding.check is Check.QUEUE for finding in findings)


def test_the_newest_revision_is_named(path: Path) -> None:
    assert HEAD in found(look(path)[0], Check.SCHEMA).what


def test_subscriptions_with_a_key_that_is_not_there_are_broken(path: Path) -> None:
    change(path, "UPDATE subscriptions SET key_id = '00000000' WHERE user = 'ada'")
    finding = found(look(path)[0], Check.DEVICES)
    assert finding.level is Level.BROKEN
    assert finding.what.startswith("2 subscriptions were made with a key that is not there")


def test_many_subscriptions_of_another_key_are_a_warning_and_few_are_not(path: Path) -> None:
    change(path, "UPDATE subscriptions SET state = 'key_mismatch' WHERE id = 'id-one'")
    assert found(look(path)[0], Check.DEVICES).level is Level.WARNING
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TEMP TABLE another AS SELECT * FROM subscriptions WHERE id = 'id-two'")
        for number in range(20):
            database.execute("UPDATE another SET id = ?, endpoint_digest = randomblob(32)", (f"id-{number}",))
            database.execute("INSERT INTO subscriptions SELECT * FROM another")
    assert found(look(path)[0], Check.DEVICES).level is Level.OK


def test_a_write_ahead_log_that_only_grows_is_a_warning(path: Path) -> None:
    with path.with_name("pushdesk.db-wal").open("wb") as log:
        log.truncate(300_000_000)
    finding = found(look(path)[0], Check.SIZE)
    assert finding.level is Level.WARNING
    assert "300.0 MB" in finding.what


async def test_what_push_services_said_is_said_without_what_they_should_not_say(path: Path) -> None:
    async with Store(path) as store:
        (job,) = await spread(store, message("m2", "bob"))
        await store.outbox.settle([outcome(job, Outcome.OUR_CONFIGURATION)], CLAIM, NOW)
    change(
        path,
        "UPDATE deliveries SET reason = ?, at = ? WHERE outcome = 'our_configuration'",
        "<b>BadJwtToken</b>\x1b[2J",
        NOW,
    )
    finding = found(look(path)[0], Check.ANSWERS)
    assert finding.level is Level.BROKEN
    assert finding.what == "Mozilla refused what this server signs: BadJwtToken"


@pytest.mark.parametrize(
    ("result", "level"),
    [
        (Outcome.OUR_CONFIGURATION, Level.BROKEN),
        (Outcome.EXPIRED, Level.WARNING),
        (Outcome.REFUSED, Level.WARNING),
        (Outcome.ACCEPTED, Level.OK),
        (Outcome.GONE, Level.OK),
    ],
)
def test_only_what_an_operator_can_change_is_complained_of(result: Outcome, level: Level) -> None:
    assert judge_troubles((Trouble(Service.APPLE, result, 3, "Because."),)).level is level


def test_what_was_said_more_than_a_day_ago_is_past(path: Path) -> None:
    change(path, "UPDATE deliveries SET outcome = 'refused', at = ?", NOW - 24 * 3_600_000)
    assert found(look(path)[0], Check.ANSWERS).level is Level.OK
    change(path, "UPDATE deliveries SET at = ?", NOW)
    assert found(look(path)[0], Check.ANSWERS).level is Level.WARNING


@pytest.mark.parametrize(
    ("backlog", "is_served", "level"),
    [
        (Backlog(0, 0, 0, None), False, Level.OK),
        (Backlog(0, 5, 0, None), False, Level.OK),
        (Backlog(1, 0, 0, NOW), False, Level.WARNING),
        (Backlog(1, 0, 4, NOW - LATE_S * 1000), True, Level.OK),
        (Backlog(1, 0, 4, NOW - LATE_S * 1000 - 1000), True, Level.WARNING),
        (Backlog(0, 0, 4, None), True, Level.OK),
    ],
)
def test_what_waits_is_late_when_nobody_or_nothing_sends_it(backlog: Backlog, level: Level, *, is_served: bool) -> None:
    assert judge_backlog(backlog, now_ms=NOW, is_served=is_served).level is level


def test_the_age_of_what_waits_is_that_of_the_oldest_that_is_due(path: Path) -> None:
    with open_inspection(path, is_served=False, monotonic=CLOCK.monotonic) as inspection:
        assert inspection.backlog(NOW + 1) == Backlog(0, 0, 1, NOW)
        assert inspection.backlog(NOW - 1).oldest_ms is None


def test_hosts_of_endpoints_are_told_and_nothing_else_of_them(path: Path) -> None:
    secret = "https://wns2-xyz.notify.windows.com/w/?token=SECRET%2f"
    change(path, "UPDATE subscriptions SET service = 'wns', endpoint = ? WHERE id = 'id-one'", secret)
    change(path, "UPDATE subscriptions SET service = 'wns', endpoint = 'AXNlYWxlZA' WHERE id = 'id-two'")
    change(path, "UPDATE subscriptions SET service = 'wns', endpoint = 'https://[bad' WHERE id = 'id-three'")
    findings, contents = look(path)
    assert contents.edge_hosts == {"wns2-xyz.notify.windows.com"}
    assert "SECRET" not in repr((findings, contents))
    assert contents.devices == {(Service.WNS, SubscriptionState.ACTIVE): 3}


@pytest.fixture
def large(path: Path) -> Path:
    """A database with more rows than are counted within no time."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(
            "INSERT INTO deliveries (id, dispatch, user, subscription, service, device, outcome, reason, attempts, at)"
            " WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n LIMIT 30000)"
            " SELECT 'd' || value, 'm1', 'ada', 'id-one', 'fcm', '', 'accepted', '', 1, value FROM n"
        )
    return path


class Racing(FrozenClock):
    """A clock on which every look takes ten seconds."""

    def monotonic(self) -> float:
        self.advance(10)
        return self.now


def test_of_a_large_database_as_much_is_looked_at_as_there_is_time_for(large: Path) -> None:
    with open_inspection(large, is_served=False, monotonic=Racing().monotonic) as inspection:
        with pytest.raises(TookTooLongError):
            inspection.troubles(0)
        integrity = inspection.integrity(INTEGRITY_S)
    assert integrity.problems == ()
    assert "deliveries" in integrity.unchecked
    findings, _ = look_at_database(large, is_served=False, clock=Racing(CLOCK.now))
    assert found(findings, Check.ANSWERS).level is Level.NOT_LOOKED_AT
    assert found(findings, Check.INTEGRITY).level is Level.OK
    assert "deliveries" in found(findings, Check.INTEGRITY).what


def test_nothing_can_be_written_to_what_is_looked_at(path: Path) -> None:
    for is_served in (False, True):
        with (
            open_inspection(path, is_served=is_served, monotonic=CLOCK.monotonic) as inspection,
            pytest.raises(DatabaseError, match="readonly"),
        ):
            inspection._ask(WRITING)
