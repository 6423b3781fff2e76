"""Servers that are none, or not well: they stall, drip, flood, talk nonsense, or send elsewhere."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import random
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
DRIP_S: Final = 0.01
HELLO: Final = b'[{"type": "hello", "seq": 1, "time": "2030-01-01T00:00:00Z", "epoch": "e", "version": "0.1.0"}]'
BOMB: Final = gzip.compress(b" " * 10_000_000)
_BLOCK: Final = 65536


class Peer:
    """A connection to a server: what was asked, and the means to answer it badly."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self.sent = 0
        """Bytes that were handed to the network."""

    async def read_request(self) -> bytes:
        """Wait for a request without a body; returns its header."""
        return await self.reader.readuntil(b"\r\n\r\n")

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    async def drip(self, data: bytes) -> None:
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(DRIP_S)

    async def hang(self) -> None:
        """Wait until the other side goes."""
        while await self.reader.read(_BLOCK):
            pass

    async def answer(self, body: bytes, *, status: str = "200 OK", **headers: str) -> None:
        """Answer a request; a header's name is written with underscores."""
        named = {"Content_Type": "application/json", "Content_Length": str(len(body)), "Connection": "close"} | headers
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        await self.send(f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body)

    async def open_socket(self) -> None:
        """Take part in the handshake of a WebSocket."""
        lines = (await self.read_request()).splitlines()
        key = next((line.split()[1] for line in lines if line.lower().startswith(b"sec-websocket-key:")), None)
        if key is None:
            raise ConnectionResetError
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())  # noqa: S324 (RFC 6455 section 4.2.2)
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        await self.send(head + b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")

    async def frame(self, payload: bytes, opcode: int = TEXT, *, last: bool = True, claims: int | None = None) -> None:
        """Send a frame of a WebSocket, which may claim another length than it has."""
        await self.send(frame(payload, opcode, last=last, claims=claims))


def frame(payload: bytes, opcode: int = TEXT, *, last: bool = True, claims: int | None = None) -> bytes:
    """Return a frame (RFC 6455 section 5.2)."""
    length = len(payload) if claims is None else claims
    head = bytes([(0x80 if last else 0) | opcode])
    if length < 126:
        return head + bytes([length]) + payload
    return head + (struct.pack("!BH", 126, length) if length < 2**16 else struct.pack("!BQ", 127, length)) + payload


Mischief: TypeAlias = "Callable[[Peer], Awaitable[None]]"


async def silent(peer: Peer) -> None:
    await peer.hang()


async def stalls_in_the_header(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX: ")
    await peer.hang()


async def stalls_in_the_body(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"{", Content_Length="1000")
    await peer.hang()


async def drips(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"", Content_Length="100000")
    await peer.drip(b" " * 100_000)


async def drips_a_header(peer: Peer) -> None:
    await peer.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)


async def floods(peer: Peer) -> None:
    noise = random.Random(0).randbytes(_BLOCK)  # noqa: S311 (the same noise every time)
    while True:
        await peer.send(noise)


async def floods_with_headers(peer: Peer) -> None:
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await peer.send(b"X-Header: y\r\n" * 5000)


async def floods_with_promises(peer: Peer) -> None:
    while True:
        await peer.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 1000)


async def says_megabytes(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"", Content_Length=str(10**12))
    while True:
        await peer.send(b" " * _BLOCK)


async def says_megabytes_without_an_end(peer: Peer) -> None:
    await peer.read_request()
    await peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await peer.send(b"10000\r\n" + b"[" * _BLOCK + b"\r\n")


