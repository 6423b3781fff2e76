"""What notifications cost at the database: `python -m benchmarks.statements [NOTIFICATIONS]`.

Prints two tables. The first has the statements that a real engine asks of its database for so many notifications, by
name, with the trips to the database's threads. The second has the CPU time of each step, per notification, when the
step is done to many at once and when it is done to each alone: trust the ratios, not the microseconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec import structs

from benchmarks.processes import load_average
from pushdesk.model import Delivery, Outcome, Service
from pushdesk.storage.records import Settlement
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.storage.times import to_datetime
from tests.contract.storing import CLAIM, NOW, message
from tests.engine.reads import DEVICES, bursts, town
from tests.figures import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.storage.records import Message
    from pushdesk.storage.usage import Usage

NOTIFICATIONS: Final = 10_000
ALONE: Final = 300
"""How many are done one by one, which takes long."""
AT_ONCE: Final = 100
STEPS: Final = ("accept", "look for what is due", "spread", "claim", "settle")


class Costs(NamedTuple):
    """CPU seconds of all threads, by step."""

    seconds: dict[str, float]
    trips: int


async def statements(notifications: int) -> str:
    """Return how many statements of each name it takes to send so many notifications, and how many trips."""
    with TemporaryDirectory() as folder:
        async with town(Path(folder), DEVICES) as here:
            usage: Usage = here.store.usage
            before, trips = usage.statements.copy(), usage.trips
            for burst in bursts(notifications):
                await here.offer(burst)
            await here.settled()
            asked = usage.statements - before
            rows: list[tuple[object, ...]] = [*asked.most_common(), ("all statements", asked.total())]
            rows.append(("trips to a thread", usage.trips - trips))
            pushes = here.services.pushes.total()
    return table((f"{notifications} notifications, {pushes} pushes", "times"), rows)


async def steps(notifications: int, at_once: int) -> Costs:
    """Have the database take so many notifications through all steps, so many at once."""
    seconds = dict.fromkeys(STEPS, 0.0)
    began = 0.0

    def done(step: str) -> None:
        nonlocal began
        seconds[step] += time.process_time() - began
        began = time.process_time()

    with TemporaryDirectory() as folder:
        async with Store(Path(folder) / DATABASE_NAME) as store:
            outbox = store.outbox
            numbers = range(0, notifications, at_once)
            trips = store.usage.trips
            for first in numbers:
                messages = [message(f"{number:026}", f"user-{number}") for number in range(first, first + at_once)]
                began = time.process_time()
                await outbox.accept(messages)
                done("accept")
                await outbox.due(NOW, at_once)
                done("look for what is due")
                await outbox.spread([_delivery(item) for item in messages], (), {}, now_ms=NOW)
                done("spread")
                claimed = await outbox.claim(CLAIM, Service.FCM, NOW, at_once)
                done("claim")
                await outbox.settle([_accepted(item.delivery) for item in claimed], CLAIM, NOW)
                done("settle")
            return Costs(seconds, store.usage.trips - trips)


def _delivery(item: Message) -> Delivery:
    return Delivery(
        id=f"d{item.id[1:]}",
        dispatch=item.id,
        user=item.user,
        subscription=f"s{item.id[1:]}",
        service=Service.FCM,
        outcome=Outcome.WAITING,
        at=to_datetime(NOW),
        next_attempt_at=to_datetime(NOW),
        device="Chrome · Android",
    )


def _accepted(delivery: Delivery) -> Settlement:
    return Settlement(
        structs.replace(
            delivery, outcome=Outcome.ACCEPTED, status=201, attempts=1, latency_ms=3.5, next_attempt_at=None
        )
    )


async def _costs() -> str:
    # What is done once, as the compiling of statements is, is done.
    await steps(AT_ONCE, AT_ONCE)
    together, alone = await steps(NOTIFICATIONS, AT_ONCE), await steps(ALONE, 1)
    rows: list[tuple[object, ...]] = []
    for step in STEPS:
        many, one = together.seconds[step] / NOTIFICATIONS, alone.seconds[step] / ALONE
        rows.append((step, f"{many * 1e6:.0f}", f"{one * 1e6:.0f}", f"{one / many:.1f}"))
    trips = (together.trips / NOTIFICATIONS, alone.trips / ALONE)
    rows.append(("trips to a thread", *(f"{each:.2f}" for each in trips), f"{trips[1] / trips[0]:.1f}"))
    return table(("CPU µs per notification", f"{AT_ONCE} at once", "each alone", "times"), rows)


def main(arguments: Sequence[str]) -> None:
    """Measure, and print."""
    notifications = int(arguments[0]) if arguments else NOTIFICATIONS
    before = load_average()
    found = [asyncio.run(statements(notifications)), asyncio.run(_costs())]
    load = f"{os.cpu_count()} cores; load {before:.1f} before, {load_average():.1f} after."
    print("\n\n".join([load, *found]))


if __name__ == "__main__":
    main(sys.argv[1:])
