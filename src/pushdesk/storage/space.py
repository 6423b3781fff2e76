"""The room that a database takes on the disk: what is removed leaves unused pages in its file, and they are given back.

A file is made so that this goes a little at a time (SQLite's incremental auto-vacuum). One that was made before that
was so is written anew once, as a whole.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.errors import DatabaseError
from pushdesk.model import Vacuumed
from pushdesk.storage.database import GIVES_BACK, disk_full, is_full

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.storage.database import Database

STEP: Final = 200
"""Pages that are given back at once."""
READERS_MS: Final = 100
"""How long those who read are waited for, in milliseconds."""
_INCREMENTAL: Final = 2
"""What SQLite calls a file that gives its pages back a little at a time."""


class Space(NamedTuple):
    """Pages of a database's file."""

    pages: int
    unused: int
    page_size: int
    """Bytes."""
    gives_back: bool
    """Whether some can be given back; else the file has to be written anew."""

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.pages * self.page_size


class FileSpace:
    """The room that the file of a database takes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self) -> Space:
        """Return how much there is.

        Raises:
            DatabaseError: It could not be read.
        """
        return await self._database.beside(_look)

    async def give_back(self) -> bool:
        """Give some unused pages back to the disk; returns whether there were any.

        Raises:
            DatabaseError: None was given back.
        """

        def shrink(driver: sqlite3.Connection) -> bool:
            before = _look(driver)
            if not before.gives_back or not before.unused:
                return False
            # As a script: one that is executed is left after its first page.
            driver.executescript(f"PRAGMA incremental_vacuum({STEP})")
            return _look(driver).unused < before.unused

        return await self._database.beside(shrink)

    async def vacuum(self) -> None:
        """Give back all unused pages: a little at a time, or if that is not possible yet, by writing the file anew.

        Only then do others wait who want to write, and as much free space again is needed as the database has.

        Raises:
            DatabaseError: It failed; nothing is lost.
        """
        if (await self.look()).gives_back:
            while await self.give_back():
                pass
        else:
            await self._database.write_anew()
        # Where somebody reads, it is emptied when they have ended.
        await self._database.empty_log(wait_ms=READERS_MS)


def _look(driver: sqlite3.Connection) -> Space:
    found = []
    for pragma in ("page_count", "freelist_count", "page_size", "auto_vacuum"):
        ((number,),) = driver.execute(f"PRAGMA {pragma}").fetchall()
        found.append(number)
    pages, unused, page_size, kind = found
    return Space(pages, unused, page_size, kind == _INCREMENTAL)


def vacuum_file(path: Path) -> Vacuumed:
    """Write the file of a database anew that nobody works on, and return what it took on the disk before and after.

    Raises:
        DatabaseError: It cannot be read, or there is no room; nothing is lost.
    """
    log = path.with_name(f"{path.name}-wal")
    before = path.stat().st_size + (log.stat().st_size if log.exists() else 0)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(f"PRAGMA secure_delete = ON; {GIVES_BACK}; VACUUM")
    except sqlite3.Error as error:
        if is_full(error):
            raise disk_full() from error
        raise DatabaseError(f"The database could not be written anew: {error}.") from error
    # The last one to close it has brought the log over.
    return Vacuumed(before, path.stat().st_size)
