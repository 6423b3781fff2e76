"""The connections to SQLite: one that writes, a few that read.

A single writer connection serialises every change, and is the only one that checkpoints the write-ahead log.
Every error of the driver becomes a `DatabaseError` here, so that nobody above knows which database this is.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError

from pushdesk.errors import DatabaseError, DiskFullError
from pushdesk.storage import revisions
from pushdesk.storage.driver import Line, Lines, drive, make_engine
from pushdesk.storage.transaction import Reader, Snapshot, Transaction, to_its_end
from pushdesk.storage.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from sqlalchemy import Connection

    from pushdesk.storage.transaction import OnRaised

T = TypeVar("T")

_LOOK = "Look at the disk and at the log, then try again: nothing was changed."
_ROOM = "It takes as much free space again as the database has. Nothing is lost: make room and run it again."
READERS = 4
BUSY_TIMEOUT_MS = 5000
GIVES_BACK = "PRAGMA auto_vacuum = INCREMENTAL"
"""Has a file give room back to the disk a little at a time, from when it is made or written anew."""
LOG_SIZE = 64_000_000
"""Bytes that the write-ahead log keeps on the disk when what is in it was brought over into the file."""
FULL_FOR_S = 60
"""After how many seconds there may be room again on a full disk."""
FAILED_FOR_S = 5
"""After how many seconds a database that failed may be asked again: one that is locked comes back by itself."""


def _admit_any(_connection: Connection) -> None:
    pass


class Database:
    """An open SQLite database.

    `write()` gives the writer inside a transaction that is committed at the end of the block. `read()` gives one of the
    readers outside of a transaction, for one statement; `snapshot()` one for several that are to be of one moment.

    Args:
        path: The file.
        on_raised: Told after each transaction that raised generations.
        admit: Looks at the database once its schema is the newest, in the same transaction: raises to change nothing.
    """

    def __init__(self, path: Path, on_raised: OnRaised, admit: Callable[[Connection], None] = _admit_any) -> None:
        self.path = path
        self.on_raised = on_raised
        self.usage = Usage()
        """What was asked of it."""
        self._admit = admit
        self._writing = asyncio.Lock()
        writer = make_engine(path, _set_up)
        event.listen(writer, "begin", _begin_immediate)
        self._writer = Line(writer, self.usage, name="database writer")
        # Elsewhere than in SQLite, a snapshot's would be REPEATABLE READ, READ ONLY.
        self._readers = Lines(make_engine(path, _set_up, isolation_level="AUTOCOMMIT"), self.usage, size=READERS)

    async def __aenter__(self) -> Self:
        """Open the file, made with mode 0600 if it is new, and bring its schema to the newest revision.

        Raises:
            DatabaseError: It cannot be opened, is no database, or was written by a newer pushdesk.
            PushdeskError: What `admit` raises.
        """
        try:
            # SQLite gives the -wal and -shm files the mode of the database itself.
            opened = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            os.fchmod(opened, 0o600)
            os.close(opened)
        except OSError as error:
            raise DatabaseError(f"The database {self.path} cannot be opened: {error.strerror}.") from error
        try:
            await self._writer.run(self._prepare)
        except SQLAlchemyError as error:
            await self.__aexit__()
            raise DatabaseError(
                f"The database {self.path} cannot be opened: {_cause(error)}.",
                hint="Restore it from a backup, or name another --data-dir.",
            ) from error
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Close the readers, then the writer: the last to close checkpoints."""
        await self._readers.close()
        await self._writer.close()

    def _prepare(self) -> None:
        with self._writer.connection.begin():
            revisions.upgrade(self._writer.connection)
            self._admit(self._writer.connection)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Transaction]:
        """Give the writer inside a transaction: committed at the end, rolled back on any error.

        Whoever is cancelled inside waits for the database first. The order is always: the commit, the hook, the next
        writer. After a commit whose outcome is unknown the hook is told that it is; after a rollback it is not called.

        Each statement is a trip to the database's thread: for what happens often, there is `transact`.

        Raises:
            DatabaseError: The database refused; nothing was changed.
        """
        async with self._changing() as transaction:
            try:
                await transaction.begin()
                yield transaction
                await transaction.commit()
            finally:
                await transaction.close()

    async def transact(self, body: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
        """Do the same with a body that is worked off in one trip to the database's thread; returns what it returns.

        Args:
            body: Waits for nothing but the transaction. What it is to be the same whatever becomes of it is for it to
                keep to itself: it runs beside the event loop.

        Raises:
            DatabaseError: The database refused; nothing was changed.
        """
        async with self._changing() as transaction:
            return await to_its_end(self._writer.run(drive, _whole(transaction, body)))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reader]:
        """Give a reader: each statement sees what is committed when it begins.

        Raises:
            DatabaseError: The database could not be read.
        """
        try:
            async with self._readers.one() as line:
                yield Reader(line)
        except SQLAlchemyError as error:
            raise _database_error(error) from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """Give a reader inside a transaction: all statements see what was committed when the first of them began.

        Whoever is cancelled inside waits for the database first.

        Raises:
            DatabaseError: The database could not be read.
        """
        try:
            async with self._readers.one() as line:
                snapshot = Snapshot(line)
                try:
                    await snapshot.begin()
                    yield snapshot
                finally:
                    await snapshot.close()
        except SQLAlchemyError as error:
            raise _database_error(error) from error

    async def look(self, body: Callable[[Snapshot], Coroutine[Any, Any, T]]) -> T:
        """Do the same with a body that is worked off in one trip to the database's thread; returns what it returns.

        Raises:
            DatabaseError: The database could not be read.
        """
        try:
            async with self._readers.one() as line:
                return await to_its_end(line.run(drive, _looked(Snapshot(line), body)))
        except SQLAlchemyError as error:
            raise _database_error(error) from error

    async def beside(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do with the writer what does not go in a transaction; whoever is cancelled meanwhile waits for its end.

        Args:
            work: Is given the driver's own connection, in its thread; nobody else writes meanwhile.

        Raises:
            DatabaseError: The database refused.
        """
        try:
            async with self._writing:
                return await to_its_end(self._writer.run(lambda: work(self._writer.driver)))
        except SQLAlchemyError as error:
            raise _database_error(error) from error
        except sqlite3.Error as error:
            if is_full(error):
                raise disk_full() from error
            raise DatabaseError(f"The database failed: {error}.", hint=_LOOK, retry_after_s=FAILED_FOR_S) from error

    @asynccontextmanager
    async def _changing(self) -> AsyncIterator[Transaction]:
        try:
            began = time.perf_counter()
            async with self._writing:
                self.usage.waited(began)
                transaction = Transaction(self._writer)
                try:
                    yield transaction
                finally:
                    transaction.tell(self.on_raised)
        except SQLAlchemyError as error:
            if is_full(getattr(error, "orig", None)):
                # Else the log would take whatever room there is next: it is only brought over once it is long.
                with suppress(DatabaseError):
                    await self.empty_log(wait_ms=0)
            raise _database_error(error) from error

    async def write_anew(self) -> None:
        """Write the whole file anew, without what was removed. Takes as much free space again as the database has.

        Raises:
            DatabaseError: The disk is full, or the database refused; it is as it was.
        """
        try:
            # Then it gives back what is removed, also if it was made by a version whose files did not.
            await self.beside(lambda driver: driver.executescript(f"{GIVES_BACK}; VACUUM"))
        except DatabaseError as error:
            raise type(error)(f"The database could not be written anew. {error.detail}", hint=_ROOM) from error

    async def empty_log(self, *, wait_ms: int = BUSY_TIMEOUT_MS) -> bool:
        """Bring the write-ahead log over into the file and empty it; returns whether nobody else was reading.

        Args:
            wait_ms: For how long those who read are waited for; nobody writes meanwhile.

        Raises:
            DatabaseError: It failed; nothing is lost.
        """

        def empty(driver: sqlite3.Connection) -> bool:
            driver.execute(f"PRAGMA busy_timeout = {wait_ms}")
            try:
                ((is_busy, _, _),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
            return not is_busy

        return await self.beside(empty)

    def free_bytes(self) -> int | None:
        """Return how much room is left on the disk with the database; None where that cannot be known."""
        try:
            return shutil.disk_usage(self.path.parent).free
        except OSError:
            return None

    async def ping(self) -> None:
        """Read from the database, so that a caller knows that it answers.

        Raises:
            DatabaseError: It does not.
        """
        async with self.read() as connection:
            await connection.execute(text("SELECT 1 FROM server_state"))


async def _whole(transaction: Transaction, body: Callable[[Transaction], Coroutine[Any, Any, T]]) -> T:
    try:
        await transaction.begin()
        result = await body(transaction)
        await transaction.commit()
    finally:
        await transaction.close()
    return result


async def _looked(snapshot: Snapshot, body: Callable[[Snapshot], Coroutine[Any, Any, T]]) -> T:
    try:
        await snapshot.begin()
        return await body(snapshot)
    finally:
        await snapshot.close()


def _set_up(connection: sqlite3.Connection) -> None:
    # Transactions are begun by `_begin_immediate`; the driver's own habit of beginning them late is switched off.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA page_count")
    if cursor.fetchone() == (0,):
        # What is removed can be given back to the disk a little at a time: said before anything is written.
        cursor.execute(GIVES_BACK)
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(f"PRAGMA journal_size_limit = {LOG_SIZE}")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    # Whether what is deleted is overwritten, a key that leaked among it, would depend on how SQLite was built.
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_deferred(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN DEFERRED")


def is_full(error: object) -> bool:
    """Whether an error of the driver says that the disk is full: also that of the memory which connections share."""
    code = getattr(error, "sqlite_errorcode", None)
    return code in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}


def disk_full() -> DiskFullError:
    """Return the error for a disk that is full."""
    return DiskFullError(
        "The disk is full.", hint="Make room on it, then try again: nothing was changed.", retry_after_s=FULL_FOR_S
    )


def _database_error(error: SQLAlchemyError) -> DatabaseError:
    if is_full(getattr(error, "orig", None)):
        return disk_full()
    return DatabaseError(
        f"The database failed: {_cause(error)}.",
        hint=_LOOK,
        retry_after_s=FAILED_FOR_S,
    )


def _cause(error: SQLAlchemyError) -> str:
    # Only the driver's own words: SQLAlchemy's would carry the statement. Of a text that is no UTF-8, it shows all.
    said = str(getattr(error, "orig", None) or type(error).__name__)
    return said.partition(" with text ")[0]
