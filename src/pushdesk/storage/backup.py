"""Copies of a database: made while it is worked on, and looked at before they take its place."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.errors import DatabaseError, StartUpError
from pushdesk.storage.database import disk_full, is_full
from pushdesk.storage.revisions import KNOWN
from pushdesk.storage.seal_state import SealState

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGES: Final = 256
"""How many pages are copied at once."""
LOGS: Final = ("-wal", "-journal")
SIDE_FILES: Final = (*LOGS, "-shm")
"""What SQLite keeps beside a database, by how its name goes on."""


class CopyStoppedError(Exception):
    """Nobody wants the copy any longer."""


class Examined(NamedTuple):
    """What a copy is."""

    revision: str
    """Of its schema."""
    seal: SealState


def copy_database(
    source: Path, target: Path, *, is_alone: bool = False, is_wanted: Callable[[], bool] = lambda: True
) -> None:
    """Copy a database as it is at one moment, with what its write-ahead log holds; whoever works on it goes on.

    After each step it rests for as long as that took, so that others have the disk for half of the time.

    Args:
        source: A database, or what should be one.
        target: An empty file.
        is_alone: Whether nobody works on the source: then its log is brought over into it, and no files are left beside
            it.
        is_wanted: Asked after each step.

    Raises:
        CopyStoppedError: It is not wanted any longer.
        DatabaseError: It could not be read or written; `disk_full` among others.
    """
    step_began = time.perf_counter()

    def rest(_status: int, _left: int, _pages: int) -> None:
        nonlocal step_began
        if not is_wanted():
            raise CopyStoppedError
        time.sleep(min(1.0, time.perf_counter() - step_began))
        step_began = time.perf_counter()

    try:
        with (
            closing(_open(source, "mode=rw" if is_alone else "mode=ro")) as reader,
            closing(_open(target, "mode=rw")) as copy,
        ):
            # One moment for all steps: else every change in between would have it begin anew.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchall()
            # It is nobody's yet: if it breaks off, it is thrown away.
            copy.execute("PRAGMA synchronous = OFF")
            reader.backup(copy, pages=PAGES, progress=rest)
            # One file that needs no others beside it.
            copy.execute("PRAGMA journal_mode = DELETE")
            reader.execute("ROLLBACK")
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except sqlite3.Error as error:
        if is_full(error):
            raise disk_full() from error
        raise DatabaseError(f"{source} could not be copied: {error}.") from error
    except OSError as error:
        raise DatabaseError(f"{target} could not be written: {error.strerror}.") from error


def examine(path: Path) -> Examined:
    """Look at a copy that nobody changes: whether it is whole, and a database that this pushdesk can work on.

    Raises:
        StartUpError: It is not, and why.
    """
    try:
        with closing(_open(path, "mode=ro&immutable=1")) as connection:
            ((found,),) = connection.execute("PRAGMA integrity_check(1)").fetchall()
            if found != "ok":
                raise _damaged(str(found))
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not {"alembic_version", "server_state"} <= tables:
                raise StartUpError("It is a database, and not one of pushdesk's.")
            ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
            if revision not in KNOWN:
                raise StartUpError(
                    f"It has schema revision {str(revision)[:32]!r}, which this pushdesk does not know.",
                    hint="It was written by a newer version: restore it with that one.",
                )
            seal = SealState(None, None)
            if "seal_key_id" in {row[1] for row in connection.execute("PRAGMA table_info(server_state)")}:
                ((key_id, check),) = connection.execute("SELECT seal_key_id, seal_check FROM server_state").fetchall()
                seal = SealState(key_id, check)
            return Examined(revision, seal)
    except (sqlite3.Error, ValueError) as error:
        raise _damaged(str(error)) from error


def put_in_place(new: Path, path: Path, aside: Path) -> bool:
    """Put a database in the place of another, which nobody works on and which is kept under another name.

    At no moment is there none, and none with the write-ahead log of another.

    Args:
        new: A file in the same folder.
        path: Where the other is, if there is one.
        aside: Its name from then on.

    Returns:
        Whether there was another.

    Raises:
        OSError: It could not be done; the other is under one of its names.
    """
    is_there = path.exists()
    logs = {path.with_name(path.name + ending): aside.with_name(aside.name + ending) for ending in LOGS}
    if is_there:
        for log, kept in logs.items():
            # What cannot read a damaged database may throw its log away.
            if log.exists():
                shutil.copyfile(log, kept)
        if _bring_over_log(path):
            for kept in logs.values():
                kept.unlink(missing_ok=True)
        try:
            os.link(path, aside)
        except FileExistsError:
            raise
        except OSError:
            # Not every file system has second names.
            path.rename(aside)
    for beside in (*logs, path.with_name(f"{path.name}-shm")):
        beside.unlink(missing_ok=True)
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return is_there


def _bring_over_log(path: Path) -> bool:
    """Have a database be one file; returns whether that was possible."""
    try:
        with closing(_open(path, "mode=rw")) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error:
        return False
    return True


def _open(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None)


def _damaged(found: str) -> StartUpError:
    # SQLite's integrity check begins with a heading.
    lines = [line for line in found.splitlines() if line and not line.startswith("***")]
    return StartUpError(f"It is damaged, or no database: {lines[0][:200] if lines else 'unreadable'}.")
