"""What the outbox takes and sends per second: `scripts/outbox-report`, or `python -m benchmarks.outbox [SECONDS]`.

A real engine on a real database, without HTTP; the push services answer at once, in memory, so that what is left is
the outbox, the encryption and the signatures. Prints its figures into docs/outbox.md. Each is the median of three runs
of so many seconds, one after the other of each kind, so that what else the machine does falls on all of them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple
from unittest.mock import patch

from pushdesk.clock import SystemClock
from pushdesk.config import Config, PushConfig
from pushdesk.engine import acceptance
from pushdesk.engine.engine import Engine
from pushdesk.model import Notification, Service
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.endpoint import check_endpoint
from pushdesk.webpush.services import FaultKind
from pushdesk.webpush.transport import PushAnswer, TransportFault
from tests.engine.population import ENDPOINTS, populate
from tests.figures import table, write_figures
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.webpush.request import PushRequest

DOCUMENT: Final = CHECKOUT / "docs" / "outbox.md"
SECONDS: Final = 5.0
ROUNDS: Final = 3
AT_ONCE: Final = (1, 16, 64, 256)
"""Applications that ask at once."""
USERS: Final = 400
BURST: Final = 500
"""Notifications that are offered at once to those push services that are well; to the others, as many as to each."""
RATE: Final = 300
SYNCS: Final = 50
SILENCE_S: Final = 10.0
"""After how long somebody silent is given up: the real transport waits longer."""
BODY: Final = "A notification of a usual length, as applications send them, which is not much more than this."
SERVICES: Final = tuple(ENDPOINTS)
SICK: Final = Service.WNS


class Kind(NamedTuple):
    """What the push services are like."""

    name: str
    services: frozenset[Service]
    """Those that users have devices at."""
    is_silent: bool = False
    refuses: bool = False
    rate: int = 0


class PushServices:
    """The transport: whoever is well answers at once."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self.taken = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def post(self, request: PushRequest) -> PushAnswer:
        if check_endpoint(request.endpoint, allowed_origins=frozenset()) is SICK:
            if self._kind.is_silent:
                await asyncio.sleep(SILENCE_S)
                raise TransportFault(FaultKind.TIMEOUT)
            if self._kind.refuses:
                return PushAnswer(503, {}, b"", 0.0)
        self.taken += 1
        if self.taken >= self._wanted:
            self._reached.set()
        return PushAnswer(201, {}, b"", 0.0)

    async def have_taken(self, more: int) -> None:
        """Wait until so many more pushes are accepted."""
        self._reached.clear()
        self._wanted += more
        if self.taken < self._wanted:
            await self._reached.wait()

    async def aclose(self) -> None:
        pass


async def accepts(at_once: int, group: int, seconds: float) -> float:
    """Return how many notifications per second are accepted.

    Args:
        at_once: How many ask at once.
        group: How many are committed together at most.
        seconds: For how long.
    """
    accepted = 0
    async with AsyncExitStack() as running:
        with patch.object(acceptance, "BATCH", group):
            engine = await running.enter_async_context(_engine(PushServices(CALM), rate=0))
        # For later, so that nothing is sent meanwhile.
        hello = Notification("Hello", body=BODY, send_at=datetime.now(UTC) + timedelta(hours=1))
        began_s = time.perf_counter()

        async def ask() -> None:
            nonlocal accepted
            while time.perf_counter() < began_s + seconds:
                await engine.accept("user-1", hello)
                accepted += 1

        await asyncio.gather(*[ask() for _ in range(at_once)])
        return accepted / (time.perf_counter() - began_s)


async def sends(kind: Kind, seconds: float) -> float:
    """Return how many pushes per second are accepted by those push services that are well."""
    services = PushServices(kind)
    hello = Notification("Hello", body=BODY)
    users = [f"user-{number}" for number in range(USERS) if SERVICES[number % len(SERVICES)] in kind.services]
    ill = {SICK} if kind.is_silent or kind.refuses else set[Service]()
    well = {f"user-{number}" for number in range(USERS) if SERVICES[number % len(SERVICES)] not in ill}
    turn, size = itertools.cycle(users), BURST * len(kind.services) // len(kind.services - ill)
    async with _engine(services, rate=kind.rate) as engine:
        began_s = time.perf_counter()
        while time.perf_counter() < began_s + seconds:
            burst = list(itertools.islice(turn, size))
            for_the_well = sum(user in well for user in burst)
            await asyncio.gather(services.have_taken(for_the_well), *[engine.accept(user, hello) for user in burst])
        return services.taken / (time.perf_counter() - began_s)


def syncs(folder: Path) -> float:
    """Return how many milliseconds it takes until a page is on the disk."""
    waited_ms = []
    with (folder / "pages").open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            began_s = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            waited_ms.append(1000 * (time.perf_counter() - began_s))
    return median(waited_ms)


CALM: Final = Kind("four push services, all of them well", frozenset(SERVICES))
KINDS: Final = (
    CALM,
    Kind("one push service", frozenset({Service.FCM})),
    Kind("four; one never answers", frozenset(SERVICES), is_silent=True),
    Kind("four; one fails each time", frozenset(SERVICES), refuses=True),
)


@asynccontextmanager
async def _engine(services: PushServices, *, rate: int) -> AsyncIterator[Engine]:
    with TemporaryDirectory() as directory:
        folder = Path(directory)
        async with (
            Store(folder / DATABASE_NAME) as store,
            Engine(
                Config(data_dir=folder, push=PushConfig(rate=rate)),
                access_url="https://desk.example",
                store=store,
                transport=services,
                clock=SystemClock(),
            ) as engine,
        ):
            await populate(store, {f"user-{number}": 1 for number in range(USERS)}, key_id=engine.public_key().id)
            yield engine


async def _accepting(seconds: float) -> str:
    rows: list[tuple[object, ...]] = []
    for at_once in AT_ONCE:
        together, alone = [], []
        for _ in range(ROUNDS):
            alone.append(await accepts(at_once, 1, seconds))
            together.append(await accepts(at_once, acceptance.BATCH, seconds))
        rows.append((at_once, round(median(alone)), round(median(together)), f"{median(together) / median(alone):.1f}"))
        print(*rows[-1], flush=True)
    return table(("ask at once", "a commit each, per second", "together, per second", "times"), rows)


async def _sending(seconds: float) -> str:
    found: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            found[kind].append(await sends(kind, seconds))
            print(kind.name, round(found[kind][-1]), flush=True)
    calm = median(found[CALM])
    rows: list[tuple[object, ...]] = []
    for kind in KINDS:
        each = median(found[kind])
        rows.append((kind.name, round(each), f"{each / calm:.2f}"))
    limited = Kind(f"one, with `[push] rate` at {RATE}", frozenset({Service.FCM}), rate=RATE)
    rows.append((limited.name, round(await sends(limited, seconds)), ""))
    return table(("push services", "accepted by those that are well, per second", "of the first"), rows)


def main() -> None:
    """Measure, and write what comes of it into the document."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with TemporaryDirectory() as folder:
        sync_ms = syncs(Path(folder))
    write_figures(
        DOCUMENT,
        "outbox",
        f"{os.cpu_count()} cores; a page is on the disk after {sync_ms:.2f} ms.\n\n"
        f"{asyncio.run(_accepting(seconds))}\n\n{asyncio.run(_sending(seconds))}",
    )


if __name__ == "__main__":
    main()
