"""Files that are made for a secret: new ones, which only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self


class NewFile:
    """A file (0600) that was not there before. As a context: if the block fails, it is removed again.

    Raises:
        FileExistsError: There is something of this name already, be it a link that leads nowhere.
        OSError: It cannot be made.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def fill(self, text: str) -> None:
        """Write a text to it, and return once it is on the disk.

        Raises:
            OSError: It cannot be written.
        """
        # Whatever the umask has left of it.
        os.fchmod(self._handle, 0o600)
        with os.fdopen(self._handle, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        os.fsync(self._handle)

    def __enter__(self) -> Self:
        """Give the file."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the file, and remove it after an error."""
        try:
            os.close(self._handle)
        finally:
            if kind is not None:
                Path(self._path).unlink(missing_ok=True)
