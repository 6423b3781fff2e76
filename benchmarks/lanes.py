"""What the bad day of two push services costs the two others: `python -m benchmarks.lanes [RATE]`.

An engine sends to four push services, of which each gets RATE notifications a second, and all of them answer. Then two
of them are offered ten times as much: once while they answer, which tells what the load costs by itself, and once while
one is silent and the other fails. The other two are well, and offered as much as before. What is measured is how long
it takes from an application's call until its push is at a service that is well. Prints figures and ratios of one run,
and asserts nothing of time.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from benchmarks.processes import percentile
from pushdesk.clock import SystemClock
from pushdesk.config import Config
from pushdesk.engine.engine import Engine
from pushdesk.model import Notification
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.transport import FaultKind, PushAnswer, TransportFault
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.webpush.request import PushRequest

SILENT: Final = "fcm.googleapis.com"
FAILING: Final = "updates.push.services.mozilla.com"
WELL: Final = ("web.push.apple.com", "wns2-par02p.notify.windows.com")
USERS: Final = 25
"""With a device each, at each of them."""
RATE: Final = 10.0
TIMES: Final = 10
"""How much more is offered to those that are not well."""
ROUNDS: Final = 5
PHASE_S: Final = 6.0
ANSWERS_S: Final = 0.05
"""After how long a push service answers that is well."""
TIMEOUT_S: Final = 2.0
"""After how long one that is silent is given up."""
ACCESS_URL: Final = "http://localhost:8484"


class Weather(NamedTuple):
    """How two of the push services are, and how much is offered to them."""

    name: str
    is_well: bool = True
    times: int = 1
    """How many times as much as to the others."""


CALM: Final = Weather("all well")
BUSY: Final = Weather("all well, two offered ten times as much", times=TIMES)
SICK: Final = Weather("these two silent and failing", is_well=False, times=TIMES)


class Services:
    """Four push services, in place of the transport."""

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self.asked_s: dict[str, deque[float]] = defaultdict(deque)
        """By endpoint: when what was not sent yet was asked for."""
        self.waited_ms: list[float] = []
        self.sick = 0
        """How often those were asked that are not well."""

    async def post(self, request: PushRequest) -> PushAnswer:
        """Answer, or don't."""
        host = urlsplit(request.endpoint).hostname
        if host in WELL and self.asked_s[request.endpoint]:
            self.waited_ms.append(1000 * (time.perf_counter() - self.asked_s[request.endpoint].popleft()))
        if self._weather.is_well or host in WELL:
            await asyncio.sleep(ANSWERS_S)
            return PushAnswer(201, {}, b"", ANSWERS_S)
        self.sick += 1
        if host == FAILING:
            return PushAnswer(500, {}, b"", 0.0)
        await asyncio.sleep(TIMEOUT_S)
        raise TransportFault(FaultKind.TIMEOUT)

    async def aclose(self) -> None:
        """Nothing is open."""


class Phase(NamedTuple):
    """What came of a phase."""

    waited_ms: list[float]
    """At the services that are well."""
    accepted: int
    sick: int


@asynccontextmanager
async def engine_on(folder: Path, services: Services) -> AsyncIterator[Engine]:
    async with (
        Store(folder / DATABASE_NAME) as store,
        Engine(
            Config(data_dir=folder), access_url=ACCESS_URL, store=store, transport=services, clock=SystemClock()
        ) as engine,
    ):
        yield engine


async def prepare(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Subscribe everybody; returns users and endpoints by push service."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    folder.mkdir()  # noqa: ASYNC240 (nothing else runs)
    async with engine_on(folder, Services(CALM)) as engine:
        for number, host in enumerate((SILENT, FAILING, *WELL)):
            for one in range(USERS):
                device = Device(f"https://{host}/push/{one}")
                user = f"user-{number}-{one}"
                await engine.subscribe(user, device.request())
                found[host].append((user, device.endpoint))
    return found


async def phase(folder: Path, users: dict[str, list[tuple[str, str]]], rate: float, weather: Weather) -> Phase:
    """Offer so many a second to each push service."""
    services = Services(weather)
    accepted = 0
    async with engine_on(folder, services) as engine:

        async def notify(user: str, endpoint: str) -> None:
            nonlocal accepted
            services.asked_s[endpoint].append(time.perf_counter())
            await engine.notify(user, Notification("Hello"))
            accepted += 1

        async def offer(host: str) -> None:
            began_s, many = time.perf_counter(), rate if host in WELL else rate * weather.times
            async with asyncio.TaskGroup() as group:
                for number in range(round(many * PHASE_S)):
                    await asyncio.sleep(began_s + number / many - time.perf_counter())
                    group.create_task(notify(*users[host][number % USERS]))

        await asyncio.gather(*(offer(host) for host in users))
        await asyncio.sleep(2 * ANSWERS_S)
        return Phase(services.waited_ms, accepted, services.sick)


async def measure(rate: float = RATE, rounds: int = ROUNDS) -> dict[Weather, Phase]:
    """Return what came of it in each weather, in turns."""
    together = {weather: Phase([], 0, 0) for weather in (CALM, BUSY, SICK)}
    with TemporaryDirectory() as directory:
        prepared, used = Path(directory, "prepared"), Path(directory, "used")
        users = await prepare(prepared)
        for _ in range(rounds):
            for weather, before in together.items():
                shutil.rmtree(used, ignore_errors=True)
                shutil.copytree(prepared, used)
                found = await phase(used, users, rate, weather)
                together[weather] = Phase(
                    before.waited_ms + found.waited_ms, before.accepted + found.accepted, before.sick + found.sick
                )
    return together


def rows(measured: dict[Weather, Phase]) -> list[tuple[object, ...]]:
    """Return a line for each weather, with its 99th percentile by that of the calm one and of the busy one."""
    calm, busy = (percentile(measured[weather].waited_ms, 99) for weather in (CALM, BUSY))
    return [
        (
            weather.name,
            found.accepted,
            len(found.waited_ms),
            f"{percentile(found.waited_ms, 50):.1f}",
            f"{percentile(found.waited_ms, 99):.1f}",
            f"{percentile(found.waited_ms, 99) / calm:.2f}",
            f"{percentile(found.waited_ms, 99) / busy:.2f}",
            found.sick,
        )
        for weather, found in measured.items()
    ]


HEADER: Final = (
    "",
    "accepted",
    "sent to the well",
    "median, ms",
    "99th percentile, ms",
    "by the first line's",
    "by the second line's",
    "sick asked",
)


def main() -> None:
    rate = float(sys.argv[1]) if len(sys.argv) > 1 else RATE
    for row in (HEADER, *rows(asyncio.run(measure(rate)))):
        print(" | ".join(map(str, row)))


if __name__ == "__main__":
    main()
