"""`pushdesk db`: the database's file: making it smaller, copying it, and putting a copy in its place."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from pushdesk.cli import options
from pushdesk.cli.datadir import DataDirectoryHeldError, ServerLock, open_data_directory
from pushdesk.cli.ending import end
from pushdesk.cli.hosting import attach_command, read_config
from pushdesk.cli.one_shot import open_remote, server_or_lock
from pushdesk.cli.output import say, say_json, tell
from pushdesk.errors import EXIT_DONE, PushdeskError, StartUpError
from pushdesk.seal_key import seal_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pushdesk.cli.options import Reach
    from pushdesk.config import Config
    from pushdesk.model import Vacuumed
    from pushdesk.storage.backup import Examined

db = options.group("db", "The database's file: back it up, restore it, shrink it.")

_MEGABYTE: Final = 10**6
_SQLITE: Final = b"SQLite format 3\0"
"""What each database of SQLite's begins with (its file format, section 1.3)."""
_RESTORING: Final = "restoring"
"""How the name of a copy goes on that is about to take the database's place."""


@db.command()
def vacuum(
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Make the database as small on the disk as it can be. A server that runs does it itself, and goes on."""
    end(lambda: run_vacuum(reach, os.environ, as_json=as_json))


@db.command()
def backup(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to write the copy")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there")] = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Copy the database as it is at one moment into a file, whether a server runs or not. Nobody waits for it."""
    end(lambda: run_backup(Path(file), reach, os.environ, force=force, as_json=as_json))


@db.command()
def restore(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A backup")],
    *,
    as_json: options.AsJson = False,
    seal_key_file: options.SealKeyFile = None,
    data_dir: options.DataDir = None,
    config: options.ConfigFile = None,
) -> None:
    """Put a backup in the place of the database, which is kept under another name. No server may run."""
    flags = options.given(seal_key_file=seal_key_file, data_dir=data_dir, config=config)
    end(lambda: run_restore(Path(file), flags, os.environ, as_json=as_json))


def run_vacuum(reach: Reach, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Make the database smaller, and say what came of it; returns the exit code.

    Raises:
        PushdeskError: The server cannot be reached, there is no database, or there is no room to write it anew.
    """
    import asyncio

    vacuumed = asyncio.run(_vacuum(reach, read_config(reach.flags, environ), environ))
    if as_json:
        say_json({"before": vacuumed.before, "after": vacuumed.after})
    else:
        say(f"The database takes {_megabytes(vacuumed.after)}; it took {_megabytes(vacuumed.before)}.")
    return EXIT_DONE


async def _vacuum(reach: Reach, config: Config, environ: Mapping[str, str]) -> Vacuumed:
    from pushdesk.storage.space import vacuum_file

    found = await server_or_lock(reach, config)
    if isinstance(found, str):
        async with open_remote(found, reach, config, environ) as desk:
            return await desk.vacuum()
    with _released(found):
        return vacuum_file(_database(config))


def run_backup(
    file: Path,
    reach: Reach,
    environ: Mapping[str, str],
    *,
    force: bool,
    as_json: bool,
) -> int:
    """Write a backup, look at it, and say what it is; returns the exit code.

    Raises:
        PushdeskError: The file is there already or cannot be written, the server cannot be reached, there is no
            database, or it is damaged.
    """
    import asyncio

    from pushdesk.storage.backup import examine

    config = read_config(reach.flags, environ)
    target = file.expanduser().absolute()
    _check_target(target, config, force=force)
    with _new_file(target) as copy:
        asyncio.run(_copy(copy, reach, config, environ))
        try:
            made = examine(copy)
        except StartUpError as error:
            raise PushdeskError(f"The copy is of no use. {error.detail}", code="database_error") from None
        size = copy.stat().st_size
        if not force and target.exists():
            raise _is_there(target)
        copy.replace(target)
    if as_json:
        say_json({"file": str(target), "bytes": size, "schema": made.revision, "key_id": made.seal.key_id})
    else:
        say(f"{target} has the database as it was just now: {_megabytes(size)}, schema {made.revision}.")
        tell(_about_secrets(made))
    return EXIT_DONE


async def _copy(target: Path, reach: Reach, config: Config, environ: Mapping[str, str]) -> None:
    from pushdesk.storage.backup import copy_database

    found = await server_or_lock(reach, config)
    if isinstance(found, str):
        async with open_remote(found, reach, config, environ) as desk:
            with _explained(target), target.open("wb") as file:
                await desk.backup(lambda piece: _write(file.fileno(), piece))
                os.fsync(file.fileno())
    else:
        with _released(found):
            copy_database(_database(config), target, is_alone=True)


def run_restore(file: Path, flags: Mapping[str, object], environ: Mapping[str, str], *, as_json: bool) -> int:
    """Restore a backup, and say what it is; returns the exit code.

    Raises:
        PushdeskError: A server runs, or the file cannot take the database's place, and why.
    """
    config = read_config(flags, environ)
    source = file.expanduser().absolute()
    if not source.is_file():
        raise StartUpError(f"There is no file {source}.")
    key = seal_key(config)
    open_data_directory(config.data_dir)
    try:
        lock = ServerLock.take(config.data_dir, attach_command=attach_command(config))
    except DataDirectoryHeldError as error:
        raise StartUpError(
            error.detail, hint="Stop it first: nobody may work on a database that is replaced."
        ) from None
    with _released(lock):
        restored = _restore(source, config, key)
    if as_json:
        kept = None if restored.kept is None else str(restored.kept)
        say_json({"schema": restored.examined.revision, "key_id": restored.examined.seal.key_id, "kept": kept})
        return EXIT_DONE
    say(f"The database is that of {source} now: schema {restored.examined.revision}.")
    if restored.kept is not None:
        say(f"The one from before is kept as {restored.kept}.")
    tell("what was not sent when the backup was made, and has not expired, is sent at the next start, maybe once more.")
    if restored.examined.seal.key_id is None and key is not None:
        tell("it is not sealed, and there is a key: run `pushdesk seal` before the start.")
    return EXIT_DONE


class _Restored(NamedTuple):
    examined: Examined
    kept: Path | None
    """Where the database from before is, if there was one."""


def _restore(source: Path, config: Config, key: bytes | None) -> _Restored:
    from pushdesk.storage.backup import SIDE_FILES, copy_database, examine, put_in_place
    from pushdesk.storage.seal_state import word_of
    from pushdesk.storage.sealing import Sealer
    from pushdesk.storage.store import DATABASE_NAME

    path = config.data_dir / DATABASE_NAME
    if path.exists() and source.samefile(path):
        raise StartUpError(f"{source} is the database itself.", hint="Name a backup of it.")
    copy = path.with_name(f"{path.name}.{_RESTORING}")
    leftovers = [copy.with_name(copy.name + ending) for ending in ("", *SIDE_FILES)]
    try:
        with _explained(copy):
            for leftover in leftovers:
                # Of one that was cut off; nobody else is at work here.
                leftover.unlink(missing_ok=True)
            os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            copy_database(source, copy)
            examined = examine(copy)
            if examined.seal.key_id is not None:
                # Before anything is changed: else the next start would refuse it.
                word_of(examined.seal, Sealer(key))
            aside = _name_aside(path)
            was_there = put_in_place(copy, path, aside)
    except PushdeskError as error:
        raise type(error)(
            f"{source} is not restored. {error.detail}", code=error.code, hint=error.hint or "Nothing was changed."
        ) from None
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
    return _Restored(examined, aside if was_there else None)


def _name_aside(path: Path) -> Path:
    """Return a name beside the database's that nothing has yet, with the time in it."""
    stem = f"{path.name}.before-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    names = (path.with_name(stem if number == 1 else f"{stem}-{number}") for number in range(1, 1000))
    return next(name for name in names if not name.exists())


def _check_target(target: Path, config: Config, *, force: bool) -> None:
    """Refuse to write a backup where it would destroy something."""
    from pushdesk.storage.backup import SIDE_FILES
    from pushdesk.storage.store import DATABASE_NAME

    path = config.data_dir / DATABASE_NAME
    for ending in ("", *SIDE_FILES):
        own = path.with_name(path.name + ending)
        if target == own or (target.exists() and own.exists() and target.samefile(own)):
            raise StartUpError(f"{target} is the database itself.", hint="Name another file.")
    if target.is_dir():
        raise StartUpError(f"{target} is a folder.", hint="Name a file in it.")
    if not target.exists():
        return
    if not force:
        raise _is_there(target)
    if target.resolve().parent == config.data_dir.resolve() and not _is_database(target):
        # The token, the lock, the log: no server could live without them.
        raise StartUpError(f"{target} belongs to pushdesk, and is no backup.", hint="Name another file.")


def _is_database(target: Path) -> bool:
    with _explained(target), target.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _is_there(target: Path) -> StartUpError:
    return StartUpError(f"{target} is there already.", hint="Name another file, or write over it with --force.")


@contextmanager
def _new_file(target: Path) -> Iterator[Path]:
    """Make a file (0600) beside the target, to be renamed to it when it is whole; else nothing is left of it."""
    with _explained(target):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        os.close(handle)
        copy = Path(name)
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StartUpError(f"{target} cannot be written: {error.strerror}.") from None


@contextmanager
def _released(lock: ServerLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def _write(handle: int, piece: bytes) -> None:
    """Write all of a piece. An error here is this machine's, and must not be taken for the server's."""
    view = memoryview(piece)
    while view:
        try:
            view = view[os.write(handle, view) :]
        except OSError as error:
            raise StartUpError(f"The backup cannot be written: {error.strerror}.") from None


def _database(config: Config) -> Path:
    from pushdesk.storage.store import DATABASE_NAME

    path = config.data_dir / DATABASE_NAME
    if not path.exists():
        raise StartUpError(f"There is no database in {config.data_dir}.", hint="Name its folder with --data-dir.")
    return path


def _about_secrets(made: Examined) -> str:
    if made.seal.key_id is None:
        return "it is not sealed: whoever has it has everything in it, the private keys too."
    return f"its secrets are sealed with the key {made.seal.key_id}, which is not in it. Keep that apart."


def _megabytes(number: int) -> str:
    return f"{number / _MEGABYTE:.1f} MB"