async def says_a_bomb(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(BOMB, Content_Encoding="gzip")
    await peer.hang()


async def says_html(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"<!doctype html><title>Router</title>", Content_Type="text/html")
    await peer.hang()


async def says_what_is_too_deep(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b'{"services":' * 100_000)
    await peer.hang()


async def says_what_is_not_unicode(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b'{"version": "\xff", "items": [{"id": "\xff"}], "removed": "\xff"}')
    await peer.hang()


async def redirects(peer: Peer) -> None:
    await peer.read_request()
    await peer.answer(b"", status="302 Found", Location="/elsewhere")
    await peer.hang()


async def hangs_up(peer: Peer) -> None:
    await peer.read_request()


async def opens_and_is_silent(peer: Peer) -> None:
    await peer.open_socket()
    await peer.hang()


async def greets_and_is_silent(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(HELLO)
    # Pings arrive, and are not answered.
    await peer.hang()


async def greets_and_drips(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(HELLO)
    await peer.frame(b"", claims=60_000)
    await peer.drip(b" " * 60_000)


async def greets_pings_and_hangs_up(peer: Peer) -> None:
    await peer.open_socket()
    # So many that some are read when the connection is gone.
    await peer.send(frame(HELLO) + frame(b"", PING) * 10_000)


async def pings_and_does_not_greet(peer: Peer) -> None:
    await peer.open_socket()
    while True:
        await peer.frame(b"", PING)
        await asyncio.sleep(DRIP_S)


async def speaks_binary(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(HELLO, BINARY)
    await peer.hang()


async def speaks_no_unicode(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(b'["\xff\xfe"]')
    await peer.hang()


async def speaks_no_frames(peer: Peer) -> None:
    await peer.open_socket()
    await floods(peer)


async def speaks_too_much(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(b"[", claims=2**62)
    await peer.hang()


async def speaks_in_pieces_without_an_end(peer: Peer) -> None:
    await peer.open_socket()
    await peer.frame(b"[", last=False)
    while True:
        await peer.frame(b" " * 60_000, opcode=0, last=False)


async def speaks_of_something_else(peer: Peer) -> None:
    await peer.open_socket()
    while True:
        await peer.send(frame(b'{"weather": "fair"}') * 3000)


REQUESTS: Final[Mapping[Mischief, str]] = {
    silent: "in time",
    stalls_in_the_header: "in time",
    stalls_in_the_body: "in time",
    drips: "in time",
    drips_a_header: "in time",
    floods: "not this version",
    floods_with_headers: "not this version",
    floods_with_promises: "in time",
    says_megabytes: "not this version",
    says_megabytes_without_an_end: "not this version",
    says_a_bomb: "not this version",
    says_html: "not this version",
    says_what_is_too_deep: "not this version",
    says_what_is_not_unicode: "not this version",
    redirects: "not this version",
    hangs_up: "cannot be reached",
}
"""What can be wrong with the answer to any request, and what is said of it."""

SOCKETS: Final[Mapping[Mischief, str]] = {
    opens_and_is_silent: "in time",
    greets_and_is_silent: "lost",
    greets_and_drips: "in time",
    greets_pings_and_hangs_up: "lost",
    pings_and_does_not_greet: "in time",
    speaks_binary: "not this version",
    speaks_no_unicode: "not this version",
    speaks_no_frames: "not this version",
    speaks_too_much: "not this version",
    speaks_in_pieces_without_an_end: "not this version",
    speaks_of_something_else: "not this version",
}
"""What can be wrong with a WebSocket."""


class Trickster:
    """A server that stands before another: it passes everything on, or does mischief.

    Attributes:
        url: Where it is.
        peers: Everybody with whom mischief was done.
        mischief: What is done with whoever connects; without it, the server behind it has them.
        flowing: While it is clear, nothing is passed on, and nobody is cut off.
    """

    def __init__(self, behind: str = "") -> None:
        self._behind = urlsplit(behind)
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""
        self.peers: list[Peer] = []
        self.mischief: Mischief | None = None
        self.flowing = asyncio.Event()
        self.flowing.set()

    def change(self, mischief: Mischief | None) -> None:
        """Do this from now on; who is connected is cut off."""
        self.mischief = mischief
        for connection in self._connections:
            connection.cancel()

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.mischief is None:
                    await self._pass_on(reader, writer)
                else:
                    self.peers.append(Peer(reader, writer))
                    await self.mischief(self.peers[-1])
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._behind.hostname, self._behind.port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._copy(reader, there_writer))
                both.create_task(self._copy(there_reader, writer))
        except* ConnectionError:
            pass
        finally:
            there_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(_BLOCK):
            await self.flowing.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError


@asynccontextmanager
async def tricking(mischief: Mischief | None = None, *, behind: str = "") -> AsyncIterator[Trickster]:
    """Run a server that does mischief, or for the time being passes everything on to the one behind it."""
    trickster = Trickster(behind)
    trickster.mischief = mischief
    server = await asyncio.start_server(trickster.take, "127.0.0.1", 0)
    async with server:
        trickster.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield trickster
        finally:
            trickster.change(mischief)
