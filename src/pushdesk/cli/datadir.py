"""The data directory: who may read it, the admin token in it, and the lock of the one server that works on it."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from pushdesk.config import FILE_NAME
from pushdesk.errors import PushdeskError, StartUpError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOCK_NAME: Final = "server.lock"
TOKEN_NAME: Final = "admin.token"  # noqa: S105 - the name of the file, not what is in it
TOKEN_LENGTH: Final = 32
"""Characters that an admin token has at least."""
OUR_MARKS: Final = (LOCK_NAME, "pushdesk.db")
"""What makes a folder a data directory: every start leaves the first, a restored backup has the second."""


class Holder(msgspec.Struct, frozen=True):
    """The process that holds a data directory; without a URL it does not listen, or not yet."""

    pid: int
    url: str | None = None


class DataDirectoryHeldError(StartUpError):
    """Another process works on the data directory."""

    def __init__(self, data_dir: Path, holder: Holder, *, command: str) -> None:
        if holder.url is None:
            super().__init__(f"Process {holder.pid} is at work in {data_dir}.", hint="Try again when it has ended.")
        else:
            super().__init__(
                f"{data_dir} has a server already: process {holder.pid}, listening at {holder.url}.",
                hint=f"Look at it with `{command}`.",
            )
        self.holder = holder


def open_data_directory(path: Path) -> None:
    """Make the directory if there is none, and close it to everybody else (0700; every file made from now on, 0600).

    A folder that was not made for pushdesk keeps its permissions: it is refused unless it is closed already.

    Raises:
        StartUpError: It cannot be written, or it is a folder of other things that others may read.
    """
    os.umask(0o077)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            _close_to_others(path)
        os.close(os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        reason = error.strerror or str(error)
        raise StartUpError(
            f"The data directory {path} cannot be used: {reason}.", hint="Name another one with --data-dir."
        ) from None


def holds_other_things(path: Path) -> bool:
    """Whether a folder was not made for pushdesk.

    Alone, a configuration was put there for us; beside other things it does not make the folder ours.

    Raises:
        OSError: It cannot be read.
    """
    others = {entry.name for entry in path.iterdir()} - {FILE_NAME}
    return bool(others) and others.isdisjoint(OUR_MARKS)


def _close_to_others(path: Path) -> None:
    """Take a data directory's permissions away from group and others; a folder of other things is left alone."""
    if holds_other_things(path):
        raise StartUpError(
            f"The data directory {path} holds other things and others may read it.",
            hint="Name a folder of its own with --data-dir, or close this one: chmod 700.",
        )
    path.chmod(0o700)


def admin_token(data_dir: Path, environ: Mapping[str, str]) -> str:
    """Return the server's admin token: `PUSHDESK_ADMIN_TOKEN`, else `admin.token`, made at the first start.

    Raises:
        StartUpError: It is too short, or cannot be read or written.
    """
    token, source = environ.get("PUSHDESK_ADMIN_TOKEN", ""), "PUSHDESK_ADMIN_TOKEN"
    if not token:
        path = data_dir / TOKEN_NAME
        source = str(path)
        try:
            if not path.exists():
                _write_whole(path, secrets.token_urlsafe(32) + "\n")
            path.chmod(0o600)
        except OSError as error:
            raise StartUpError(f"{path} cannot be written: {error.strerror}.") from None
        token = read_token_file(path)
    if len(token) < TOKEN_LENGTH or not token.isascii() or not token.isprintable() or " " in token:
        raise StartUpError(f"{source} must hold at least {TOKEN_LENGTH} visible ASCII characters.")
    return token


def _write_whole(path: Path, content: str) -> None:
    """Write a file (0600) that is there with all its content or not at all, whatever happens meanwhile."""
    partial = path.with_name(f"{path.name}.new")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(handle, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)
    partial.replace(path)


def read_token_file(path: Path) -> str:
    """Read a token from a file; white space around it does not count.

    Raises:
        StartUpError: The file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise StartUpError(f"The token file {path} is not text.") from None
    except OSError as error:
        raise StartUpError(f"The token file {path} cannot be read: {error.strerror}.") from None


def client_token(data_dir: Path, token_file: Path | None, environ: Mapping[str, str]) -> str:
    """Return the token to show to a server: `PUSHDESK_TOKEN`, else the token file, else that of the data directory.

    Raises:
        PushdeskError: `unauthorized` if there is none.
        StartUpError: The file cannot be read, or what was found cannot be a token.
    """
    token, source = environ.get("PUSHDESK_TOKEN", "").strip(), "PUSHDESK_TOKEN"
    if not token:
        path = data_dir / TOKEN_NAME if token_file is None else token_file.expanduser()
        if token_file is None and not path.is_file():
            raise PushdeskError(
                f"There is no token: {path} does not exist.",
                code="unauthorized",
                hint="Set PUSHDESK_TOKEN or name a file with --token-file.",
            )
        token, source = read_token_file(path), f"The token file {path}"
    # An empty one, or one of two lines, cannot stand in a header.
    if not token or not token.isascii() or not token.isprintable():
        raise StartUpError(f"{source} must hold a token: one line of visible ASCII characters.")
    return token


class ServerLock:
    """The lock of a data directory: held from `take` to the process's end, or to `release`.

    The file is never removed: a lock on a removed file would keep nobody out. What stands in it counts only while the
    lock is held.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle

    @classmethod
    def take(cls, data_dir: Path, *, attach_command: str = "pushdesk attach") -> ServerLock:
        """Take the lock.

        Args:
            data_dir: An opened data directory.
            attach_command: How a person attaches to the server that holds it; its URL is added.

        Raises:
            DataDirectoryHeldError: Somebody else has it.
            StartUpError: The file system does not lock.
        """
        path = data_dir / LOCK_NAME
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _read_holder(handle)
                os.close(handle)
                raise DataDirectoryHeldError(data_dir, holder, command=f"{attach_command} {holder.url}") from None
        except OSError as error:
            raise StartUpError(f"{path} cannot be locked: {error.strerror}.") from None
        os.fchmod(handle, 0o600)
        lock = cls(handle)
        lock.announce(None)
        return lock

    def announce(self, url: str | None) -> None:
        """Write who holds the lock, and under which URL this machine reaches it."""
        content = msgspec.json.encode(Holder(os.getpid(), url))
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, content, 0)

    def release(self) -> None:
        """Give the lock back."""
        os.ftruncate(self._handle, 0)
        os.close(self._handle)


def holder_of(data_dir: Path) -> Holder | None:
    """Return who holds a data directory, or None if nobody does, or if that cannot be seen. Changes nothing.

    To see whether the lock is free it is taken for an instant; shared, so that two who look do not see each other.
    """
    try:
        handle = os.open(data_dir / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(handle)
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _read_holder(handle: int) -> Holder:
    """Read who holds the lock; a holder that has not written yet is process 0, which nobody is."""
    try:
        return msgspec.json.decode(os.pread(handle, 4096, 0), type=Holder)
    except msgspec.DecodeError:
        return Holder(pid=0)
