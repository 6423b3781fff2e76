"""What operators do to the database of a server that runs: a copy of it, and making its file smaller."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from threading import Event
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from pushdesk.errors import DiskFullError
from pushdesk.log import write
from pushdesk.log_events import DatabaseCopied, DatabaseVacuumed
from pushdesk.model import Vacuumed
from pushdesk.storage.backup import SIDE_FILES, copy_database
from pushdesk.storage.transaction import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.storage.store import Store

PARTIAL: Final = "copy"
"""How the name of a copy that is being made goes on."""
_MEGABYTE: Final = 10**6


class Copy(NamedTuple):
    """A copy of the database, which is gone when nobody reads it any longer."""

    file: BinaryIO
    size: int
    """Bytes."""


class Maintenance:
    """Copies and shrinks the database.

    Args:
        store: An open store.
        min_free: Bytes of disk that a copy must leave free.
    """

    def __init__(self, store: Store, *, min_free: int) -> None:
        self._store = store
        self._min_free = min_free
        self._partial = store.path.with_name(f"{store.path.name}.{PARTIAL}")
        self._copying = asyncio.Lock()

    def clear(self) -> None:
        """Remove what a copy may have left whose server was killed."""
        for ending in ("", *SIDE_FILES):
            self._partial.with_name(self._partial.name + ending).unlink(missing_ok=True)

    @asynccontextmanager
    async def copy(self) -> AsyncIterator[Copy]:
        """Make a copy of the database as it is at one moment, and give it to be read; its disk has to have room for it.

        Raises:
            DatabaseError: It could not be made; `disk_full` among others.
        """
        async with self._copying:
            file = await self._make()
        with file:
            size = os.fstat(file.fileno()).st_size
            write(DatabaseCopied(bytes=size))
            yield Copy(file, size)

    async def vacuum(self) -> Vacuumed:
        """Make the file as small as it can be; see `FileSpace.vacuum`.

        Raises:
            DatabaseError: It failed; nothing is lost.
        """
        before = self._store.size
        await self._store.space.vacuum()
        vacuumed = Vacuumed(before, self._store.size)
        write(DatabaseVacuumed(before=vacuumed.before, after=vacuumed.after))
        return vacuumed

    async def _make(self) -> BinaryIO:
        free, size = self._store.free_bytes(), self._store.size
        if free is not None and free - size < self._min_free:
            raise DiskFullError(
                f"A copy takes {-(-size // _MEGABYTE)} MB, and {free // _MEGABYTE} MB of the disk are free, of which "
                f"min_free in [outbox] keeps {self._min_free // _MEGABYTE} MB.",
                hint="Make room on it.",
            )
        self.clear()
        handle = os.open(self._partial, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        is_dropped = Event()
        try:
            copying = asyncio.to_thread(
                copy_database, self._store.path, self._partial, is_wanted=lambda: not is_dropped.is_set()
            )
            await to_its_end(copying, on_cancel=is_dropped.set)
            return os.fdopen(handle, "rb")
        except BaseException:
            os.close(handle)
            raise
        finally:
            # Whoever has it open reads on, nobody else can open it, and nothing is left of it afterwards.
            self.clear()
