"""Prints how often devices are read, and the memory that this takes, into docs/cache.md: `scripts/reads-report`."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.config import CacheConfig
from pushdesk.engine.subscriptions import NEGATIVE_SHARE
from pushdesk.webpush.device_keys import CACHE_SHARE
from tests.engine.cache_memory import fill
from tests.engine.reads import DEVICES, NOTIFICATIONS, TTL_S, bursts, town
from tests.figures import table, write_figures
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from tests.engine.reads import Reads

DOCUMENT: Final = CHECKOUT / "docs" / "cache.md"


class Run(NamedTuple):
    """What notifying everybody came to."""

    deliveries: int
    reads: Reads
    seconds: float


def main() -> None:
    """Measure, and write what comes of it into the document."""
    write_figures(DOCUMENT, "reads per notification", asyncio.run(_reads()))
    write_figures(DOCUMENT, "memory", asyncio.run(_memory()))


async def _reads() -> str:
    cached = await _run(ttl_s=TTL_S)
    passing = await _run(ttl_s=TTL_S, step_s=TTL_S / 4)
    uncached = await _run(ttl_s=0)
    rows: list[tuple[object, ...]] = []
    for name, run, is_comparable in (
        (f"a TTL of {TTL_S} s", cached, True),
        ("the same, which passes four times meanwhile", passing, False),
        ("without the cache", uncached, True),
    ):
        per_user = run.reads.per_user
        rows.append(
            (
                name,
                NOTIFICATIONS,
                run.deliveries,
                len(run.reads.of_devices),
                len(run.reads.others),
                f"{per_user.total() / len(run.reads.of_devices):.1f}",
                f"{per_user.total() / len(per_user):.2f}",
                max(per_user.values()),
                f"{run.seconds / cached.seconds:.2f}" if is_comparable else "",
            )
        )
    header = (
        "",
        "notifications",
        "deliveries",
        "statements",
        "others",
        "users per statement",
        "reads per user",
        "at most",
        "time",
    )
    return table(header, rows)


async def _run(*, ttl_s: int, step_s: float = 0.0) -> Run:
    """Notify in bursts; with a step, each is settled before the clock goes on by so much."""
    with TemporaryDirectory() as folder:
        async with town(Path(folder), DEVICES, ttl_s=ttl_s) as here:
            began_at = time.perf_counter()
            for burst in bursts(NOTIFICATIONS):
                await here.offer(burst)
                if step_s:
                    await here.settled()
                    here.clock.advance(step_s)
            await here.settled()
            return Run(here.services.pushes.total(), here.reads, time.perf_counter() - began_at)


async def _memory() -> str:
    rows: list[tuple[object, ...]] = []
    for devices in (0, 1, 2, 3):
        with TemporaryDirectory() as folder:
            users = 2000
            stats, truth = await fill(Path(folder), users=users, devices=devices)
        share = 1 - NEGATIVE_SHARE if devices else NEGATIVE_SHARE
        held = int(CacheConfig().max_size * (1 - CACHE_SHARE) * share / stats.size * users)
        rows.append((devices, round(stats.size / users), round(truth / users), held))
    return table(("devices", "bytes by estimate", "bytes in truth", "users that the default holds"), rows)


if __name__ == "__main__":
    main()
