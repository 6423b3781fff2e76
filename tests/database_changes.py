"""The database of a server that runs, changed by somebody else."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE_S: Final = 60.0
"""How long a transaction of the server's is waited for: of its own it ends much sooner."""


async def change_database(file: Path, *statements: str) -> None:
    """Do something to a database behind the back of its server, statement by statement.

    A transaction of the server's may have to end first, and takes the loop for it: from the loop itself, SQLite waits
    for what it keeps from happening, until it says that the database is locked.
    """
    await asyncio.to_thread(_change, file, statements)


def _change(file: Path, statements: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(file, timeout=PATIENCE_S, isolation_level=None)) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        for statement in statements:
            database.execute(statement)
