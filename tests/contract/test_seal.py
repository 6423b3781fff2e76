"""A database and the key that it is sealed with: what is in its files, and what is started without the right key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, text

from pushdesk.errors import DatabaseError, StartUpError
from pushdesk.model import KeyState
from pushdesk.storage import migrations
from pushdesk.storage.records import StoredKey
from pushdesk.storage.sealing import SealBrokenError, Sealer
from pushdesk.storage.store import Store
from tests.contract.storing import NOW, put, subscription

if TYPE_CHECKING:
    from pathlib import Path

KEY = Sealer(b"k" * 32)
OTHER = Sealer(b"o" * 32)
PEM = b"-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"
PLAIN = (b"push.example", b"a" * 16, b"BEGIN PRIVATE KEY", b"MIGHAgEAMBMG")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pushdesk.db"


async def fill(file: Path, sealer: Sealer | None) -> None:
    async with Store(file, sealer=sealer) as store:
        await put(store, subscription("one"))
        await put(store, subscription("two", user="bob"))
        await store.keys.make_current(StoredKey("key1", "public", PEM, KeyState.CURRENT, NOW))


def raw(file: Path) -> bytes:
    """Return all that is in the files of a database."""
    return b"".join(path.read_bytes() for path in sorted(file.parent.glob(f"{file.name}*")))


def change(file: Path, statement: str) -> list[tuple[object, ...]]:
    """Execute a statement behind the store's back."""
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(statement).fetchall()


async def assert_readable(file: Path, sealer: Sealer | None) -> None:
    async with Store(file, sealer=sealer) as store:
        found = await store.subscriptions.targets(["ada", "bob"])
        (one,), (two,) = (found[user].targets for user in ("ada", "bob"))
        assert (one.endpoint, one.auth) == ("https://push.example/one", b"a" * 16)
        assert two.endpoint == "https://push.example/two"
        assert [key.private_key for key in await store.keys.all()] == [PEM]


async def test_new_database_with_a_key_is_sealed_from_the_first_byte_on(file: Path) -> None:
    async with Store(file, sealer=KEY) as store:
        await put(store, subscription("one"))
        await store.keys.make_current(StoredKey("key1", "public", PEM, KeyState.CURRENT, NOW))
        assert [secret for secret in PLAIN if secret in raw(file)] == []
    assert [secret for secret in PLAIN if secret in raw(file)] == []


async def test_without_a_key_it_is_all_there_to_be_read(file: Path) -> None:
    await fill(file, None)
    assert [secret for secret in PLAIN if secret in raw(file)] == list(PLAIN)


async def test_what_was_sealed_is_read_with_the_key(file: Path) -> None:
    await fill(file, KEY)
    await assert_readable(file, KEY)


async def test_a_sealed_subscription_is_found_and_told_from_one_with_other_keys(file: Path) -> None:
    await fill(file, KEY)
    async with Store(file, sealer=KEY) as store:
        again = await put(store, subscription("one"))
        assert not again.changed
        assert (await store.subscriptions.find("ada", "https://push.example/one")).id == "id-one"
        moved = await put(store, subscription("one", user="bob"))
        assert (moved.subscription.user, moved.created) == ("bob", False)
    await assert_bob_has_both(file)


async def assert_bob_has_both(file: Path) -> None:
    async with Store(file, sealer=KEY) as store:
        targets = (await store.subscriptions.targets(["bob"]))["bob"].targets
    assert sorted(target.endpoint for target in targets) == ["https://push.example/one", "https://push.example/two"]


@pytest.mark.parametrize(
    ("sealed_with", "opened_with", "says"),
    [
        (KEY, None, f"is sealed with the key {KEY.key_id}, and there is no key"),
        (KEY, OTHER, f"is sealed with the key {KEY.key_id}, and this is another, {OTHER.key_id}"),
        (None, KEY, f"There is a sealing key, {KEY.key_id}, and the database is not sealed"),
    ],
)
async def test_database_and_key_that_disagree_start_nothing_and_change_nothing(
    file: Path, sealed_with: Sealer | None, opened_with: Sealer | None, says: str
) -> None:
    await fill(file, sealed_with)
    before = raw(file)
    with pytest.raises(StartUpError, match=says) as refused:
        async with Store(file, sealer=opened_with):
            pass
    assert refused.value.hint
    assert raw(file) == before
    await assert_readable(file, sealed_with)


async def test_lost_key_is_told_with_what_is_lost_and_what_is_not(file: Path) -> None:
    await fill(file, KEY)
    with pytest.raises(StartUpError) as refused:
        async with Store(file):
            pass
    said = str(refused.value)
    for word in ("every browser has to subscribe anew", "access tokens", "history", "PUSHDESK_SEAL_KEY"):
        assert word in said
    # What is not sealed is not carried over to another data directory.
    assert "stay in this database, for when the key is found" in said
    assert "another --data-dir, which has none of this" in said


async def test_an_older_database_stays_older_when_there_is_a_key_that_it_is_not_sealed_with(file: Path) -> None:
    engine = create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", migrations.__path__[0])
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.execute(text("INSERT INTO vapid_keys VALUES ('key1', 'public', x'00', 'current', 0)"))
        connection.execute(text("INSERT INTO server_state (id, generation, digest_key) VALUES (1, 0, x'00')"))
    engine.dispose()
    with pytest.raises(StartUpError, match="the database is not sealed"):
        async with Store(file, sealer=KEY):
            pass
    assert change(file, "SELECT version_num FROM alembic_version") == [("0002",)]


async def test_damaged_check_is_not_taken_for_a_right_key(file: Path) -> None:
    await fill(file, KEY)
    change(file, "UPDATE server_state SET seal_check = zeroblob(80)")
    with pytest.raises(StartUpError, match="was changed"):
        async with Store(file, sealer=KEY):
            pass


async def test_value_moved_to_another_subscription_is_not_sent_to_and_others_are(file: Path) -> None:
    await fill(file, KEY)
    change(
        file, "UPDATE subscriptions SET auth = (SELECT auth FROM subscriptions WHERE id = 'id-one') WHERE id = 'id-two'"
    )
    async with Store(file, sealer=KEY) as store:
        with pytest.raises(SealBrokenError, match="row id-two"):
            await store.subscriptions.targets(["bob"])
        assert (await store.subscriptions.targets(["ada"]))["ada"].targets


async def test_text_that_the_driver_cannot_read_is_not_shown(file: Path) -> None:
    await fill(file, None)
    change(file, "UPDATE subscriptions SET endpoint = CAST(x'ff' || endpoint AS TEXT)")
    async with Store(file) as store:
        with pytest.raises(DatabaseError) as failed:
            await store.subscriptions.targets(["ada"])
    assert "push.example" not in str(failed.value)
    assert "endpoint" in str(failed.value)
