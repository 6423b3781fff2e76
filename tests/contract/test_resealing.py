"""Sealing a database that is there, changing its key, unsealing it; cut off anywhere, and done to its end."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import DatabaseError, StartUpError
from pushdesk.model import KeyState
from pushdesk.storage import resealing
from pushdesk.storage.database import Database
from pushdesk.storage.records import StoredKey
from pushdesk.storage.resealing import Resealed, Resealing
from pushdesk.storage.sealing import Sealer
from pushdesk.storage.store import Store
from tests.contract.storing import NOW, put, subscription
from tests.contract.test_seal import PEM, PLAIN, change, raw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

COUNT = 7
ALL = Resealed(endpoints=COUNT, auths=COUNT, private_keys=2)


class CutOffError(Exception):
    """What a cut is played with: nothing after it happens."""


class Random:
    """Random bytes for so many nonces, and then a cut."""

    def __init__(self, until: int = 10**9) -> None:
        self.left = until

    def __call__(self, size: int) -> bytes:
        if self.left == 0:
            raise CutOffError
        self.left -= 1
        return os.urandom(size)


def first(cut: int = 10**9) -> Sealer:
    return Sealer(b"1" * 32, random_bytes=Random(cut))


def second(cut: int = 10**9) -> Sealer:
    return Sealer(b"2" * 32, random_bytes=Random(cut))


@pytest.fixture
async def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database that is not sealed, and a small batch."""
    monkeypatch.setattr(resealing, "BATCH", 2)
    path = tmp_path / "pushdesk.db"
    async with Store(path) as store:
        for number in range(COUNT):
            await put(store, subscription(f"device-{number}", user=f"user-{number}"))
        for name in ("old", "new"):
            await store.keys.make_current(StoredKey(name, f"public {name}", PEM, KeyState.CURRENT, NOW))
    return path


def nothing(*_args: object) -> None:
    pass


async def reseal(
    file: Path,
    to: Sealer,
    *known: Sealer,
    begin: Callable[[], None] = nothing,
    on_values: Callable[[Resealed], None] = nothing,
) -> Resealed:
    return await Resealing(file, to=to, known=known, begin=begin, on_values=on_values).run()


async def assert_all_there(file: Path, sealer: Sealer | None) -> None:
    users = [f"user-{number}" for number in range(COUNT)]
    async with Store(file, sealer=sealer) as store:
        found = await store.subscriptions.targets(users)
        targets = [target for user in users for target in found[user].targets]
        assert [target.endpoint for target in targets] == [f"https://push.example/device-{n}" for n in range(COUNT)]
        assert {target.auth for target in targets} == {b"a" * 16}
        assert [key.private_key for key in await store.keys.all()] == [PEM, PEM]


def lingering(file: Path) -> Sequence[bytes]:
    return [secret for secret in PLAIN if secret in raw(file)]


async def test_sealing_leaves_nothing_plain_in_the_files(file: Path) -> None:
    assert lingering(file) == list(PLAIN)
    assert await reseal(file, first()) == ALL
    assert lingering(file) == []
    await assert_all_there(file, first())
    assert lingering(file) == []


async def test_what_was_removed_before_does_not_linger_in_free_pages(file: Path) -> None:
    async with Store(file) as store:
        for number in range(200):
            await put(store, subscription(f"removed-{number}", user=f"removed-{number}"))
    with closing(sqlite3.connect(file)) as connection, connection:
        # As one does that was built without SECURE_DELETE, and wrote here before.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM subscriptions WHERE id LIKE 'id-removed-%'")
    assert b"removed-199" in raw(file)
    await reseal(file, first())
    assert [secret for secret in (*PLAIN, b"/removed-") if secret in raw(file)] == []


