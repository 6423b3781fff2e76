"""Hostile clients, as a program of their own: `python -m tests.faults.attackers HOST PORT ATTACK`.

It says `ready` when all of them are at it, and goes on until it is killed. Whoever is cut off comes again after a
second.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from contextlib import suppress
from typing import Final, NamedTuple

AGAIN_S: Final = 1.0
"""Seconds from one byte to the next, and from one connection to the next."""
JSON: Final = b"POST /api/v1/enrollments HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNK: Final = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


class Attack(NamedTuple):
    """What many do at once."""

    name: str
    clients: int
    first: bytes = b""
    drip: bytes = b""
    """The byte that is sent again and again."""
    pour: bytes = b""
    """What is sent as fast as it is taken."""


ATTACKS: Final = {
    "header": Attack("a header, one byte per second", 500, b"GET / HTTP/1.1\r\nX: ", drip=b"x"),
    "body": Attack("a body, one byte per second", 500, JSON + b"Content-Length: 60000\r\n\r\n", drip=b"x"),
    "idle": Attack("idle connections", 2100),
    "endless": Attack("a body without an end", 20, JSON + b"Transfer-Encoding: chunked\r\n\r\n", pour=CHUNK),
}


def allow_connections(number: int) -> int:
    """Have the system let this process open so many connections, or as many as it may; returns how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number + 100
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return min(number, wanted - 100)


class Crowd:
    """The clients of an attack."""

    def __init__(self, host: str, port: int, attack: Attack) -> None:
        self._host = host
        self._port = port
        self._attack = attack
        self._at_it = 0
        self._clients = allow_connections(attack.clients)
        self.ready = asyncio.Event()

    async def attack(self) -> None:
        """Attack until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        # Not all at the same moment, which no network would bring about.
        await asyncio.sleep(number / self._clients)
        while True:
            with suppress(OSError):
                await self._connection()
            await asyncio.sleep(AGAIN_S)

    async def _connection(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._at_it += 1
        if self._at_it >= self._clients:
            self.ready.set()
        try:
            writer.write(self._attack.first)
            over = asyncio.ensure_future(reader.read())
            try:
                while not over.done():
                    await self._go_on(writer, over)
            finally:
                over.cancel()
        finally:
            writer.transport.abort()

    async def _go_on(self, writer: asyncio.StreamWriter, over: asyncio.Future[bytes]) -> None:
        if self._attack.pour:
            writer.write(self._attack.pour)
            await writer.drain()
        elif self._attack.drip:
            await asyncio.wait([over], timeout=AGAIN_S)
            writer.write(self._attack.drip)
        else:
            await over


async def main() -> None:
    """Attack until killed."""
    host, port, name = sys.argv[1:]
    crowd = Crowd(host, int(port), ATTACKS[name])
    attack = asyncio.create_task(crowd.attack())
    await crowd.ready.wait()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await attack


if __name__ == "__main__":
    asyncio.run(main())
