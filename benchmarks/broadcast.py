"""What a broadcast costs: `scripts/broadcast-report`, or `python -m benchmarks.broadcast [DEVICES [SAMPLE]]`.

A real engine on a real database; the push services answer at once, in memory, so that what is left is the broadcast,
the encryption and the signatures. First, notifications to so many users as the sample is large, one for each; then a
broadcast to the same, and another one within the hour. Then a broadcast to all devices, for its memory. Prints its
figures into docs/broadcasts.md. A million devices take a quarter of an hour and 2 GB of disk; trust the ratios.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import insert, update

from pushdesk.clock import SystemClock
from pushdesk.config import Config
from pushdesk.desk import BroadcastChanged
from pushdesk.engine.engine import Engine
from pushdesk.model import BroadcastState, Notification, Outcome
from pushdesk.storage.schema import server_state, subscriptions, user_state
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.encryption import decode_keys
from pushdesk.webpush.transport import PushAnswer
from tests.engine.population import subscription
from tests.figures import table, write_figures
from tests.programs import CHECKOUT
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pushdesk.webpush.request import PushRequest

DOCUMENT: Final = CHECKOUT / "docs" / "broadcasts.md"
DEVICES: Final = 1_000_000
SAMPLE: Final = 20_000
BATCH: Final = 5000
AT_ONCE: Final = 256
"""Notifications that are asked for at once."""
LOOK_S: Final = 0.1
"""How often the memory is looked at."""
MEGABYTE: Final = 10**6
BODY: Final = "A notification of a usual length, as applications send them, which is not much more than this."
HELLO: Final = Notification("Hello", body=BODY)


class NullTransport:
    """Push services that take everything at once."""

    def __init__(self) -> None:
        self.taken = 0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def post(self, _request: PushRequest) -> PushAnswer:
        self.taken += 1
        if self.taken >= self._wanted:
            self._reached.set()
        return PushAnswer(201, {}, b"", 0.0)

    async def have_taken(self, more: int) -> None:
        """Wait until so many more pushes have come."""
        self._reached.clear()
        self._wanted = self.taken + more
        await self._reached.wait()

    async def aclose(self) -> None:
        """Nothing is open."""


class Cost(NamedTuple):
    """What it took to send to so many devices."""

    devices: int
    seconds: float
    log_bytes: int
    """Of the write-ahead log."""

    @property
    def per_s(self) -> float:
        return self.devices / self.seconds

    @property
    def log_bytes_each(self) -> float:
        return self.log_bytes / self.devices


class Bench(NamedTuple):
    """An engine with so many devices, one for each user."""

    engine: Engine
    store: Store
    transport: NullTransport
    devices: int

    async def cost(self, send: Callable[[], Awaitable[None]]) -> Cost:
        """Return what it costs to send to every device."""
        # Nothing is brought over into the file meanwhile: then the log has all that is written.
        await self.store._database.beside(lambda driver: driver.execute("PRAGMA wal_autocheckpoint = 0").fetchall())
        await self.store._database.empty_log()
        began_s = time.perf_counter()
        await send()
        seconds = time.perf_counter() - began_s
        log = self.store.path.with_name(f"{self.store.path.name}-wal").stat().st_size
        await self.store._database.beside(lambda driver: driver.execute("PRAGMA wal_autocheckpoint = 1000").fetchall())
        await self.store._database.empty_log()
        return Cost(self.devices, seconds, log)

    async def notify(self) -> None:
        """Send a notification to each user."""
        for first in range(0, self.devices, AT_ONCE):
            users = [user(number) for number in range(first, min(first + AT_ONCE, self.devices))]
            await asyncio.gather(
                self.transport.have_taken(len(users)), *[self.engine.accept(user_, HELLO) for user_ in users]
            )
        while (await self.engine.stats()).queue:  # noqa: ASYNC110 (nobody is told that the last one is written down)
            await asyncio.sleep(0.01)

    async def broadcast(self) -> None:
        """Send a broadcast to all."""
        async with aclosing(self.engine.events()) as events:
            await anext(events)
            await self.engine.broadcast(HELLO)
            async for batch in events:
                told = [event.broadcast for event in batch if isinstance(event, BroadcastChanged)]
                if told and told[-1].state is BroadcastState.DONE:
                    assert told[-1].counts == {Outcome.ACCEPTED: self.devices}, told[-1].counts
                    return


def user(number: int) -> str:
    return f"user-{number:07}"


@asynccontextmanager
async def bench(devices: int) -> AsyncIterator[Bench]:
    with TemporaryDirectory() as directory:
        folder, transport = Path(directory), NullTransport()
        async with (
            Store(folder / DATABASE_NAME) as store,
            Engine(
                Config(data_dir=folder),
                access_url="https://desk.example",
                store=store,
                transport=transport,
                clock=SystemClock(),
            ) as engine,
        ):
            await fill(store, devices, engine.public_key().id)
            yield Bench(engine, store, transport, devices)


async def fill(store: Store, devices: int, key_id: str) -> None:
    """Put users into an empty database, with a device each."""
    keys = Device("").keys
    decoded = decode_keys(keys.p256dh, keys.auth)
    for first in range(0, devices, BATCH):
        numbers = range(first, min(first + BATCH, devices))
        rows = [
            subscription(store, number, user(number), f"{number:026x}", key_id=key_id, keys=decoded)
            for number in numbers
        ]
        users = [{"user": user(number), "generation": 1, "created_at": 0} for number in numbers]
        async with store._database.write() as transaction:
            await transaction.execute(insert(user_state), users)
            await transaction.execute(insert(subscriptions), rows)
    async with store._database.write() as transaction:
        await transaction.execute(update(server_state).values(generation=1))


def resident() -> int:
    """Return the bytes of memory that this process has."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def sampled(devices: int) -> str:
    """Return what the sample costs, as a table."""
    async with bench(devices) as small:
        notifications = await small.cost(small.notify)
        # The broadcast is the first thing in an hour that its devices get.
        async with small.store._database.write() as transaction:
            await transaction.execute(update(subscriptions).values(last_success_at=None))
        first = await small.cost(small.broadcast)
        again = await small.cost(small.broadcast)
    rows: list[tuple[object, ...]] = []
    for name, cost in (
        ("notifications, one for each user", notifications),
        ("a broadcast, the first they get in an hour", first),
        ("another broadcast", again),
    ):
        rows.append(
            (
                name,
                round(cost.per_s),
                f"{cost.per_s / notifications.per_s:.2f}",
                f"{cost.log_bytes_each:.1f}",
                f"{cost.log_bytes_each / notifications.log_bytes_each:.4f}",
            )
        )
        print(*rows[-1], flush=True)
    header = (
        "to as many devices",
        "devices per second",
        "of the first",
        "bytes of write-ahead log each",
        "of the first",
    )
    return table(header, rows)


