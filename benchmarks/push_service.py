"""A push service that costs next to nothing: `python -m benchmarks.push_service` prints its origin and answers 201.

With a file of a key and its certificate it is reached over TLS, as `localhost`. On SIGTERM it prints how many pushes it
took.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import ssl
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

CREATED: Final = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
HEADERS_END: Final = b"\r\n\r\n"


class Pushes(asyncio.Protocol):
    """Takes requests one after the other on a connection."""

    taken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._held = b""

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(HEADERS_END)) >= 0:
            length = LENGTH.search(self._held, 0, end)
            whole = end + len(HEADERS_END) + (int(length[1]) if length else 0)
            if len(self._held) < whole:
                return
            head, self._held = self._held[:end], self._held[whole:]
            Pushes.taken += 1
            self.took(head)
            self._transport.write(CREATED)

    def took(self, head: bytes) -> None:
        """Do with a push whatever else is to be done with it; nothing."""


async def serve(protocol: Callable[[], Pushes], certificate: str | None = None) -> None:
    """Take pushes until SIGTERM, over TLS with a file of a key and its certificate."""
    tls = None
    if certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}", flush=True)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()
    print(Pushes.taken, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Pushes, *sys.argv[1:2]))
