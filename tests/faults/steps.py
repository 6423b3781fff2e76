"""Ends a server at each of its steps, one after the other: `python -m tests.faults.steps`.

A first server does all its work, and its steps are counted: see `program.py`. Then one ends at the first of them, the
next one at the second, and so on: until some come to their end without having got there. After each a server ends the
work, and the three ledgers are laid side by side.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.simulator.answers import PreparedAnswer
from tests.faults.ledger import DeviceLedger
from tests.faults.load import Load
from tests.faults.stage import MOST_S, stage
from tests.programs import NotReadyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.stage import Stage
    from tests.programs import Server

OWNERS: Final = ("ada", "ada", "bo")
"""The last of them has ended its subscription, and nobody has been told."""
AHEAD_S: Final = 0.3
MISSED: Final = 3
"""How many come to their end without having got to a step before it is known that there are no more: each takes a few
more or fewer, as what comes at one moment is one transaction.
"""


class Point(NamedTuple):
    """What came of a server that was to end at a step."""

    step: str
    """Which one it was."""
    faults: list[str]
    """All that must not be."""
    duplicates: int


class Tried(NamedTuple):
    """What came of them all."""

    steps: int
    """How many the first server took."""
    points: list[Point]

    @property
    def faults(self) -> list[str]:
        """All that must not be."""
        return [
            f"at {number} ({point.step}): {fault}" for number, point in enumerate(self.points) for fault in point.faults
        ]


class Scenario:
    """What is asked of each server: all ways that a delivery can go, one after the other.

    Args:
        made: The stage.
        broadcasts: Whether something is for all users at once.
    """

    def __init__(self, made: Stage, *, broadcasts: bool) -> None:
        self._made = made
        self._broadcasts = broadcasts
        self.load = Load(made)

    async def play(self, url: str) -> None:
        """Ask for everything; what is not answered is asked for again by `load.repeat_unanswered`."""
        made, ask = self._made, self.load.ask
        # To two devices, of which one is tried again.
        first = made.simulator.registry.channels[0]
        made.simulator.answers.add(PreparedAnswer(status=503, subscription=first.id))
        await ask(url, "ada", {})
        # Of a topic, the newest.
        await asyncio.gather(*(ask(url, "ada", {"topic": "weather"}) for _ in range(2)))
        # To a device that is gone.
        await ask(url, "bo", {})
        due_at = datetime.now(UTC) + timedelta(seconds=AHEAD_S)
        await ask(url, "ada", {"send_at": due_at.isoformat()})
        # Nobody asks for it again.
        await ask(url, "ada", {}, key=False)
        if self._broadcasts:
            await ask(url, None, {})


async def try_every_step(
    folder: Path,
    *,
    every: int = 1,
    first: int = 1,
    broadcasts: bool = True,
    tell: Callable[[str], None] = lambda _line: None,
) -> Tried:
    """End a server at each step, and lay the ledgers side by side.

    Args:
        folder: Where everything is.
        every: Only every so manyth step is tried.
        first: The first one that is.
        broadcasts: Whether something is for all users at once.
        tell: Told of each.
    """
    prepared = folder / "prepared"
    async with stage(folder, Random(0), OWNERS) as made:  # noqa: S311 (so that it can be done again)
        async with made.server() as server:
            await made.subscribe(server.url)
            await made.until(lambda: len({receipt.device for receipt in made.devices.receipts}) == len(OWNERS))
            await server.end(signal.SIGTERM)
        made.simulator.registry.end(made.simulator.registry.channels[-1])
        made.ended |= made.endpoints("bo")
        shutil.copytree(made.data, prepared)
        steps, number = 0, 0
        points: list[Point] = []
        missed = 0
        while missed < MISSED:
            shutil.rmtree(made.data)
            shutil.copytree(prepared, made.data)
            point, taken = await _try(made, number, broadcasts=broadcasts)
            if number == 0:
                steps = taken
                number = first
            elif point is None:
                missed += 1
            else:
                missed = 0
                points.append(point)
                tell(f"{number} of about {steps}: {point.step}, {len(point.faults)} faults")
                number += every
        return Tried(steps, points)


async def _try(made: Stage, number: int, *, broadcasts: bool) -> tuple[Point | None, int]:
    """Let a server end at a step; returns what came of it, None if it never got there, and how many steps it took."""
    made.clients.asked.clear()
    made.devices = DeviceLedger()
    made.kills.clear()
    made.simulator.answers.clear()
    file = made.folder / "steps"
    file.unlink(missing_ok=True)
    scenario = Scenario(made, broadcasts=broadcasts)
    try:
        async with made.server(exit_at=number) as server:
            await scenario.play(server.url)
            await _work_to_the_end(made, server)
    except NotReadyError:
        # It was to end while it started.
        assert number > 0
    steps = file.read_text(encoding="utf-8").splitlines()
    if len(steps) != number:
        return None, len(steps)
    await made.killed()
    made.simulator.answers.clear()
    async with made.server() as server:
        await scenario.load.repeat_unanswered(server.url)
        await made.done(server.url)
        await server.end(signal.SIGTERM)
    await made.quiet()
    found = made.compare()
    return Point(steps[-1], found.faults, found.duplicates), len(steps)


async def _work_to_the_end(made: Stage, server: Server) -> None:
    """Let a server end its work, and then end: unless it ends before."""
    done, ended = asyncio.create_task(made.done(server.url)), asyncio.create_task(server.ended(within_s=MOST_S))
    await asyncio.wait({done, ended}, return_when=asyncio.FIRST_COMPLETED)
    # Else it is ending: whoever asked it has lost the connection.
    if done.done() and done.exception() is None and not ended.done():
        server.send(signal.SIGTERM)
    await ended
    done.cancel()
    await asyncio.gather(done, return_exceptions=True)


def main() -> None:
    """Try the steps, and say what came of it; ends with 1 where the ledgers did not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="only every so manyth step is tried")
    parser.add_argument(
        "--broadcasts", action=argparse.BooleanOptionalAction, default=True, help="something is for all users at once"
    )
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        tried = asyncio.run(try_every_step(Path(folder), every=asked.every, broadcasts=asked.broadcasts, tell=_tell))
    sys.stdout.write(f"{len(tried.points)} of {tried.steps} steps, {len(tried.faults)} faults.\n")
    if tried.faults:
        sys.exit("\n".join(tried.faults[:20]))


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    main()
