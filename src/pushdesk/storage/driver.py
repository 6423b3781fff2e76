"""The connections to SQLite, aiosqlite's, each with a thread of its own, and the way there and back.

A trip to the thread and back costs as much as several small statements. So what belongs together goes in one trip:
`drive` works a coroutine off in the thread itself, where all that it waits for is the database, and is there.

This is the only module that knows the driver. Statements are SQLAlchemy's everywhere else; those that are `Prepared` go
past what SQLAlchemy does for each execution.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

import aiosqlite
from sqlalchemy import URL, Row, create_engine, event
from sqlalchemy.exc import DBAPIError, MultipleResultsFound, NoResultFound
from sqlalchemy.pool import NullPool

from pushdesk.storage.prepared import Prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Executable

    from pushdesk.storage.usage import Usage

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Rows(list[Row[*tuple[Any, ...]]]):
    """The rows that a statement returned, all of them: they are read in the database's thread.

    Args:
        rows: The rows.
        rowcount: How many rows a statement changed that returns none.
    """

    __slots__ = ("rowcount",)

    def __init__(self, rows: list[Row[*tuple[Any, ...]]], rowcount: int) -> None:
        super().__init__(rows)
        self.rowcount = rowcount

    def first(self) -> Row[*tuple[Any, ...]] | None:
        """Return the first one, or None."""
        return self[0] if self else None

    def one_or_none(self) -> Row[*tuple[Any, ...]] | None:
        """Return the only one, or None if there is none.

        Raises:
            MultipleResultsFound: There are more.
        """
        if len(self) > 1:
            raise MultipleResultsFound
        return self[0] if self else None

    def one(self) -> Row[*tuple[Any, ...]]:
        """Return the only one.

        Raises:
            NoResultFound: There is none.
            MultipleResultsFound: There are more.
        """
        row = self.one_or_none()
        if row is None:
            raise NoResultFound
        return row

    def scalar_one(self) -> Any:  # noqa: ANN401 (a column of any type)
        """Return the first column of the only one.

        Raises:
            NoResultFound: There is none.
            MultipleResultsFound: There are more.
        """
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:  # noqa: ANN401 (a column of any type)
        """Return the first column of the only one, or None if there is none.

        Raises:
            MultipleResultsFound: There are more.
        """
        row = self.one_or_none()
        return None if row is None else row[0]

    def all(self) -> list[Row[*tuple[Any, ...]]]:
        """Return them."""
        return self

    def scalars(self) -> list[Any]:
        """Return the first column of each."""
        return [row[0] for row in self]


def _nothing() -> None:
    pass


class _Thread(aiosqlite.Connection):
    """aiosqlite's connection, whose thread is given work of any size: for aiosqlite each statement is a trip.

    Args:
        connect: Opens the connection, in the thread.
        name: The thread's.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, name: str) -> None:
        super().__init__(connect, iter_chunk_size=64)
        self._thread.name = name
        # Nothing is lost that was not committed if the process ends in the middle of something.
        self._thread.daemon = True
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether this is asked in the thread."""
        return threading.current_thread() is self._thread

    def call(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Call a function in the thread; the future is set when it has returned, whoever is still interested."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, work))
        # The thread holds on to what it did last, and to all the rows of that, until it does something else.
        self._tx.put_nowait((None, _nothing))
        return future

    def open(self) -> sqlite3.Connection:
        """Return the connection, opened when it is first needed; called in the thread."""
        if self._connection is None:
            self._connection = self._connector()
        return self._connection

    def end(self) -> None:
        """Close the connection, and let the thread end."""
        self.stop()
        self._thread.join()


class Line:
    """One connection, opened when it is first needed, and the thread that it is used in.

    What is asked of it is done one after the other.

    Args:
        engine: Opens it.
        usage: Where it is counted what is asked of it.
        name: The thread's.
    """

    def __init__(self, engine: Engine, usage: Usage, *, name: str) -> None:
        self._engine = engine
        self._usage = usage
        self._name = name
        self._thread: _Thread | None = None
        self._connection: Connection | None = None
        self._asked = 0
        self._done = 0

    @property
    def is_here(self) -> bool:
        """Whether this is asked in its thread."""
        return self._thread is not None and self._thread.is_here

    @property
    def is_busy(self) -> bool:
        """Whether something is still done that was asked of it."""
        return self._done < self._asked

    def run(self, work: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function in the thread; the future is set when it has returned, whoever is still interested."""
        if self._thread is None:
            self._thread = _Thread(self._connect, name=self._name)
        self._usage.trips += 1
        self._asked += 1
        return self._thread.call(partial(self._work, work, args))

    async def close(self) -> None:
        """Close the connection, and let the thread end."""
        if self._thread is None:
            return
        try:
            await self.run(self._close)
        finally:
            self._thread.end()
            self._thread = None

    # What follows is called in the thread.

    @property
    def connection(self) -> Connection:
        """The connection.

        Raises:
            SQLAlchemyError: It cannot be opened.
        """
        if self._connection is None and self._thread is not None:
            self._thread.open()
        return cast("Connection", self._connection)

    @property
    def driver(self) -> sqlite3.Connection:
        """The driver's own connection."""
        return cast("sqlite3.Connection", self.connection.connection.driver_connection)

    def execute(self, statement: Executable | Prepared, parameters: Any = None) -> Rows:  # noqa: ANN401 (as SQLAlchemy)
        """Execute a statement, once or for each of a list of parameters, and return all its rows."""
        if isinstance(statement, Prepared):
            return self._execute(statement, parameters)
        result = self.connection.execute(statement, parameters)
        compiled = result.context.compiled
        self._usage.count(result.context.statement if compiled is None else compiled.string)
        return Rows(cast("list[Row[*tuple[Any, ...]]]", result.all()) if result.returns_rows else [], result.rowcount)

    def _execute(self, statement: Prepared, parameters: Any) -> Rows:  # noqa: ANN401 (as SQLAlchemy)
        rows: list[Any] = []
        changed = 0
        try:
            with closing(self.driver.cursor()) as cursor:
                for text, values in statement.runs(parameters):
                    cursor.execute(text, values)
                    rows += map(statement.row, cursor.fetchall())
                    changed += cursor.rowcount
                    self._usage.count(statement.text)
        except sqlite3.Error as error:
            raise DBAPIError.instance(statement.text, None, error, sqlite3.Error, hide_parameters=True) from error
        return Rows(rows, changed)

    def begin(self) -> None:
        """Begin a transaction."""
        self.connection.begin()

    def begin_snapshot(self) -> None:
        """Begin to see what is committed at the moment of the next statement, and nothing that comes after."""
        self.connection.exec_driver_sql("BEGIN DEFERRED")

    def commit(self) -> None:
        """Commit."""
        self.connection.commit()

    def end(self) -> None:
        """Roll back what was begun and not committed, if anything was.

        Raises:
            SQLAlchemyError: It cannot be; what is begun next tries that again.
        """
        if self._connection is None:
            # It could not even be opened.
            return
        self._connection.rollback()
        # After a commit that failed, SQLAlchemy holds it for ended.
        if self.driver.in_transaction:
            try:
                self.driver.rollback()
            except sqlite3.Error as error:
                raise DBAPIError("ROLLBACK", None, error) from error

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> sqlite3.Connection:
        self._connection = self._engine.connect()
        return cast("sqlite3.Connection", self._connection.connection.driver_connection)

    def _work(self, work: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
        try:
            return work(*args)
        except StopIteration as error:
            # No future takes it, so that whoever waits for this one would for ever.
            raise RuntimeError("What was done in the database's thread raised StopIteration.") from error
        finally:
            self._done += 1


class Lines:
    """Several connections, for as many who read at once; those who come later wait.

    Args:
        engine: Opens them.
        usage: Where it is counted what is asked of them.
        size: How many there are.
    """

    def __init__(self, engine: Engine, usage: Usage, *, size: int) -> None:
        self._lines = [Line(engine, usage, name=f"database reader {number}") for number in range(1, size + 1)]
        self._usage = usage
        self._free = deque(self._lines)
        self._room = asyncio.Semaphore(size)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Line]:
        """Give one that nobody else has."""
        began = time.perf_counter()
        async with self._room:
            self._usage.waited(began)
            # Those that were used last are open.
            line = self._free.pop()
            try:
                yield line
            finally:
                # Whoever asked may have been cancelled: what was begun is ended all the same, before anything else.
                if line.is_busy:
                    self._free.appendleft(line)
                else:
                    self._free.append(line)

    async def close(self) -> None:
        """Close them."""
        for line in self._lines:
            await line.close()


def make_engine(path: Path, set_up: Callable[[sqlite3.Connection], None], **options: Any) -> Engine:  # noqa: ANN401 (SQLAlchemy's own options)
    """Return what opens connections to a file, each set up by `set_up`."""
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        poolclass=NullPool,
        # Each is used in one thread, but for its being closed by whoever gives it up.
        connect_args={"check_same_thread": False},
        # The driver's message would name the parameters, endpoints and keys among them.
        hide_parameters=True,
        **options,
    )
    event.listen(engine, "connect", lambda connection, _record: set_up(connection))
    return engine


def drive(work: Coroutine[Any, Any, T]) -> T:
    """Work a coroutine off that waits for nothing but what is there at once.

    Raises:
        RuntimeError: It waits for something else.
        BaseException: What it raises.
    """
    try:
        work.send(None)
    except StopIteration as ended:
        return cast("T", ended.value)
    work.close()
    raise RuntimeError("In the database's thread nothing else can be waited for.")
