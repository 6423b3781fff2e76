"""Applications that notify: `python -m benchmarks.applications URL RATE SECONDS USERS`, the token in PUSHDESK_TOKEN.

Requests begin at a fixed rate, whether the ones before were answered or not; a rate of 0 keeps 64 under way. Prints one
line of JSON: `accepted`, `seconds`, `p50_ms`, `p99_ms` from when a request was to begin. With `moments` as the last
argument also `moments`: for each, the number of the user, and when it began and was answered on CLOCK_MONOTONIC, in ns.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Final

import aiohttp

from benchmarks.processes import percentile

AT_ONCE: Final = 64
STRIDE: Final = 7919
"""A prime: each so manyth user, round and round, is everybody once."""
BODY: Final = b'{"title":"Hello","body":"A notification of a usual length, as applications send them."}'


class Applications:
    """Sends notifications to users one after the other."""

    def __init__(self, url: str, session: aiohttp.ClientSession, users: int) -> None:
        self._url = url
        self._session = session
        self._users = users
        self._number = 0
        self.waited_ms: list[float] = []
        self.moments: list[tuple[int, int, int]] = []

    async def send(self, since_s: float) -> None:
        """Send one, and note how long it took."""
        self._number += 1
        user, began_ns = self._number * STRIDE % self._users, time.monotonic_ns()
        path = f"{self._url}/api/v1/users/user-{user:05}/notifications"
        async with self._session.post(path, data=BODY) as response:
            await response.read()
            if response.status != 202:
                raise AssertionError(await response.text())
        self.moments.append((user, began_ns, time.monotonic_ns()))
        self.waited_ms.append(1000 * (time.perf_counter() - since_s))

    async def at_rate(self, rate: float, seconds: float) -> None:
        """Begin so many a second."""
        began_s = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                due_s = began_s + number / rate
                if (ahead_s := due_s - time.perf_counter()) > 0:
                    await asyncio.sleep(ahead_s)
                group.create_task(self.send(due_s))

    async def as_fast_as_it_goes(self, seconds: float) -> None:
        """Keep so many under way."""
        end_s = time.perf_counter() + seconds

        async def go_on() -> None:
            while time.perf_counter() < end_s:
                await self.send(time.perf_counter())

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(go_on())


async def _main(url: str, rate: float, seconds: float, users: int, *more: str) -> None:
    headers = {"Authorization": f"Bearer {os.environ['PUSHDESK_TOKEN']}", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        applications = Applications(url, session, users)
        began_s = time.perf_counter()
        if rate:
            await applications.at_rate(rate, seconds)
        else:
            await applications.as_fast_as_it_goes(seconds)
        took_s = time.perf_counter() - began_s
    waited = applications.waited_ms
    figures: dict[str, object] = {
        "accepted": len(waited),
        "seconds": took_s,
        "p50_ms": percentile(waited, 50),
        "p99_ms": percentile(waited, 99),
    }
    if more == ("moments",):
        figures["moments"] = applications.moments
    print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:]))