async def whole(devices: int) -> str:
    """Return what a broadcast to all devices takes, in words."""
    async with bench(devices) as large:
        # What is loaded and made once is there before.
        await large.engine.plan_broadcast(HELLO)
        await large.engine.notify(user(0), HELLO, wait_s=10)
        gc.collect()
        before = most = resident()
        began_s = time.perf_counter()
        sending = asyncio.create_task(large.broadcast())
        while not sending.done():
            await asyncio.wait((sending,), timeout=LOOK_S)
            most = max(most, resident())
        sending.result()
        seconds = time.perf_counter() - began_s
    told = (
        f"A broadcast to {devices} devices: {devices / seconds:.0f} of them per second. The process had "
        f"{before / MEGABYTE:.0f} MB before, and at most {(most - before) / MEGABYTE:.0f} MB more while it was sent."
    )
    print(told, flush=True)
    return told


def main() -> None:
    """Measure, and write what comes of it into the document."""
    asked = [int(argument) for argument in sys.argv[1:]]
    devices, sample = (*asked, *(DEVICES, SAMPLE)[len(asked) :])
    figures = f"{asyncio.run(sampled(sample))}\n\n{asyncio.run(whole(devices))}"
    write_figures(DOCUMENT, "broadcast", f"A sample of {sample} devices; {os.cpu_count()} cores.\n\n{figures}")


if __name__ == "__main__":
    main()
