"""A database whose file cannot be opened, or not any longer."""

from __future__ import annotations

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
