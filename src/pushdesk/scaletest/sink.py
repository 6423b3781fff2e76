"""The push service of a scale test: it checks who pushes and what, counts, and costs next to nothing.

The rest of the machine is the server's. So requests are read by hand, as a transport sends them that knows HTTP/1.1:
with a length, and without anything that needs more than a look.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import TYPE_CHECKING, Final, Self

from pushdesk.simulator import base64url
from pushdesk.simulator.authorization import check_authorization
from pushdesk.simulator.personality import Personality
from pushdesk.simulator.refusal import Problem, Refusal
from pushdesk.simulator.request import check_request
from pushdesk.simulator.service_answers import refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HOST: Final = "127.0.0.1"
LARGEST_HEAD: Final = 16_384
_RULES: Final = Personality.OTHER.rules
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n", re.IGNORECASE)
_CREATED: Final = b"HTTP/1.1 201 Created\r\nLocation: /message/%d\r\nTTL: 86400\r\nContent-Length: 0\r\n\r\n"


class Sink:
    """A push service on this machine; an async context manager.

    Args:
        took: Called with the number and the body of each push that is good.
        is_lost: Says of which pushes nothing is told although they are answered 201; for trying out what then happens.
    """

    def __init__(
        self, took: Callable[[int, bytes], None], *, is_lost: Callable[[int], bool] = lambda _number: False
    ) -> None:
        self._took = took
        self._is_lost = is_lost
        self._numbers: Mapping[bytes, int] = {}
        self._key = b""
        self._good_until: dict[str, float] = {}
        """Authorizations that were checked: until when they need not be again."""
        self._connections: set[asyncio.Transport] = set()
        self.origin = ""
        self.pushes = 0
        """All that were answered 201."""
        self.refusals: dict[str, int] = {}
        """Why others were not, and how many."""

    async def __aenter__(self) -> Self:
        """Listen at a free port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), HOST, 0, backlog=1024)
        self.origin = f"http://{HOST}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """Listen no more, and close every connection."""
        self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await self._server.wait_closed()

    def serve(self, numbers: Mapping[bytes, int], key: bytes) -> None:
        """Take pushes from now on.

        Args:
            numbers: The paths of the endpoints, and whose they are.
            key: What all of them were made with: the application server's public key.
        """
        self._numbers, self._key = numbers, key

    def opened(self, connection: asyncio.Transport) -> None:
        """Note a connection."""
        self._connections.add(connection)

    def closed(self, connection: asyncio.Transport) -> None:
        """Forget a connection."""
        self._connections.discard(connection)

    def answer(self, head: bytes, body: bytes) -> bytes:
        """Take a push and return the answer."""
        try:
            number = self._check(head, body)
        except Refusal as refusal:
            self.refusals[refusal.message] = self.refusals.get(refusal.message, 0) + 1
            said = refused(Personality.OTHER, refusal, push_id=base64url.encode(uuid.uuid4().bytes))
            return b"HTTP/1.1 %d \r\nContent-Length: %d\r\n\r\n" % (said.status, len(said.body)) + said.body
        self.pushes += 1
        if not self._is_lost(number):
            self._took(number, body)
        return _CREATED % self.pushes

    def _check(self, head: bytes, body: bytes) -> int:
        line, *fields = head.decode("latin-1").split("\r\n")
        method, _, rest = line.partition(" ")
        path = rest.partition(" ")[0]
        headers = {name.title(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        # `Title()` writes TTL in another way than RFC 8030 does.
        headers["TTL"] = headers.get("Ttl", "")
        number = self._numbers.get(path.encode("latin-1"))
        if method != "POST" or number is None:
            raise Refusal(Problem.UNKNOWN, "There never was such an endpoint")
        authorization = headers.get("Authorization", "")
        now = time.time()
        if self._good_until.get(authorization, 0) < now:
            check_authorization(
                authorization or None, origin=self.origin, registered_key=self._key, now=now, rules=_RULES
            )
            # Within a minute a token that was good has not become one that lives too long.
            self._good_until[authorization] = now + 60
        check_request(headers, len(body), _RULES)
        return number


class _Connection(asyncio.Protocol):
    """Requests one after the other."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what TCP gives)
        self._transport = transport
        self._sink.opened(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._sink.closed(self._transport)

    def data_received(self, data: bytes) -> None:
        held = self._held + data if self._held else data
        while (end := held.find(_HEAD_END)) >= 0:
            length = _LENGTH.search(held, 0, end + 2)
            whole = end + len(_HEAD_END) + (int(length[1]) if length else 0)
            if len(held) < whole:
                break
            body = held[end + len(_HEAD_END) : whole]
            self._transport.write(self._sink.answer(held[:end], body))
            held = held[whole:]
        self._held = held
        if len(held) > LARGEST_HEAD + 8192:
            self._transport.abort()
