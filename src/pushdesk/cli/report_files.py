"""Files that a command writes at its end: looked at before it begins, as what it does may take long."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pushdesk.cli.output import tell
from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from pathlib import Path


def check_writable(option: str, file: Path) -> None:
    """Refuse a file that could not be written, as far as can be known; nothing is made.

    Raises:
        StartUpError: Says why.
    """
    try:
        if file.is_dir():
            raise StartUpError(f"{option}: {file} is a folder.")
        if file.exists():
            if not os.access(file, os.W_OK):
                raise StartUpError(f"{option}: {file} may not be written.")
        elif not file.parent.is_dir():
            raise StartUpError(f"{option}: there is no folder {file.parent}.")
        elif not os.access(file.parent, os.W_OK):
            raise StartUpError(f"{option}: nothing may be written in {file.parent}.")
    except OSError as error:
        raise StartUpError(f"{option}: {file} cannot be written: {error.strerror or error}.") from None


def write_file(option: str, file: Path, content: bytes) -> bool:
    """Write a file; if that fails say so, and return that it did: what it holds may have been shown, too."""
    try:
        file.write_bytes(content)
    except OSError as error:
        tell(f"{option}: {file} cannot be written: {error.strerror or error}.")
        return False
    return True
