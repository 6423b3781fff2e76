"""Reading a body of lines (NDJSON): an object, then a user's id as a JSON string on each line, as they come.

Such a body may be far larger than others, and is never held whole. Its lines are bounded, and so is their number; it
may take as long as it needs, as long as it comes no slower than the slowest of other bodies.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from pushdesk.errors import PushdeskError
from pushdesk.server.body import BODY_TIMEOUT_S, MAX_BODY, check_encoding, parse, too_large
from pushdesk.server.fields import fit
from pushdesk.user_id import check_user
from pushdesk.user_list import MOST_USERS, BadUsers, too_many_users

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

S = TypeVar("S", bound=Struct)

CONTENT_TYPE: Final = "application/x-ndjson"
MAX_LINE: Final = 1024
"""Bytes that the line of a user may have: that is enough for every user's id that is not escaped out of need."""
MAX_LINES: Final = MAX_BODY + MOST_USERS * (MAX_LINE + 2)
"""Bytes that the body may have."""

_STRING: Final = msgspec.json.Decoder(str)


def is_lines(request: web.Request) -> bool:
    """Whether the request says that its body is lines."""
    return request.content_type == CONTENT_TYPE and (request.charset or "utf-8").lower() in {"utf-8", "utf8"}


class Lines:
    """The body of a request whose lines have not been read; `first` is, before `users`.

    Args:
        request: Whose body it is.

    Raises:
        PushdeskError: `bad_json` for an encoded body, `too_large` for one that says that it is.
    """

    def __init__(self, request: web.Request) -> None:
        check_encoding(request)
        if (request.content_length or 0) > MAX_LINES:
            raise too_large(MAX_LINES)
        self._content = request.content
        self._patience_s = request.app[BODY_TIMEOUT_S]
        self._left_s = self._patience_s
        """For which the next bytes are waited for, until there are as many as another body may have."""
        self._come = 0
        """Bytes since that was counted anew."""
        self._size = 0
        self._rest = b""
        """What was read and belongs to lines that follow."""

    async def first(self, shape: type[S]) -> S:
        """Return the first line as a `shape`.

        Raises:
            PushdeskError: As for `pushdesk.server.body.read`.
        """
        read = bytearray()
        while b"\n" not in read and (piece := await self._piece()):
            read += piece
            if len(read.partition(b"\n")[0]) > MAX_BODY:
                raise PushdeskError(f"The first line has more than {MAX_BODY} bytes.", code="too_large")
        line, _, self._rest = bytes(read).partition(b"\n")
        return fit(parse(line), shape)

    async def users(self, *, skip_bad: bool) -> AsyncGenerator[str, None]:
        """Yield the users of the lines that follow; empty lines are skipped.

        Args:
            skip_bad: Skip the lines, too, that are no user's id.

        Raises:
            PushdeskError: `bad_field`, at the end, with the first of the lines that are none, and how many there are;
                `too_large`; `bad_json` for what does not come, or not in time.
        """
        bad, number, piece = BadUsers(), 1, self._rest
        while True:
            *lines, rest = piece.split(b"\n")
            for line in lines:
                number += 1
                if user := _user(line, number, bad):
                    yield user
            if number > MOST_USERS + 1:
                raise too_many_users()
            if len(rest) > MAX_BODY:
                raise PushdeskError(f"Line {number + 1} has more than {MAX_BODY} bytes.", code="too_large")
            # Other requests have their turn between two pieces, however fast they come.
            await asyncio.sleep(0)
            if not (more := await self._piece()):
                break
            piece = rest + more
        if user := _user(rest, number + 1, bad):
            yield user
        if not skip_bad:
            bad.check()

    async def _piece(self) -> bytes:
        """Return what has come; nothing at the end."""
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        try:
            async with asyncio.timeout(self._left_s):
                piece = await self._content.readany()
        except TimeoutError:
            raise PushdeskError(
                f"The body came too slowly: {MAX_BODY} bytes of it may take {self._patience_s:g} seconds.",
                code="bad_json",
            ) from None
        except (web.RequestPayloadError, ConnectionError):
            raise PushdeskError("The body ended before it was complete.", code="bad_json") from None
        self._left_s -= clock() - begun_s
        self._come += len(piece)
        self._size += len(piece)
        if self._size > MAX_LINES:
            raise too_large(MAX_LINES)
        if self._come >= MAX_BODY:
            self._come, self._left_s = 0, self._patience_s
        return piece


def _user(line: bytes, number: int, bad: BadUsers) -> str | None:
    """Return the user of a line; None for an empty one, and for one that is noted as bad."""
    if not line or line == b"\r":
        return None
    if len(line) > MAX_LINE:
        bad.note(f"line {number}", f"It has more than {MAX_LINE} bytes.")
        return None
    try:
        return check_user(_STRING.decode(line))
    except (msgspec.DecodeError, UnicodeDecodeError):
        bad.note(f"line {number}", "It is no JSON string.")
    except PushdeskError as error:
        bad.note(f"line {number}", error.detail)
    return None
