"""What is sent as lines of JSON (NDJSON), as it comes and never held whole."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

import msgspec

from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable

_PIECE: Final = 64 * 1024
"""Bytes that are sent at once."""


class JsonLines:
    """An object on the first line, and a string on each that follows.

    Args:
        first: The object.
        lines: The strings.

    Attributes:
        failure: What `lines` raised.
    """

    CONTENT_TYPE: Final = "application/x-ndjson"

    def __init__(self, first: object, lines: AsyncIterable[str]) -> None:
        self.failure: PushdeskError | None = None
        self._first = first
        self._lines = lines

    async def pieces(self, moved: Callable[[], object]) -> AsyncGenerator[bytes, None]:
        """Yield it in pieces.

        Args:
            moved: Called with each.

        Raises:
            PushdeskError: What `lines` raises.
        """
        # At once, so that whoever is to refuse it can do so before the rest.
        yield msgspec.json.encode(self._first) + b"\n"
        piece = bytearray()
        try:
            async for line in self._lines:
                piece += _string(line) + b"\n"
                if len(piece) >= _PIECE:
                    moved()
                    yield bytes(piece)
                    piece.clear()
        except PushdeskError as error:
            self.failure = error
            raise
        moved()
        if piece:
            yield bytes(piece)


def put_off(deadline: asyncio.Timeout, by_s: float) -> None:
    """Let a deadline be so many seconds from now."""
    deadline.reschedule(asyncio.get_running_loop().time() + by_s)


def _string(text: str) -> bytes:
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        # Half a surrogate pair; that it cannot be used is for the server to say, with where it stands.
        return json.dumps(text).encode()
