"""What is removed leaves room in the file, and the room is given back to the disk."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from pushdesk.errors import DatabaseError
from pushdesk.storage import space
from pushdesk.storage.retention import Limits, Removed
from pushdesk.storage.schema import dispatches
from pushdesk.storage.store import Store
from tests.contract.storing import NOW, message

if TYPE_CHECKING:
    from pathlib import Path

EVERYTHING = Limits(before_ms=NOW + 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushdesk.db"


@pytest.fixture
async def older(path: Path) -> Path:
    """A database whose file does not give anything back."""
    async with Store(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM")
    return path


async def fill_and_trim(store: Store, number: int = 300) -> None:
    """Accept so much that it takes about a megabyte, and remove all of it but the first."""
    names = [f"m{index:04d}" for index in range(number)]
    await store.outbox.accept([replace(message(name, user="nobody"), plaintext=b"x" * 3500) for name in names])
    await store.outbox.spread([], names[1:], {})
    after: str | None = ""
    while after is not None:
        over, after = await store.retention.look(after, EVERYTHING)
        while await store.retention.remove(over) != Removed():
            pass
    assert (await store.listings.dispatch(names[0])).title == f"Title of {names[0]}"


async def test_room_is_given_back_a_little_at_a_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "STEP", 50)
    async with Store(path) as store:
        await fill_and_trim(store)
        full = await store.space.look()
        assert full.gives_back
        assert full.unused > 250
        assert await store.space.give_back()
        once = await store.space.look()
        assert once.unused == full.unused - 50
        assert once.pages <= full.pages - 50
        steps = 1
        while await store.space.give_back():
            steps += 1
        assert steps >= full.unused // 50
        assert (await store.space.look()).unused == 0
        assert (await store.listings.dispatch("m0000")).title == "Title of m0000"
    assert path.stat().st_size < full.size // 2


async def test_an_older_file_gives_nothing_back_until_it_is_written_anew(older: Path) -> None:
    async with Store(older) as store:
        await fill_and_trim(store)
        before = await store.space.look()
        assert not before.gives_back
        assert not await store.space.give_back()
        assert (await store.space.look()).unused == before.unused > 250
        await store.space.vacuum()
        after = await store.space.look()
        assert (after.gives_back, after.unused) == (True, 0)
        assert older.stat().st_size == after.size < before.size // 2
    async with Store(older) as store:
        assert (await store.space.look()).gives_back


@pytest.mark.parametrize("kind", ["newer", "older"])
async def test_a_database_is_made_smaller_while_others_read_and_write(kind: str, path: Path, older: Path) -> None:
    if kind == "newer":
        older.unlink()
    async with Store(path) as store:
        await fill_and_trim(store)
        async with store._database.snapshot() as snapshot:
            await snapshot.execute(select(dispatches.c.id))
            vacuum = asyncio.create_task(store.space.vacuum())
            await store.outbox.accept([message(f"n{number}", user="nobody") for number in range(5)])
            await vacuum
        assert (await store.space.look()).unused == 0
        assert len((await store.outbox.due(NOW, 100)).opened) == 6


async def test_a_failing_disk_is_told_and_the_writer_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Store(path) as store:
        monkeypatch.setattr(space, "STEP", "nonsense)(")
        await fill_and_trim(store)
        with pytest.raises(DatabaseError, match=r"The database failed: .*syntax error"):
            await store.space.give_back()
        await store.outbox.accept([message("after", user="nobody")])
