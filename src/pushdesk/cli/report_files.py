"""Files that a command writes at its end: looked at before it begins, as what it does may take long."""

from __future__ import annotations

import os
from pathlib import Path

from pushdesk.cli.output import tell
from pushdesk.errors import StartUpError


def check_writable(option: str, file: Path) -> None:
    """Refuse a file that could not be written, as far as opening it tells; it is left as it was, there or not.

    Raises:
        StartUpError: Says why.
    """
    try:
        if file.is_dir():
            raise StartUpError(f"{option}: {file} is a folder.")
        if not file.exists():
            if not file.parent.is_dir():
                raise StartUpError(f"{option}: there is no folder {file.parent}.")
            # Not `resolve`, which of a loop of links raises something else.
            _try_making(Path(os.path.realpath(file)))
        elif file.is_file():
            os.close(os.open(file, os.O_WRONLY))
        elif not os.access(file, os.W_OK):
            # No more is tried: whoever reads from a pipe would take the end of that for the end of it all.
            raise StartUpError(f"{option}: {file} may not be written.")
    except OSError as error:
        raise StartUpError(f"{option}: {file} cannot be written: {error.strerror or error}.") from None


def _try_making(file: Path) -> None:
    """Make a file that is not there, and remove it again. That of a link is where the link leads."""
    file.open("xb").close()
    file.unlink()


def write_file(option: str, file: Path, content: bytes) -> bool:
    """Write a file; if that fails say so, and return that it did: what it holds may have been shown, too."""
    try:
        file.write_bytes(content)
    except OSError as error:
        tell(f"{option}: {file} cannot be written: {error.strerror or error}.")
        return False
    return True
