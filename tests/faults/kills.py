"""Kills a server under load, again and again: `python -m tests.faults.kills --kills 300`.

Each server is killed by SIGKILL at a moment drawn by chance, some of them while they start. Push services fail, are
silent and reset connections meanwhile. The last server is let to end its work; then the three ledgers are laid side by
side.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faults.load import Load
from tests.faults.stage import PROGRAM, stage
from tests.programs import CHECKOUT

if TYPE_CHECKING:
    from tests.faults.ledger import Comparison
    from tests.faults.stage import Memory, Stage

LONGEST_S: Final = 1.2
"""How long a server lives under load, at most."""
STARTING: Final = 0.1
"""The share of servers that are killed while they start."""
STARTS_IN_S: Final = 1.5
"""Within which time those are."""
LEAVING: Final = 0.1
"""How often a browser has ended its subscription and has a new one when the next server comes."""
FAULTS: Final = (
    (),
    ("503@10%", "429:retry-after=1@5%"),
    ("silence@10%", "reset@5%"),
    ("503:retry-after=1@20%", "silence@2%", "reset@10%", "429@5%"),
    ("500@60%",),
)
"""What goes wrong at the push service: drawn anew for each server. None of it delivers anything."""


class Kills(NamedTuple):
    """What came of it."""

    comparison: Comparison
    in_flight: list[int]
    """Deliveries that were in flight at each kill."""
    again: list[int]
    """Of those, how many had been received, and were received again."""
    memory: Memory


async def kill_again_and_again(folder: Path, kills: int, seed: int, *, broadcasts: bool = True) -> Kills:
    """Kill so many servers one after the other, and lay the ledgers side by side."""
    async with stage(folder, Random(seed)) as made:  # noqa: S311 (so that it can be done again)
        load = Load(made, broadcasts=broadcasts)
        async with made.server() as server:
            await made.subscribe(server.url)
        while len(made.kills) < kills:
            made.simulator.set_faults(made.random.choice(FAULTS))
            if made.random.random() < STARTING:
                await _kill_starting(made)
            else:
                await _kill_under(load, made)
        made.simulator.set_faults(())
        async with made.server() as server:
            await load.repeat_unanswered(server.url)
            await made.done(server.url)
            await server.end(signal.SIGTERM)
        await made.quiet()
        return Kills(made.compare(), [len(kill) for kill in made.kills], _again(made), made.memory)


async def _kill_under(load: Load, made: Stage) -> None:
    random = made.random
    leaving = random.choice(made.browsers) if random.random() < LEAVING else None
    if leaving is not None:
        await made.leave(leaving)
    async with made.server() as server:
        idle, _ = server.memory()
        if leaving is not None:
            await leaving.subscribe(server.url)
        notifying = asyncio.create_task(load.run(server.url))
        await asyncio.sleep(random.uniform(0, LONGEST_S))
        made.memory.note(idle, server.memory()[1])
        server.send(signal.SIGKILL)
        await server.ended()
        await notifying
    await made.killed()


async def _kill_starting(made: Stage) -> None:
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "serve", "--port", "0"),
        env=made.environment(),
        cwd=CHECKOUT,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    await asyncio.sleep(made.random.uniform(0, STARTS_IN_S))
    process.kill()
    await process.wait()
    await made.killed()


def _again(made: Stage) -> list[int]:
    """Return how many of those in flight at each kill came twice because of it."""
    numbers = [0] * len(made.kills)
    last: dict[tuple[str, str], int] = {}
    for receipt in made.devices.receipts:
        pair = (receipt.dispatch, receipt.device)
        if pair in last and last[pair] < receipt.kills:
            numbers[last[pair]] += 1
        last[pair] = receipt.kills
    return numbers


def main() -> None:
    """Kill, and say what came of it; ends with 1 where the ledgers do not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--broadcasts",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="some of the load is for all users at once",
    )
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        found = asyncio.run(kill_again_and_again(Path(folder), asked.kills, asked.seed, broadcasts=asked.broadcasts))
    comparison = found.comparison
    sys.stdout.write(
        f"{len(found.in_flight)} kills, {comparison.accepted} accepted for {comparison.due} devices, "
        f"{comparison.received} received, {dict(comparison.excused)} told of, {len(comparison.lost)} lost, "
        f"{comparison.duplicates} came twice of {sum(found.in_flight)} that were in flight at a kill, at most "
        f"{found.memory.growth / 1e6:.0f} MB more than idle.\n"
    )
    if comparison.faults:
        sys.exit("\n".join(comparison.faults[:20]))


if __name__ == "__main__":
    main()
