"""Prints how long others wait while a server is attacked into docs/security.md: `scripts/slow-clients-report`."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections import defaultdict
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from tests.faults.attackers import ATTACKS
from tests.figures import table, write_figures
from tests.programs import CHECKOUT, bare_environment, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DOCUMENT: Final = CHECKOUT / "docs" / "security.md"
ROUNDS: Final = 5
PHASE_S: Final = 8.0
RATE: Final = 100
"""Requests per second of the others."""
NEW_CONNECTION: Final = 5
"""Every so manyth request of theirs is made on a connection of its own."""
ALLOWED: Final = 2.0
"""By how much the 99th percentile may be longer than the calm one."""
CALM: Final = "calm"


class Waited(NamedTuple):
    """How long somebody waited."""

    ms: float
    is_written: bool
    """Whether what was asked for had to be written to the disk first, as notifications are."""


class Others:
    """Those who want something: pages, the key to subscribe with, and notifications."""

    def __init__(self, url: str, kept: aiohttp.ClientSession, new: aiohttp.ClientSession) -> None:
        self._url = url
        self._kept = kept
        self._new = new

    async def wait_times(self, seconds: float) -> list[Waited]:
        """Ask for so many seconds; returns how long each answer took, from when it was to be asked for."""
        began_at = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(self._ask(number, began_at + number / RATE))
                for number in range(round(seconds * RATE))
            ]
        return [task.result() for task in asked]

    async def _ask(self, number: int, at: float) -> Waited:
        await asyncio.sleep(at - time.perf_counter())
        session = self._kept if number % NEW_CONNECTION else self._new
        method, path, body = (
            ("GET", "/", None),
            ("GET", "/api/v1/vapid", None),
            ("POST", "/api/v1/users/ada/notifications", {"title": "Hello"}),
        )[number % 3]
        async with session.request(method, self._url + path, json=body) as response:
            await response.read()
            if response.status not in {200, 202}:
                raise AssertionError(f"{method} {path} was answered with {response.status}: {await response.text()}")
        return Waited((time.perf_counter() - at) * 1000, is_written=method == "POST")


@asynccontextmanager
async def attacked(url: str, name: str) -> AsyncIterator[None]:
    """Attack a server."""
    parts = urlsplit(url)
    attackers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.attackers", str(parts.hostname), str(parts.port), name),
        cwd=CHECKOUT,
        stdin=DEVNULL,
        stdout=PIPE,
    )
    try:
        if attackers.stdout is None or await attackers.stdout.readline() != b"ready\n":
            raise AssertionError(f"The attack {name!r} did not come about.")
        yield
    finally:
        attackers.kill()
        await attackers.wait()


async def measure() -> dict[str, list[Waited]]:
    """Return how long others waited, calm and under each attack."""
    times: dict[str, list[Waited]] = defaultdict(list)
    with TemporaryDirectory() as folder:
        environment = bare_environment(Path(folder), PUSHDESK_DATA_DIR=f"{folder}/data")
        async with serving(env=environment) as server:
            # What it says is read, or its pipe would fill up.
            said = asyncio.create_task(server.errors())
            # By address: which of localhost's it is is not to be decided again and again.
            url = server.url.replace("localhost", "127.0.0.1")
            token = Path(folder, "data", "admin.token").read_text(encoding="utf-8").strip()
            headers = {"Authorization": f"Bearer {token}"}
            async with (
                aiohttp.ClientSession(headers=headers) as kept,
                aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(force_close=True)) as new,
            ):
                others = Others(url, kept, new)
                await others.wait_times(PHASE_S)
                for _ in range(ROUNDS):
                    times[CALM] += await others.wait_times(PHASE_S)
                    for name in ATTACKS:
                        async with attacked(url, name):
                            times[name] += await others.wait_times(PHASE_S)
            await server.end(signal.SIGTERM)
            await said
    return times


def main() -> None:
    """Measure, and write what comes of it into the document."""
    times = asyncio.run(measure())
    rows: list[tuple[object, ...]] = []
    worst = 0.0
    for name, waited in times.items():
        row: list[object] = [
            f"{ATTACKS[name].name} ({ATTACKS[name].clients})" if name in ATTACKS else "none",
            len(waited),
        ]
        for is_written in (False, True):
            median, last = _percentiles(waited, is_written=is_written)
            ratio = last / _percentiles(times[CALM], is_written=is_written)[1]
            worst = max(worst, ratio)
            row += [f"{median:.1f}", f"{last:.1f}", f"{ratio:.2f}"]
        rows.append(tuple(row))
    header: tuple[str, ...] = ("attack (clients)", "requests of others")
    for what in ("pages", "notifications"):
        header += (f"{what}: median, ms", "99th percentile, ms", "by the calm one")
    figures = table(header, rows)
    sys.stdout.write(f"{figures}\n")
    write_figures(DOCUMENT, "slow clients", figures)
    if worst > ALLOWED:
        sys.exit(f"Others wait more than {ALLOWED:g} times as long.")


def _percentiles(waited: list[Waited], *, is_written: bool) -> tuple[float, float]:
    """Return the median and the 99th percentile."""
    cut = quantiles((one.ms for one in waited if one.is_written == is_written), n=100)
    return cut[49], cut[98]


if __name__ == "__main__":
    main()
