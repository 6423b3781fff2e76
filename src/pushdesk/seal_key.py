"""The key that the secrets in the database are sealed with: 32 bytes, base64url, from a variable or from a file.

It is kept apart from the database, and above all from its backups: whoever has both has everything.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Final

from pushdesk.errors import StartUpError
from pushdesk.new_file import NewFile

if TYPE_CHECKING:
    from pathlib import Path

    from pushdesk.config import Config

VARIABLE: Final = "PUSHDESK_SEAL_KEY"
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=?")
_SIZE: Final = 32
_HINT: Final = "`pushdesk seal --new-key-file FILE` makes one."


def seal_key(config: Config) -> bytes | None:
    """Return the key that is configured, in `PUSHDESK_SEAL_KEY` or in a file; None if neither is given.

    Raises:
        StartUpError: It is no key, or the file cannot be read, or others may read it; or both hold a key and not the
            same one.
    """
    file = config.server.seal_key_file
    in_variable = _decode(config.seal_key.text, VARIABLE) if config.seal_key.text else None
    in_file = read_key_file(file) if file is not None else None
    if in_variable and in_file and in_variable != in_file:
        raise StartUpError(f"{VARIABLE} and {file} hold different keys.", hint="Give one of them.")
    return in_variable or in_file


def read_key_file(path: Path) -> bytes:
    """Read a key from a file that nobody but its owner may read.

    Raises:
        StartUpError: It is no key, or the file cannot be read, or others may read it.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            content = file.read(1024)
    except OSError as error:
        raise StartUpError(f"The sealing key file {path} cannot be read: {error.strerror}.") from None
    if mode & 0o077:
        raise StartUpError(f"Others may read the sealing key file {path}.", hint="Close it to them: chmod 600.")
    return _decode(content.decode("ascii", "replace").strip(), f"The sealing key file {path}")


def make_key() -> bytes:
    """Make a key."""
    return secrets.token_bytes(_SIZE)


def write_key_file(path: Path, key: bytes) -> None:
    """Write a key to a new file (0600), and return once it is on the disk.

    Raises:
        StartUpError: There is such a file already, or it cannot be written.
    """
    try:
        with NewFile(path) as file:
            file.fill(urlsafe_b64encode(key).rstrip(b"=").decode() + "\n")
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except FileExistsError:
        raise StartUpError(
            f"{path} is there already, and a key is never written over.",
            hint="Name another file, or seal with the key in this one: --seal-key-file.",
        ) from None
    except OSError as error:
        raise StartUpError(f"The sealing key file {path} cannot be written: {error.strerror}.") from None


def _decode(text: str, source: str) -> bytes:
    text = text.strip()
    if not _KEY.fullmatch(text):
        raise StartUpError(f"{source} must hold a key: {_SIZE} bytes as base64url, 43 characters.", hint=_HINT)
    return urlsafe_b64decode(text[:43] + "=")
