"""The data directory: whether it is there, whose it is, who may read it, and whether its disk will do."""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushdesk.doctor.findings import Check, Finding, broken, not_looked_at, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FULL_BYTES: Final = 100_000_000
"""Less than this is as good as full: the write-ahead log alone may grow to it."""
SCARCE_BYTES: Final = 1_000_000_000
LOG_BYTES: Final = 50_000_000
"""More than this, and nobody rotates the log: it is rotated at 10 MB."""
OTHERS: Final = 0o077
SHOWN: Final = 3
"""Files that are named one by one."""
OF_A_NETWORK: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4"}
    | {"smb2", "smb3", "smbfs", "virtiofs"}
)
"""File systems on which machines do not share memory, which a write-ahead log needs (sqlite.org/wal.html)."""
MOUNTS: Final = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the data directory, or the directory itself."""

    name: str
    mode: int
    owner: int

    @property
    def is_open(self) -> bool:
        """Whether group or others may do anything with it."""
        return bool(self.mode & OTHERS)


@dataclass(frozen=True, slots=True)
class Directory:
    """What can be seen of a data directory."""

    path: Path
    me: int
    """User id of who looks."""
    itself: Entry | None = None
    """None if it is not there."""
    files: tuple[Entry, ...] = ()
    is_folder: bool = True
    problem: str = ""
    """Why it cannot be used, or could not be made, in the system's words."""
    holds_other_things: bool = False
    """Whether it was not made for pushdesk, so that a start would leave its permissions as they are."""


@dataclass(frozen=True, slots=True)
class Disk:
    """What can be seen of the file system of a data directory."""

    free_bytes: int
    free_files: int | None
    """None where files are not counted."""
    is_read_only: bool
    kind: str | None
    """As the system calls it; None where it does not tell."""
    lock_problem: str = ""