async def test_sealing_leaves_nothing_plain_in_a_log_that_somebody_else_keeps_open(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        # Whoever closes the database now is not the last to do so, and leaves the log there.
        connection.execute("SELECT count(*) FROM subscriptions").fetchall()
        await reseal(file, first())
        assert file.with_name(f"{file.name}-wal").stat().st_size
        assert lingering(file) == []
    assert lingering(file) == []


async def test_sealing_twice_changes_nothing_and_says_so(file: Path) -> None:
    await reseal(file, first())
    before = raw(file)
    assert await reseal(file, first()) == Resealed()
    assert raw(file) == before


async def test_unsealing_brings_all_back(file: Path) -> None:
    await reseal(file, first())
    assert await reseal(file, Sealer(), first()) == ALL
    await assert_all_there(file, None)
    assert await reseal(file, Sealer(), first()) == Resealed()


async def test_another_key_takes_the_place_of_the_first(file: Path) -> None:
    await reseal(file, first())
    assert await reseal(file, second(), first()) == ALL
    await assert_all_there(file, second())
    assert bytes.fromhex(first().key_id or "") not in raw(file)


def cuts() -> list[int]:
    """Every point at which a sealing can be cut off: each value is sealed with one nonce, as is what the state says."""
    return list(range(2 * COUNT + 2 + 2))


@pytest.mark.parametrize("cut", cuts())
async def test_sealing_that_was_cut_off_is_gone_on_with(file: Path, cut: int) -> None:
    with pytest.raises(CutOffError):
        await reseal(file, first(cut))
    for sealer in (None, first()):
        if cut == 0 and sealer is None:
            continue
        with pytest.raises(StartUpError):
            async with Store(file, sealer=sealer):
                pass
    await reseal(file, first())
    assert lingering(file) == []
    await assert_all_there(file, first())


@pytest.mark.parametrize("cut", cuts())
async def test_change_of_keys_that_was_cut_off_is_gone_on_with_or_ended_by_unsealing(file: Path, cut: int) -> None:
    await reseal(file, first())
    with pytest.raises(CutOffError):
        await reseal(file, second(cut), first())
    if cut % 2:
        await reseal(file, second(), first())
        await assert_all_there(file, second())
    else:
        await reseal(file, Sealer(), first(), second())
        await assert_all_there(file, None)


async def test_cut_off_while_the_file_is_written_anew_it_is_not_taken_for_sealed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_database: Database) -> None:
        raise DatabaseError("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr(Database, "write_anew", fail)
        with pytest.raises(DatabaseError):
            await reseal(file, first())
    with pytest.raises(StartUpError, match="begun and has not ended"):
        async with Store(file, sealer=first()):
            pass
    assert await reseal(file, first()) == Resealed()
    assert lingering(file) == []
    await assert_all_there(file, first())


async def test_unsealing_that_was_cut_off_can_be_turned_back(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await reseal(file, first())
    batches = 0

    async def cut_off(_resealing: Resealing, _database: Database, _last: str) -> str | None:
        nonlocal batches
        batches += 1
        if batches > 2:
            raise CutOffError
        return await real(_resealing, _database, _last)

    real = Resealing._subscriptions_after
    with monkeypatch.context() as cutting:
        cutting.setattr(Resealing, "_subscriptions_after", cut_off)
        with pytest.raises(CutOffError):
            await reseal(file, Sealer(), first())
    assert lingering(file)
    assert (await reseal(file, first())).endpoints == 4
    assert lingering(file) == []
    await assert_all_there(file, first())


async def test_the_wrong_old_key_changes_nothing(file: Path) -> None:
    await reseal(file, first())
    before = raw(file)
    begun: list[None] = []
    for known in ((), (Sealer(b"3" * 32),)):
        with pytest.raises(StartUpError, match=f"{first().key_id}, which is not given"):
            await reseal(file, second(), *known, begin=lambda: begun.append(None))
    assert (raw(file), begun) == (before, [])


async def test_a_third_key_waits_until_the_second_is_everywhere(file: Path) -> None:
    await reseal(file, first())
    with pytest.raises(CutOffError):
        await reseal(file, second(5), first())
    with pytest.raises(StartUpError, match="was begun and has not ended"):
        await reseal(file, Sealer(b"3" * 32), first(), second())
    with pytest.raises(StartUpError, match=f"{first().key_id}, which is not given") as refused:
        await reseal(file, second())
    assert "--old-key-file" in refused.value.hint
    await reseal(file, second(), first())
    await assert_all_there(file, second())


async def test_nothing_is_changed_when_the_key_cannot_be_kept(file: Path) -> None:
    before = raw(file)

    def fail() -> None:
        raise StartUpError("The key file is there already.")

    with pytest.raises(StartUpError, match="there already"):
        await reseal(file, first(), begin=fail)
    assert raw(file) == before
    await assert_all_there(file, None)


async def test_damaged_value_is_left_counted_and_in_nobodys_way(file: Path) -> None:
    await reseal(file, first())
    change(file, "UPDATE subscriptions SET auth = CAST(substr(auth, 1, 40) || x'00' AS BLOB) WHERE id = 'id-device-3'")
    done = await reseal(file, second(), first())
    assert done == ALL._replace(auths=COUNT - 1, damaged=1)
    async with Store(file, sealer=second()) as store:
        assert (await store.subscriptions.targets(["user-4"]))["user-4"].targets


async def test_erased_private_half_of_a_revoked_key_stays_erased(file: Path) -> None:
    change(file, "UPDATE vapid_keys SET private_key = x'', state = 'revoked' WHERE id = 'old'")
    assert (await reseal(file, first())).private_keys == 1
    assert await reseal(file, first()) == Resealed()
    assert change(file, "SELECT private_key FROM vapid_keys WHERE id = 'old'") == [(b"",)]


async def test_it_is_told_when_the_values_are_done(file: Path) -> None:
    told: list[Resealed] = []
    await reseal(file, first(), on_values=told.append)
    assert told == [ALL]
