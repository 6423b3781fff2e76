"""When pushes arrive: a push service in a process of its own that tells each one's path and moment.

The moments are those of CLOCK_MONOTONIC, `time.monotonic_ns()`, which all processes of a machine have in common.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.push_service import Pushes, serve
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OUT = 1


class Arrival(NamedTuple):
    """A push that was taken."""

    path: str
    at_ns: int


class Arrivals:
    """What has arrived; made by `arrivals`."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.count = 0
        """Pushes that arrived, ever."""
        self._told = bytearray()
        self._fresh = asyncio.Event()

    def told(self, chunk: bytes) -> None:
        """Note what the push service has told, which need not be whole lines."""
        self._told += chunk
        self.count += chunk.count(b"\n")
        self._fresh.set()

    async def reach(self, count: int, *, within_s: float = 60.0) -> None:
        """Wait until so many have arrived, ever.

        Raises:
            TimeoutError: They have not.
        """
        async with asyncio.timeout(within_s):
            while self.count < count:
                self._fresh.clear()
                await self._fresh.wait()

    def take(self) -> list[Arrival]:
        """Return what has arrived since this was last asked for, in order."""
        whole = self._told.rfind(b"\n") + 1
        lines = self._told[:whole].decode("ascii").splitlines()
        del self._told[:whole]
        return [Arrival(path, int(at_ns)) for path, _, at_ns in (line.partition(" ") for line in lines)]


@asynccontextmanager
async def arrivals() -> AsyncIterator[Arrivals]:
    """Run a push service that tells of what arrives."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.arrivals", stdout=PIPE, cwd=CHECKOUT
    )
    assert process.stdout is not None
    out, reading = process.stdout, None
    try:
        found = Arrivals((await out.readline()).decode("ascii").strip())

        async def read() -> None:
            while chunk := await out.read(1 << 20):
                found.told(chunk)

        reading = asyncio.create_task(read())
        yield found
    finally:
        if reading is not None:
            reading.cancel()
        process.kill()
        await process.wait()


class _TellingPushes(Pushes):
    """Tells what it takes, once for all that came at once."""

    told = bytearray()

    def took(self, head: bytes) -> None:
        if not self.told:
            asyncio.get_running_loop().call_soon(_tell)
        self.told += b"%s %d\n" % (head.split(b" ", 2)[1], time.monotonic_ns())


def _tell() -> None:
    written = 0
    # Whoever asked for it reads it.
    with memoryview(bytes(_TellingPushes.told)) as told:
        while written < len(told):
            written += os.write(OUT, told[written:])
    _TellingPushes.told.clear()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(_TellingPushes))
