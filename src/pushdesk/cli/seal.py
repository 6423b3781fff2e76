"""`pushdesk seal`: the secrets of a database under a key, under another one, or under none, while no server runs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from pushdesk.cli import options
from pushdesk.cli.datadir import DataDirectoryHeldError, ServerLock, open_data_directory
from pushdesk.cli.ending import end
from pushdesk.cli.hosting import attach_command, read_config
from pushdesk.cli.output import counted, say, say_json, tell
from pushdesk.errors import EXIT_DONE, EXIT_NO, StartUpError
from pushdesk.seal_key import make_key, read_key_file, seal_key, write_key_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.storage.resealing import Resealed
    from pushdesk.storage.sealing import Sealer

KEEP_APART = "Keep this key apart from backups of the database: whoever has both has everything in it."


class Sealing(NamedTuple):
    """What was asked for."""

    new_key_file: str | None
    """Where to make a key to seal with."""
    old_key_file: str | None
    """Where the key is that the database was sealed with until now."""
    undo: bool
    as_json: bool


def seal(
    *,
    new_key_file: Annotated[
        str | None, typer.Option("--new-key-file", metavar="FILE", help="Make a key in this new file, and seal with it")
    ] = None,
    old_key_file: Annotated[
        str | None, typer.Option("--old-key-file", metavar="FILE", help="The key that it was sealed with until now")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Unseal")] = False,
    as_json: options.AsJson = False,
    seal_key_file: options.SealKeyFile = None,
    data_dir: options.DataDir = None,
    config: options.ConfigFile = None,
) -> None:
    """Seal the secrets in the database: endpoints, their auth secrets and private keys. No server may run.

    Cut off at any point, it is run again and goes on where it was. Exit code 1 if a value was damaged.
    """
    sealing = Sealing(new_key_file, old_key_file, undo, as_json)
    flags = options.given(seal_key_file=seal_key_file, data_dir=data_dir, config=config)
    end(lambda: run_seal(sealing, flags, os.environ))


class _Keys(NamedTuple):
    """The keys of a sealing; `made` is the one that is still to be written to `file`."""

    to: bytes | None
    known: tuple[bytes, ...]
    file: Path | None
    made: bytes | None


def run_seal(sealing: Sealing, flags: Mapping[str, object], environ: Mapping[str, str]) -> int:
    """Seal, and say what is true after each step; returns the exit code.

    Raises:
        PushdeskError: A key that cannot be used or does not fit, a server that runs, a database that fails.
    """
    from pushdesk.storage.store import DATABASE_NAME

    config = read_config(flags, environ)
    keys = _keys(sealing, seal_key(config))
    database = config.data_dir / DATABASE_NAME
    if not database.exists():
        raise StartUpError(
            f"There is no database in {config.data_dir}.",
            hint="Name its folder with --data-dir. A new one is sealed from the beginning if the server has a key.",
        )
    open_data_directory(config.data_dir)
    try:
        lock = ServerLock.take(config.data_dir, attach_command=attach_command(config))
    except DataDirectoryHeldError as error:
        raise StartUpError(
            error.detail, hint="Stop it first: nobody may work on a database while it is being sealed or unsealed."
        ) from None
    try:
        return asyncio.run(_seal(database, keys, sealing))
    finally:
        lock.release()


def _keys(sealing: Sealing, configured: bytes | None) -> _Keys:
    """Tell which key it is to be, and which it may have been."""
    old = None if sealing.old_key_file is None else read_key_file(Path(sealing.old_key_file).expanduser())
    known = tuple(key for key in (old, configured) if key is not None)
    if sealing.undo and sealing.new_key_file is not None:
        raise StartUpError("--undo unseals, and --new-key-file seals: it can only be one of them.")
    if sealing.new_key_file is not None:
        made = make_key()
        return _Keys(made, known, Path(sealing.new_key_file).expanduser().absolute(), made)
    if configured is None:
        raise StartUpError(
            "There is no key.",
            hint="Give it in PUSHDESK_SEAL_KEY or with --seal-key-file FILE; --new-key-file FILE makes one.",
        )
    return _Keys(None if sealing.undo else configured, known, None, None)


async def _seal(database: Path, keys: _Keys, sealing: Sealing) -> int:
    from pushdesk.storage.resealing import Resealing
    from pushdesk.storage.sealing import Sealer

    to = Sealer(keys.to)

    def begin() -> None:
        if keys.file is not None and keys.made is not None:
            write_key_file(keys.file, keys.made)
            tell(f"made the key {to.key_id} in {keys.file}. {KEEP_APART}")

    def on_values(done: Resealed) -> None:
        if any(done[:-1]):
            purpose = "" if sealing.undo else ", so that nothing of what was lingers in it"
            tell(f"the database is written anew{purpose} ...")

    resealing = Resealing(database, to=to, known=[Sealer(key) for key in keys.known], begin=begin, on_values=on_values)
    done = await resealing.run()
    if sealing.as_json:
        say_json({"key_id": to.key_id, "key_file": keys.file and str(keys.file), **done._asdict()})
    else:
        _report(done, to)
    return EXIT_NO if done.damaged else EXIT_DONE


def _report(done: Resealed, to: Sealer) -> None:
    numbers = (
        counted(done.endpoints, "endpoint"),
        counted(done.auths, "auth secret"),
        counted(done.private_keys, "private key"),
    )
    is_done = "unsealed" if to.key_id is None else f"sealed with the key {to.key_id}"
    if any(done[:-1]):
        if to.key_id is None:
            say(f"{is_done}: {', '.join(numbers)}. Whoever has the database's files has them.")
        else:
            say(f"{is_done}: {', '.join(numbers)}. Nothing of what they were before is left in the database's files.")
            say("Copies and backups that were made before still hold it. From now on the server needs this key.")
    else:
        say(f"All is {is_done} already." if to.key_id else "Nothing is sealed.")
    if done.damaged:
        damaged = counted(done.damaged, "value")
        say(f"Not opened and left as it is: {damaged}. Whose it is has to be subscribed, or made, anew.")