def look_at_directory(path: Path, *, holds_other_things: bool) -> Directory:
    """Look at a data directory."""
    me = os.geteuid()
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return Directory(path, me, problem=_cannot_be_made(path))
    except OSError as error:
        return Directory(path, me, problem=error.strerror or str(error))
    itself = Entry(str(path), stat.S_IMODE(found.st_mode), found.st_uid)
    if not stat.S_ISDIR(found.st_mode):
        return Directory(path, me, itself, is_folder=False, problem=os.strerror(errno.ENOTDIR))
    try:
        files = tuple(_files(path))
    except OSError as error:
        return Directory(path, me, itself, problem=error.strerror or str(error))
    problem = "" if os.access(path, os.R_OK | os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
    return Directory(path, me, itself, files, problem=problem, holds_other_things=holds_other_things)


def look_at_disk(path: Path) -> Disk | None:
    """Look at the file system of a data directory, or of where it would be made; None if nothing can be seen."""
    there = _nearest(path)
    try:
        found = os.statvfs(there)
    except OSError:
        return None
    return Disk(
        free_bytes=found.f_bavail * found.f_frsize,
        free_files=found.f_favail if found.f_files else None,
        is_read_only=bool(found.f_flag & os.ST_RDONLY),
        kind=_kind_of(there),
        lock_problem=_lock_problem(there),
    )


def judge_directory(directory: Directory) -> list[Finding]:
    """Say what is to be said of a data directory."""
    path, itself = directory.path, directory.itself
    if itself is None:
        if directory.problem:
            return [_unusable(directory, f"{path} is not there and cannot be made: {directory.problem}.")]
        return [
            not_looked_at(
                Check.DATA_DIRECTORY, f"{path} is not there yet.", why="The first start of `pushdesk` makes it."
            )
        ]
    unusable = _unusable(directory, f"{path} cannot be used: {directory.problem}.") if directory.problem else None
    if not directory.is_folder:
        # Whatever it is, it is not ours to say who may have it.
        return [unusable] if unusable else []
    if directory.holds_other_things and itself.is_open:
        return [
            broken(
                Check.DATA_DIRECTORY,
                f"{path} holds other things, and others may read it.",
                why="Secrets will be kept there, so a start refuses a folder that was not made for it.",
                advice="Name a folder of its own with --data-dir.",
            )
        ]
    findings = [unusable or ok(Check.DATA_DIRECTORY, f"{path} is there."), _judge_owner(directory, itself)]
    return findings if directory.holds_other_things else [*findings, _judge_modes(directory, itself)]


def judge_disk(disk: Disk | None) -> list[Finding]:
    """Say what is to be said of a file system."""
    if disk is None:
        return [not_looked_at(Check.FILE_SYSTEM, "The file system cannot be looked at.")]
    return [_judge_file_system(disk), _judge_space(disk)]


def judge_log(path: Path) -> Finding:
    """Say what is to be said of the log file: users' ids are in it, and it should not grow for ever."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return ok(Check.LOG_FILE, "There is no log yet.")
    except OSError as error:
        return not_looked_at(Check.LOG_FILE, f"The log {path} cannot be looked at: {error.strerror}.")
    if stat.S_ISDIR(found.st_mode):
        return broken(
            Check.LOG_FILE,
            f"The log {path} is a folder.",
            why="A start fails when its log cannot be written.",
            advice="Name a file with --log-file, or leave it out.",
        )
    if stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) & OTHERS:
        return warning(
            Check.LOG_FILE,
            f"The log {path} can be read by others ({stat.S_IMODE(found.st_mode):04o}).",
            why="It tells who was sent what and when; no endpoint, key or token is in it.",
            advice=shlex.join(["chmod", "600", str(path)]),
        )
    if found.st_size > LOG_BYTES:
        return warning(
            Check.LOG_FILE,
            f"The log {path} has grown to {size(found.st_size)}.",
            why="It is rotated at 10 MB: the running server cannot rename it, or another program writes to it.",
            advice="Let the server's user write to its folder, or name another with --log-file.",
        )
    return ok(Check.LOG_FILE, f"The log has {size(found.st_size)}.")


def size(number: int) -> str:
    """Write a number of bytes for a person."""
    for unit, worth in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= worth:
            return f"{number / worth:.1f} {unit}"
    return f"{number} bytes"


def _judge_owner(directory: Directory, itself: Entry) -> Finding:
    owner = name_of(itself.owner)
    foreign = [entry for entry in directory.files if entry.owner != itself.owner]
    if foreign and not directory.holds_other_things:
        return broken(
            Check.OWNER,
            f"{_listed(entry.name for entry in foreign)} in {directory.path} do not belong to {owner}, as the folder.",
            why="The server cannot open what another user made, root for example, by running a command there.",
            advice=shlex.join(["chown", "-R", owner, str(directory.path)]),
        )
    if directory.me != itself.owner:
        me, user = name_of(directory.me), owner if owner != str(itself.owner) else f"#{owner}"
        return warning(
            Check.OWNER,
            f"{directory.path} belongs to {owner}, and you are {me}.",
            why="What your commands make there, the server could not open; and some of this may look other to it.",
            advice=f"Run pushdesk as {owner}: sudo -u {shlex.quote(user)} pushdesk doctor",
        )
    return ok(Check.OWNER, f"All of it belongs to {owner}.")


def _judge_modes(directory: Directory, itself: Entry) -> Finding:
    opened = [entry for entry in directory.files if entry.is_open]
    commands = []
    if itself.is_open:
        commands.append(["chmod", "700", str(directory.path)])
    if opened:
        names = [str(directory.path / entry.name) for entry in opened]
        commands.append(["chmod", "600", *names[:SHOWN]])
    if not commands:
        return ok(Check.MODES, "Folder and files are their owner's only.")
    what = [f"the folder ({itself.mode:04o})"] if itself.is_open else []
    what += [f"{entry.name} ({entry.mode:04o})" for entry in opened]
    return broken(
        Check.MODES,
        f"Others of this machine may get at {_listed(what)}.",
        why="Endpoints, keys and the admin token are in there; who has them can push in your name.",
        advice=" && ".join(shlex.join(command) for command in commands) + (" ..." if len(opened) > SHOWN else ""),
    )


def _judge_file_system(disk: Disk) -> Finding:
    if disk.is_read_only:
        return broken(
            Check.FILE_SYSTEM,
            "The file system of the data directory is mounted read-only.",
            why="Nothing can be accepted that cannot be written down.",
            advice="Mount it writable, or name another place with --data-dir.",
        )
    if disk.lock_problem:
        return broken(
            Check.FILE_SYSTEM,
            f"Files in the data directory cannot be locked: {disk.lock_problem}.",
            why="Without locks two servers could work on one database and destroy it, so a start refuses.",
            advice="Move the data directory to a disk of this machine.",
        )
    if disk.kind in OF_A_NETWORK:
        return warning(
            Check.FILE_SYSTEM,
            f"The data directory is on a network file system ({disk.kind}).",
            why="SQLite's write-ahead log needs memory that is shared, which machines do not: the database may be "
            "damaged.",
            advice="Move the data directory to a disk of this machine.",
        )
    return ok(Check.FILE_SYSTEM, f"Its file system{f' ({disk.kind})' if disk.kind else ''} locks and can be written.")


def _judge_space(disk: Disk) -> Finding:
    free = f"{size(disk.free_bytes)} are free on the disk of the data directory."
    why = "When it is full, notifications are refused and outcomes cannot be written down."
    advice = "Make room, or move the data directory."
    if disk.free_files == 0:
        return broken(
            Check.DISK, "The disk of the data directory has no room for another file.", why=why, advice=advice
        )
    if disk.free_bytes < FULL_BYTES:
        return broken(Check.DISK, f"Only {free}", why=why, advice=advice)
    if disk.free_bytes < SCARCE_BYTES:
        return warning(Check.DISK, f"Only {free}", why=why, advice=advice)
    return ok(Check.DISK, free)


def _unusable(directory: Directory, what: str) -> Finding:
    return broken(
        Check.DATA_DIRECTORY,
        what,
        why="Database, keys and token are kept there: without it nothing starts.",
        advice=f"Name another with --data-dir, or let {name_of(directory.me)} write there.",
    )


def name_of(user: int) -> str:
    """Return the name of a user id, or the id itself where it has none, as in containers."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def _listed(names: Iterable[str]) -> str:
    """Write the first few names as a sentence has them."""
    known: Sequence[str] = list(names)
    shown = [*known[:SHOWN], *([f"{len(known) - SHOWN} more"] if len(known) > SHOWN else [])]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _files(path: Path) -> Iterable[Entry]:
    with os.scandir(path) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                yield Entry(entry.name, stat.S_IMODE(found.st_mode), found.st_uid)


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there."""
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def _cannot_be_made(path: Path) -> str:
    """Say why a folder could not be made; empty if it could."""
    above = next((folder for folder in path.parents if folder.exists()), Path("/"))
    if not above.is_dir():
        return f"{above} is no folder"
    return "" if os.access(above, os.W_OK | os.X_OK) else f"{above} cannot be written to"


def _kind_of(path: Path) -> str | None:
    """Return the kind of the file system that a folder is on, where Linux tells it."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        device = path.stat().st_dev
    except OSError:
        return None
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        fields, _, rest = line.partition(" - ")
        if fields.split()[2:3] == [number] and rest:
            return rest.split()[0]
    return None


def _lock_problem(path: Path) -> str:
    """Say why a folder on this file system cannot be locked: tried on the folder itself, and given back at once."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    finally:
        os.close(handle)
    return ""
