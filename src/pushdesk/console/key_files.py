"""VAPID keys in files: what is imported, and what is exported."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from pushdesk.console.text import plain
from pushdesk.errors import PushdeskError
from pushdesk.new_file import NewFile

LARGEST: Final = 64 * 1024
"""Bytes of a file that is read: a key has some hundred."""


def read_key(name: str) -> str:
    """Return what is in a file.

    Raises:
        PushdeskError: `bad_field`: it cannot be read, is no regular file, is too large to be a key, or is no text.
    """
    try:
        # Without waiting: the other end of a pipe may never come.
        handle = os.open(_path(name), os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise _bad(f"{plain(name)} is not a file.")
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise _bad(f"{plain(name)} could not be read: {_reason(error)}.") from None
    if len(content) > LARGEST:
        raise _bad(f"{plain(name)} is too large to be a key.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _bad(f"{plain(name)} is not a text.") from None


def check_new(name: str) -> None:
    """See that a file can be made.

    Raises:
        PushdeskError: `bad_field`: it is there already, or its folder is not.
    """
    path = _path(name)
    try:
        path.lstat()
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise _bad(f"There is no folder {plain(str(path.parent))}.") from None
    except (OSError, ValueError) as error:
        raise _bad(f"{plain(name)} cannot be made: {_reason(error)}.") from None
    else:
        raise _bad(f"{plain(name)} is there already.", "Nothing is overwritten: give another name.")


def write_new(name: str, text: str) -> Path:
    """Write a text to a new file that only its owner may read, and return where it is.

    Raises:
        PushdeskError: `bad_field`: it is there already, or cannot be written; then there is no part of it.
    """
    check_new(name)
    path = _path(name)
    try:
        file = NewFile(path)
    except OSError as error:
        raise _bad(f"{plain(name)} could not be made: {_reason(error)}.") from None
    try:
        with file:
            file.fill(text)
    except OSError as error:
        raise _bad(f"{plain(name)} could not be written: {_reason(error)}.") from None
    return path


def _path(name: str) -> Path:
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError:
        raise _bad(f"{plain(name)} begins in a home directory that is not known.") from None


def _reason(error: OSError | ValueError) -> str:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return plain(reason[:1].lower() + reason[1:]).rstrip(".")


def _bad(detail: str, hint: str = "") -> PushdeskError:
    return PushdeskError(detail, code="bad_field", hint=hint)
