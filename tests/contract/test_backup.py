"""Copies of a database: of one moment while it is worked on, looked at, and put in its place."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import DatabaseError, PushdeskError, StartUpError
from pushdesk.model import PageQuery
from pushdesk.storage import backup
from pushdesk.storage.backup import CopyStoppedError, copy_database, examine, put_in_place
from pushdesk.storage.revisions import HEAD
from pushdesk.storage.sealing import Sealer
from pushdesk.storage.store import Store
from tests.contract.storing import message, put, subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = Sealer(b"k" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pushdesk.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with Store(path) as opened:
        await put(opened, subscription())
        yield opened


async def accept(store: Store, first: int, number: int = 1) -> None:
    await store.outbox.accept([message(f"m{index:05d}") for index in range(first, first + number)])


def dispatches(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM dispatches").fetchone()[0])


def files(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.iterdir())


async def test_a_copy_is_one_file_with_what_the_log_holds(store: Store, path: Path, tmp_path: Path) -> None:
    await accept(store, 0, 10)
    assert path.with_name("pushdesk.db-wal").stat().st_size > 0
    copy = tmp_path / "copy"
    copy.touch()
    copy_database(path, copy)
    assert examine(copy) == (HEAD, (None, None))
    assert dispatches(copy) == 10
    assert files(copy) == ["copy", "pushdesk.db", "pushdesk.db-shm", "pushdesk.db-wal"]


async def test_a_copy_is_of_one_moment_while_others_write(
    store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES", 4)
    await accept(store, 0, 500)
    copy = tmp_path / "copy"
    copy.touch()
    pages = (await store.space.look()).pages
    steps = 0
    with closing(sqlite3.connect(path)) as writer:

        def write() -> bool:
            """Change something after each step. Begun anew each time, the copy would never end."""
            nonlocal steps
            steps += 1
            with writer:
                writer.execute("UPDATE dispatches SET title = ?", (str(steps),))
            return steps < pages

        copy_database(path, copy, is_wanted=write)
    assert pages // 4 <= steps < pages // 2
    examine(copy)
    with closing(sqlite3.connect(copy)) as connection:
        titles = {title for (title,) in connection.execute("SELECT title FROM dispatches")}
    assert len(titles) == 500


async def test_others_go_on_while_a_copy_is_made(store: Store, path: Path, tmp_path: Path) -> None:
    await accept(store, 0, 500)
    (tmp_path / "copy").touch()
    begun, written = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return written.wait(20)

    copying = asyncio.create_task(asyncio.to_thread(copy_database, path, tmp_path / "copy", is_wanted=wait))
    await asyncio.to_thread(begun.wait, 20)
    await accept(store, 500)
    written.set()
    await copying
    assert (dispatches(tmp_path / "copy"), dispatches(path)) == (500, 501)


async def test_a_copy_that_is_not_wanted_any_longer_ends(store: Store, path: Path, tmp_path: Path) -> None:
    await accept(store, 0, 500)
    (tmp_path / "copy").touch()
    with pytest.raises(CopyStoppedError):
        copy_database(path, tmp_path / "copy", is_wanted=lambda: False)


def test_what_cannot_be_copied_is_told(tmp_path: Path) -> None:
    (tmp_path / "copy").touch()
    (tmp_path / "text").write_text("This is no database." * 100)
    for source in (tmp_path / "nowhere", tmp_path, tmp_path / "text"):
        with pytest.raises(DatabaseError, match="could not be copied"):
            copy_database(source, tmp_path / "copy")


async def test_a_full_disk_is_told(store: Store, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await accept(store, 0, 500)
    (tmp_path / "copy").touch()
    real = backup._open

    def limited(file: Path, how: str) -> sqlite3.Connection:
        connection = real(file, how)
        if file.name == "copy":
            connection.execute("PRAGMA max_page_count = 20")
        return connection

    monkeypatch.setattr(backup, "_open", limited)
    with pytest.raises(PushdeskError) as caught:
        copy_database(path, tmp_path / "copy")
    assert caught.value.code == "disk_full"


async def test_a_sealed_copy_says_with_which_key(path: Path, tmp_path: Path) -> None:
    async with Store(path, sealer=KEY):
        (tmp_path / "copy").touch()
        copy_database(path, tmp_path / "copy")
    assert examine(tmp_path / "copy").seal.key_id == KEY.key_id


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize(
    ("statements", "says"),
    [
        (["UPDATE alembic_version SET version_num = '9999'"], "revision '9999', which this pushdesk does not know"),
        (["DROP TABLE server_state"], "not one of pushdesk's"),
        (["DROP TABLE alembic_version"], "not one of pushdesk's"),
        (["DELETE FROM alembic_version"], "It is damaged"),
        (["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET rootpage = 99999 WHERE name = 'chunks'"], "damaged"),
    ],
)
@pytest.mark.usefixtures("store")
async def test_what_this_pushdesk_could_not_work_on_is_refused(
    path: Path, tmp_path: Path, statements: list[str], says: str
) -> None:
    copy = tmp_path / "copy"
    copy.touch()
    copy_database(path, copy)
    change(copy, *statements)
    with pytest.raises(StartUpError, match=says):
        examine(copy)


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "copy").write_bytes(content)
    with pytest.raises(StartUpError, match=r"It is damaged, or no database|not one of pushdesk's"):
        examine(tmp_path / "copy")


@pytest.mark.usefixtures("store")
async def test_a_copy_of_an_older_schema_is_taken(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.touch()
    copy_database(path, copy)
    change(
        copy,
        "UPDATE alembic_version SET version_num = '0002'",
        "ALTER TABLE server_state DROP COLUMN seal_key_id",
        "ALTER TABLE server_state DROP COLUMN seal_check",
    )
    assert examine(copy) == ("0002", (None, None))


async def copied(path: Path) -> Path:
    """Make a database of three dispatches, and a copy from when there was one."""
    copy = path.with_name("copy")
    copy.touch()
    async with Store(path) as store:
        await accept(store, 0)
        copy_database(path, copy)
        await accept(store, 1, 2)
    return copy


async def test_a_copy_takes_the_place_of_the_database_which_is_kept(path: Path) -> None:
    copy = await copied(path)
    assert put_in_place(copy, path, path.with_name("before"))
    assert files(path) == ["before", "pushdesk.db"]
    assert (dispatches(path), dispatches(path.with_name("before"))) == (1, 3)
    async with Store(path) as restored:
        assert len((await restored.listings.dispatches(PageQuery())).items) == 1


async def test_a_database_whose_server_was_killed_is_kept_with_its_log(path: Path, tmp_path: Path) -> None:
    copy = await copied(path)
    killed = tmp_path / "killed"
    killed.mkdir()
    async with Store(path) as store:
        await accept(store, 3)
        for file in (path, path.with_name("pushdesk.db-wal"), path.with_name("pushdesk.db-shm"), copy):
            (killed / file.name).write_bytes(file.read_bytes())
    assert put_in_place(killed / "copy", killed / "pushdesk.db", killed / "before")
    assert files(killed / "before") == ["before", "pushdesk.db"]
    assert (dispatches(killed / "pushdesk.db"), dispatches(killed / "before")) == (1, 4)


async def test_a_damaged_database_is_kept_with_its_log_and_the_copy_has_none_of_it(path: Path) -> None:
    copy = await copied(path)
    path.write_bytes(b"damaged" * 1000)
    path.with_name("pushdesk.db-wal").write_bytes(b"its log")
    path.with_name("pushdesk.db-shm").write_bytes(b"its index")
    assert put_in_place(copy, path, path.with_name("before"))
    assert files(path) == ["before", "before-wal", "pushdesk.db"]
    assert path.with_name("before").read_bytes().startswith(b"damaged")
    assert dispatches(path) == 1


async def test_where_there_was_no_database_nothing_is_kept(path: Path) -> None:
    copy = await copied(path)
    path.unlink()
    path.with_name("pushdesk.db-wal").write_bytes(b"of a database that somebody removed")
    assert not put_in_place(copy, path, path.with_name("before"))
    assert files(path) == ["pushdesk.db"]
    assert dispatches(path) == 1


async def test_a_name_that_is_taken_is_not_written_over(path: Path) -> None:
    copy = await copied(path)
    path.with_name("before").write_text("mine")
    with pytest.raises(FileExistsError):
        put_in_place(copy, path, path.with_name("before"))
    assert path.with_name("before").read_text() == "mine"
    assert dispatches(path) == 3


async def test_a_file_system_without_second_names_will_do(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_names: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    copy = await copied(path)
    monkeypatch.setattr("pushdesk.storage.backup.os.link", refuse)
    assert put_in_place(copy, path, path.with_name("before"))
    assert (dispatches(path), dispatches(path.with_name("before"))) == (1, 3)
