"""Reading the answer to a request of HTTP/1.1 (RFC 9112) as it comes, from servers that mean harm.

httptools splits the bytes; what is kept of them, and how much may come, is decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httptools

from pushdesk.webpush.push_answer import MAX_ANSWER_BODY

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_HEAD: Final = 32_768
"""Bytes of the status line and the headers, those of the interim answers included. Real ones have less than 2 kB."""

MAX_TAIL: Final = 32_768
"""Bytes of what comes after that head's last piece, sizes of chunks and trailers included: `MAX_ANSWER_BODY` in chunks
of one byte has less. The parser holds a trailer until it ends."""

MAX_FIELD: Final = 8190
"""Bytes of a header's name and value."""

MAX_INTERIM: Final = 100
"""Interim answers (1xx, RFC 9110 section 15.2) before the answer. None of the push services sends one."""


class AnswerReader:
    """Reads one answer after the other from a connection. Whatever comes, `feed` does not raise.

    Args:
        clock: Monotonic time in seconds.

    Attributes:
        status: HTTP status; 0 as long as the headers have not ended. Interim answers are skipped, except 101, which
            was not asked for and after which there is nothing that could be read.
        headers: Names in lower case; of a repeated one the first. Those of trailers are left out.
        body: The first `MAX_ANSWER_BODY` bytes.
        head_at: When the headers ended, on the clock.
        is_complete: The answer has come to its end. Never so if that is the end of the connection.
        is_broken: This is no HTTP, or too much before the status.
        is_flooded: More interim answers came than are read.
        may_be_reused: There may be another request on this connection.
    """

    __slots__ = (
        "_clock",
        "_head_room",
        "_interim",
        "_parser",
        "_tail_room",
        "body",
        "head_at",
        "headers",
        "is_broken",
        "is_complete",
        "is_flooded",
        "may_be_reused",
        "status",
    )

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._parser = httptools.HttpResponseParser(self)
        # What servers get wrong and everybody takes: a fault would be a push that is sent a second time.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.begin()

    def begin(self) -> None:
        """Expect the next answer."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.head_at = 0.0
        self.is_complete = False
        self.is_broken = False
        self.is_flooded = False
        self.may_be_reused = False
        self._interim = 0
        self._head_room = MAX_HEAD
        self._tail_room = MAX_TAIL

    @property
    def has_enough(self) -> bool:
        """Whether nothing more is wanted of the body and what is around it, though it may go on."""
        return len(self.body) >= MAX_ANSWER_BODY or self._tail_room < 0

    def feed(self, data: bytes | memoryview) -> None:
        """Read on."""
        if self.is_broken or self.is_flooded:
            return
        if self.status:
            self._tail_room -= len(data)
        else:
            room = self._head_room
            self._head_room = room - len(data)
            if len(data) > room:
                data = self._end_head(data, room)
        self._parse(data)

    def _end_head(self, data: bytes | memoryview, room: int) -> bytes | memoryview:
        """Read what is left of the most that a head may have. Returns what follows, if it ended there."""
        self._parse(data[:room])
        if self.status:
            return data[room:]
        self.is_broken = not self.is_flooded
        return b""

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.may_be_reused = False
            self.is_broken = True

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of an answer."""
        if self.is_complete:
            # Nobody asked for another.
            self.may_be_reused = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for a header, or a trailer."""
        if not self.status:
            if len(name) + len(value) > MAX_FIELD:
                raise ValueError("This is more than a header may have.")
            self.headers.setdefault(name.decode("latin-1").lower(), value.decode("utf-8", "replace").strip(" \t"))

    def on_headers_complete(self) -> None:
        """Called by the parser at the empty line."""
        if self.status:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.headers = {}
            self._interim += 1
            self.is_flooded = self._interim > MAX_INTERIM
        elif status >= 100:
            self.status = status
            self.head_at = self._clock()
        else:
            raise ValueError("A status has three digits.")

    def on_body(self, data: bytes) -> None:
        """Called by the parser for a piece of the body."""
        if not self.is_complete and (room := MAX_ANSWER_BODY - len(self.body)) > 0:
            self.body += data[:room]

    def on_message_complete(self) -> None:
        """Called by the parser at the end of an answer."""
        if self.status and not self.is_complete:
            self.is_complete = True
            self.may_be_reused = self.status != 101 and self._parser.should_keep_alive()
