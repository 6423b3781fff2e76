"""A database whose file cannot be opened, or not any longer."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from pushdesk.errors import DatabaseError
from pushdesk.storage.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pushdesk.storage.transaction import Reader


@pytest.mark.parametrize("use", [Database.write, Database.snapshot, Database.read])
async def test_a_connection_that_cannot_be_opened_is_told_with_its_cause(
    tmp_path: Path, use: Callable[[Database], AbstractAsyncContextManager[Reader]]
) -> None:
    database = Database(tmp_path / "pushdesk.db", on_raised=lambda _raised, _committed: None)
    database.path.mkdir()
    with pytest.raises(DatabaseError, match="unable to open database file"):
        async with use(database) as opened:
            # Who only reads has it opened by that.
            await opened.execute(text("SELECT 1"))
    database.path.rmdir()
    # Opened at last, and it works.
    async with database, use(database):
        await database.ping()


async def test_whatever_is_raised_in_the_databases_thread_comes_to_whoever_waits_for_it(tmp_path: Path) -> None:
    def raise_(error: type[BaseException], _driver: sqlite3.Connection) -> None:
        raise error

    async with asyncio.timeout(20), Database(tmp_path / "pushdesk.db", on_raised=lambda *_told: None) as database:
        for error, told in ((StopIteration, RuntimeError), (asyncio.CancelledError,) * 2, (MemoryError,) * 2):
            with pytest.raises(told):
                await database.beside(partial(raise_, error))
        await database.ping()


async def test_a_rollback_that_fails_is_an_error_of_the_database_and_made_up_for_later(tmp_path: Path) -> None:
    refused = {"COMMIT", "ROLLBACK"}

    def authorize(_action: int, what: str | None, *_names: str | None) -> int:
        return sqlite3.SQLITE_DENY if what in refused else sqlite3.SQLITE_OK

    async with Database(tmp_path / "pushdesk.db", on_raised=lambda *_told: None) as database:
        await database.beside(lambda driver: driver.set_authorizer(authorize))
        with pytest.raises(DatabaseError, match="The database failed: not authorized"):
            async with database.write():
                pass
        refused.clear()
        # What is begun in what was never ended is refused, and ends it.
        with pytest.raises(DatabaseError, match="within a transaction"):
            async with database.write():
                pass
        async with database.write():
            pass
