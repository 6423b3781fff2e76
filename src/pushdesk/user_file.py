"""A file of users, one on each line: read once and checked whole before anything is asked of a server.

What is good of it is kept in a file without a name, so that what is sent is what was planned, also where it came from
standard input, and however long it is.
"""

from __future__ import annotations

import codecs
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Final, Self

from pushdesk.errors import PushdeskError
from pushdesk.user_id import check_user
from pushdesk.user_list import MOST_USERS, BadUsers, too_many_users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LONGEST: Final = 64 * 1024
"""Bytes of a line, of which a user's id has at most 512."""
_IN_MEMORY: Final = 1024 * 1024


class UserFile:
    """The users of a file; to be closed, or used as a context manager.

    Attributes:
        bad: The lines that are no user's id.
        number: How many others there are.
    """

    def __init__(self) -> None:
        self.bad = BadUsers()
        self.number = 0
        self._kept = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed where this is)

    @classmethod
    def read(cls, name: str, *, option: str = "--users: ") -> Self:
        """Read a file, or standard input if it is called `-`.

        Args:
            name: What it is called.
            option: What an error begins with.

        Raises:
            PushdeskError: `bad_field` if it cannot be read; `too_large` for too many lines, or a far too long one.
        """
        users = cls()
        with ExitStack() as closing:
            closing.callback(users.close)
            try:
                if name == "-":
                    users._take(sys.stdin.buffer, option)
                else:
                    with Path(name).open("rb") as file:
                        users._take(file, option)
            except OSError as error:
                raise PushdeskError(
                    f"{option}{name} cannot be read: {error.strerror}.", code="bad_field", fields=("users",)
                ) from None
            closing.pop_all()
        return users

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget what was kept."""
        self._kept.close()

    async def users(self) -> AsyncIterator[str]:
        """Yield the users, from the first one on."""
        self._kept.seek(0)
        for line in self._kept:
            yield line[:-1].decode()

    def _take(self, file: IO[bytes], option: str) -> None:
        number = 0
        while line := file.readline(_LONGEST + 1):
            number += 1
            if len(line) > _LONGEST:
                raise PushdeskError(f"{option}line {number} has more than {_LONGEST} bytes.", code="too_large")
            if number > MOST_USERS:
                raise too_many_users()
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if line := line.removesuffix(b"\n").removesuffix(b"\r"):
                self._keep(line, f"line {number}")

    def _keep(self, line: bytes, place: str) -> None:
        try:
            check_user(line.decode())
        except UnicodeDecodeError:
            self.bad.note(place, "It is not UTF-8.")
        except PushdeskError as error:
            self.bad.note(place, error.detail)
        else:
            self._kept.write(line + b"\n")
            self.number += 1
