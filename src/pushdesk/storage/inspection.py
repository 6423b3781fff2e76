"""Looking at a database without touching it: what the doctor asks of one that a server may be writing to.

Opened read-only. Beside a running server it is one more reader. Without one, nothing may be left behind that was not
there before, and SQLite would make `-wal` and `-shm` files even to read: so it is read as a file that nobody writes to,
which was checked before and is for the caller to check again afterwards (`state_of_files`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import create_engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pushdesk.errors import DatabaseError
from pushdesk.model import DispatchState, KeyState, Outcome, Service, SubscriptionState
from pushdesk.storage import revisions
from pushdesk.storage.records import StoredKey
from pushdesk.storage.schema import (
    access_tokens,
    deliveries,
    dispatches,
    metadata,
    server_state,
    subscriptions,
    user_state,
    vapid_keys,
)
from pushdesk.storage.seal_state import SealState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Executable

QUERY_S: Final = 2.0
"""Seconds for one question, so that an enormous database is not counted to its end."""
LATEST: Final = 10_000
"""Deliveries that are looked at for what went wrong: the latest."""
SAMPLE: Final = 100
"""Endpoints whose hosts are looked at."""
_STEPS: Final = 20_000
"""Of SQLite's machine, between two looks at the clock."""
_MOST_IMPORTANT: Final = (server_state.name, vapid_keys.name, access_tokens.name, user_state.name, subscriptions.name)


class Schema(Enum):
    """How the schema of a database stands to the one that this pushdesk works with."""

    NONE = "none"
    """There are no tables of pushdesk's."""
    OLDER = "older"
    """The next start brings it up to date."""
    CURRENT = "current"
    UNKNOWN = "unknown"
    """It was written by a newer pushdesk, or by another program."""


class Integrity(NamedTuple):
    """What checking the tables came to."""

    problems: tuple[str, ...]
    """In SQLite's words; the first few."""
    unchecked: tuple[str, ...]
    """Tables for which the time was too short."""


class Backlog(NamedTuple):
    """What waits to be sent."""

    open_dispatches: int
    """Due, and not spread over their devices yet."""
    scheduled: int
    """Dispatches for later."""
    waiting: int
    """Deliveries that will be tried, or tried again."""
    oldest_ms: int | None
    """When the oldest of all that was due by now was accepted; None if nothing is due."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Latest deliveries to one push service that ended badly."""

    service: Service
    outcome: Outcome
    count: int
    reason: str
    """Of the latest one."""


class TookTooLongError(DatabaseError):
    """The database is too large for a quick look."""


class FilesState(NamedTuple):
    """By what a change of the database's files is noticed: inode, size and time of change of each that is there."""

    files: tuple[tuple[int, int, int] | None, ...]


def state_of_files(path: Path) -> FilesState:
    """Return the state of a database's files."""
    return FilesState(tuple(_state_of(path.with_name(path.name + suffix)) for suffix in ("", "-wal")))


