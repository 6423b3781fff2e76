"""A push service on a raw socket, which says what a test wants it to say, HTTP or not, and the transport to it."""

from __future__ import annotations

import asyncio
import ssl
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from pushdesk.webpush.request import PushRequest
from pushdesk.webpush.transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import trustme

    from pushdesk.webpush.egress import Resolver

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
OK = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok"
PATH = "/w/?token=SECRET%2fCm%2bwt4%3d"
AMPLE_S = 60.0


@dataclass
class Server:
    """A push service on a raw socket, which does what its behaviour says to each connection."""

    behave: Callable[[Server, Streams], Awaitable[None]]
    port: int = 0
    connections: int = 0
    open: int = 0
    requests: list[tuple[list[str], bytes]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.behave(self, (reader, writer))
        finally:
            self.open -= 1
            self.hung_up.set()
            writer.transport.abort()

    async def read_request(self, streams: Streams) -> None:
        head = (await streams[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        length = next(int(line.split(":")[1]) for line in head if line.lower().startswith("content-length:"))
        self.requests.append((head, await streams[0].readexactly(length)))
        self.arrived.set()


@asynccontextmanager
async def serving(
    behave: Callable[[Server, Streams], Awaitable[None]], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Server]:
    server, tasks = Server(behave), set[asyncio.Task[None]]()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.get_running_loop().create_task(server.connected(reader, writer)))

    listener = await asyncio.start_server(connected, host, 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(answer: bytes) -> Callable[[Server, Streams], Awaitable[None]]:
    """Answer every request on every connection with these bytes."""

    async def behave(server: Server, streams: Streams) -> None:
        while True:
            await server.read_request(streams)
            streams[1].write(answer)
            await streams[1].drain()

    return behave


def once(answer: bytes) -> Callable[[Server, Streams], Awaitable[None]]:
    """Answer one request with these bytes, and wait until the client hangs up."""

    async def behave(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(answer)
        await streams[1].drain()
        assert await streams[0].read() == b""

    return behave


def endlessly(answer: bytes, then: bytes) -> Callable[[Server, Streams], Awaitable[None]]:
    async def behave(server: Server, streams: Streams) -> None:
        await server.read_request(streams)
        streams[1].write(answer)
        while True:
            streams[1].write(then)
            await streams[1].drain()

    return behave


def origin(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


def server_tls(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def request_to(origin: str, path: str = PATH) -> PushRequest:
    return PushRequest(endpoint=origin + path, headers={"TTL": "60", "Urgency": "high"}, body=b"\x00encrypted")


@asynccontextmanager
async def transport_to(
    *origins: str,
    total_timeout_s: float = AMPLE_S,
    clock: Callable[[], float] = time.monotonic,
    tls: ssl.SSLContext | None = None,
    resolver: Resolver | None = None,
    proxy: str | None = None,
) -> AsyncIterator[HttpTransport]:
    transport = HttpTransport(
        allowed_origins=frozenset(origins),
        clock=clock,
        connect_timeout_s=AMPLE_S,
        total_timeout_s=total_timeout_s,
        tls=tls,
        resolver=resolver,
        proxy=proxy,
    )
    try:
        yield transport
    finally:
        await transport.aclose()