def _state_of(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def open_inspection(path: Path, *, is_served: bool, monotonic: Callable[[], float]) -> Iterator[Inspection]:
    """Open a database to be looked at.

    Args:
        path: The file.
        is_served: Whether a server works on it.
        monotonic: Seconds, for how long questions take.

    Raises:
        DatabaseError: It cannot be opened, or is no database.
    """
    inspection = Inspection(path, is_served=is_served, monotonic=monotonic)
    try:
        yield inspection
    finally:
        inspection.close()


class Inspection:
    """A database that is looked at; made by `open_inspection`. Each method raises `DatabaseError`.

    Attributes:
        leaves_out_log: Whether it is read without its write-ahead log, as that could not be read without a trace.
    """

    def __init__(self, path: Path, *, is_served: bool, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._deadline = 0.0
        self._is_late = False
        uri, self.leaves_out_log = _way_in(path, is_served=is_served)

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(uri, uri=True, timeout=QUERY_S, isolation_level=None)
            connection.set_progress_handler(self._give_up, _STEPS)
            return connection

        # The driver's message would name the parameters.
        self._engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()
        self._engine.dispose()

    def schema(self) -> tuple[Schema, str | None]:
        """Return how the schema stands to ours, and its revision."""
        has_revision = text("SELECT count(*) FROM sqlite_master WHERE name = 'alembic_version'")
        if not self._ask(has_revision)[0][0]:
            return Schema.NONE, None
        rows = self._ask(text("SELECT version_num FROM alembic_version"))
        found = str(rows[0][0]) if rows else None
        if found == revisions.HEAD:
            return Schema.CURRENT, found
        return (Schema.OLDER if found in revisions.KNOWN else Schema.UNKNOWN), found

    def integrity(self, within_s: float) -> Integrity:
        """Check the tables one after the other, the most important first, for as long as there is time.

        Args:
            within_s: Seconds for all of them together.
        """
        deadline = self._monotonic() + within_s
        known = {row[0] for row in self._ask(text("SELECT name FROM sqlite_master WHERE type = 'table'"))}
        names = [name for name in (*_MOST_IMPORTANT, *metadata.tables) if name in known]
        problems: list[str] = []
        unchecked: list[str] = []
        for name in dict.fromkeys(names):
            left = deadline - self._monotonic()
            try:
                # Only names of our own schema come here; a pragma takes no parameters.
                rows = self._ask(text(f"PRAGMA quick_check('{name}')"), within_s=left) if left > 0 else None
            except TookTooLongError:
                rows = None
            if rows is None:
                unchecked.append(name)
                continue
            problems += [str(row[0]) for row in rows if row[0] != "ok"]
        return Integrity(tuple(problems[:3]), tuple(unchecked))

    def seal_state(self) -> SealState:
        """Return what the database says of its sealing."""
        rows = self._ask(select(server_state.c.seal_key_id, server_state.c.seal_check))
        if not rows:
            raise DatabaseError("The database's one row about itself is not there.")
        return SealState(rows[0].seal_key_id, rows[0].seal_check)

    def keys(self) -> tuple[StoredKey, ...]:
        """Return every VAPID key, the newest first, its private half as it is stored: sealed or not."""
        rows = self._ask(select(vapid_keys).order_by(vapid_keys.c.created_at.desc(), vapid_keys.c.id))
        try:
            return tuple(
                StoredKey(row.id, row.public_key, row.private_key, KeyState(row.state), row.created_at) for row in rows
            )
        except ValueError:
            raise DatabaseError("The table of VAPID keys holds a state that is none.") from None

    def backlog(self, now_ms: int) -> Backlog:
        """Return what waits to be sent."""
        count = func.count()
        is_open = dispatches.c.state.in_((DispatchState.QUEUED, DispatchState.SCHEDULED))
        is_due, is_waiting = dispatches.c.due_at <= now_ms, deliveries.c.next_attempt_at.is_not(None)
        due, oldest_open = self._ask(select(count, func.min(dispatches.c.accepted_at)).where(is_open, is_due))[0]
        ((scheduled,),) = self._ask(select(count).select_from(dispatches).where(is_open, ~is_due))
        ((waiting,),) = self._ask(select(count).select_from(deliveries).where(is_waiting))
        oldest = (
            select(func.min(dispatches.c.accepted_at))
            .select_from(deliveries.join(dispatches, deliveries.c.dispatch == dispatches.c.id))
            .where(is_waiting, deliveries.c.next_attempt_at <= now_ms)
        )
        ((oldest_waiting,),) = self._ask(oldest)
        accepted = [at for at in (oldest_open, oldest_waiting) if at is not None]
        return Backlog(due, scheduled, waiting, min(accepted, default=None))

    def devices(self) -> dict[tuple[Service, SubscriptionState], int]:
        """Return how many subscriptions there are, per push service and state."""
        kinds = (subscriptions.c.service, subscriptions.c.state)
        rows = self._ask(select(*kinds, func.count()).group_by(*kinds))
        return {(Service(service), SubscriptionState(state)): number for service, state, number in rows}

    def devices_without_key(self) -> int:
        """Return how many active subscriptions were made with a key that is not there.

        Those of a key that has ended do not count: the server disables them by and by.
        """
        known = select(vapid_keys.c.id)
        is_stray = (subscriptions.c.state == SubscriptionState.ACTIVE, subscriptions.c.key_id.not_in(known))
        return int(self._ask(select(func.count()).select_from(subscriptions).where(*is_stray))[0][0])

    def troubles(self, since_ms: int) -> tuple[Trouble, ...]:
        """Return what went wrong among the latest deliveries, the most frequent first."""
        columns = (deliveries.c.service, deliveries.c.outcome, deliveries.c.reason, deliveries.c.at, deliveries.c.id)
        latest = select(*columns).order_by(deliveries.c.at.desc(), deliveries.c.id.desc()).limit(LATEST).subquery()
        # SQLite takes the other columns from the row that has the maximum; elsewhere this would be a window.
        statement = (
            select(latest.c.service, latest.c.outcome, func.count(), latest.c.reason, func.max(latest.c.at))
            .where(latest.c.at >= since_ms)
            .group_by(latest.c.service, latest.c.outcome)
            .order_by(func.count().desc())
        )
        return tuple(
            Trouble(Service(service), Outcome(outcome), number, reason)
            for service, outcome, number, reason, _ in self._ask(statement)
        )

    def hosts(self, service: Service) -> frozenset[str]:
        """Return the hosts of some endpoints of a push service; of sealed ones nothing can be said."""
        statement = select(subscriptions.c.endpoint).where(
            subscriptions.c.service == service, subscriptions.c.state == SubscriptionState.ACTIVE
        )
        found = set()
        for row in self._ask(statement.limit(SAMPLE)):
            try:
                found.add(urlsplit(row[0]).hostname)
            except ValueError:
                continue
        return frozenset(host for host in found if host)

    def _ask(self, statement: Executable, *, within_s: float = QUERY_S) -> list[Any]:
        """Return the rows of a statement, as SQLAlchemy makes them."""
        self._deadline, self._is_late = self._monotonic() + within_s, False
        try:
            if self._connection is None:
                self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return list(self._connection.execute(statement))
        except SQLAlchemyError as error:
            if self._is_late:
                raise TookTooLongError("The database is too large for a quick look.") from None
            cause = getattr(error, "orig", None) or type(error).__name__
            raise DatabaseError(f"The database cannot be read: {cause}.") from None

    def _give_up(self) -> bool:
        self._is_late = self._is_late or self._monotonic() > self._deadline
        return self._is_late


def _way_in(path: Path, *, is_served: bool) -> tuple[str, bool]:
    """Return SQLite's URI for a database, and whether its write-ahead log is left out."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    log, index = (_state_of(path.with_name(f"{path.name}{suffix}")) for suffix in ("-wal", "-shm"))
    if is_served:
        return uri, False
    if log is None or log[1] == 0:
        return f"{uri}&immutable=1", False
    if index is None:
        # It would be made anew. Modes of SQLite that do without it remove a log in which they find nothing.
        return f"{uri}&immutable=1", True
    # What a server left that was killed.
    return f"{uri}&readonly_shm=1", False
