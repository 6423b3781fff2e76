"""What sender processes are worth: `python -m benchmarks.senders [ROUNDS]` prints Markdown.

Engines with none, one and two sender processes have their turns, round by round, in processes and data directories of
their own; the push service is a process, too. In each round pushes wait that were accepted before, and what is measured
is what it takes from then until all of them are sent and their outcomes are written: the time, and the processor time
of the engine with its sender processes. Ratios are of rounds that were next to each other; nothing is asserted of time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.processes import family, family_cpu_s, load_average
from pushdesk.config import Config, OutboxConfig, PushConfig, RetentionConfig
from pushdesk.engine.opening import in_hand, open_engine, sender_settings
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.model import Notification, Service
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.engine.engine import Engine

PROCESSES: Final = (0, 1, 2)
ROUNDS: Final = 7
PUSHES: Final = 4000
DEVICES: Final = 200
BODY: Final = "x" * 120
"""Makes a message of about 250 bytes."""
ACCEPTED_AT_ONCE: Final = 200


class Round(NamedTuple):
    """What sending `PUSHES` took."""

    seconds: float
    cpu_s: float
    children_cpu_s: float
    """Of that, the sender processes'."""


class Subject:
    """An engine in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def send(self) -> Round:
        """Have it send as many pushes as a round has."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        return Round(*json.loads(await self._process.stdout.readline()))


@asynccontextmanager
async def program(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program of ours."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def engine_with(processes: int, origin: str, folder: Path) -> AsyncIterator[Engine]:
    """Run an engine that sends by so many processes."""
    config = Config(
        folder,
        push=PushConfig(allow_endpoint=(origin,)),
        outbox=OutboxConfig(min_free=0),
        retention=RetentionConfig(rows=0, days=0),
    )
    if processes == 0:
        async with open_engine(config, access_url="http://localhost:8484") as engine:
            yield engine
        return
    async with (
        SenderPool(processes, sender_settings(config, processes), in_hand=in_hand(config)) as pool,
        open_engine(config, access_url="http://localhost:8484", pool=pool) as engine,
    ):
        yield engine


async def one_round(engine: Engine) -> Round:
    """Have pushes wait, then send them."""
    await engine.pause_service(Service.OTHER)
    for first in range(0, PUSHES, ACCEPTED_AT_ONCE):
        await asyncio.gather(
            *(
                engine.notify(f"user-{number % DEVICES}", Notification("Hello", BODY))
                for number in range(first, first + ACCEPTED_AT_ONCE)
            )
        )
    while sum(service.waiting for service in (await engine.stats()).services) < PUSHES:  # noqa: ASYNC110 (polled)
        await asyncio.sleep(0.05)
    began_at, cpu_s, own_s = time.perf_counter(), family_cpu_s(os.getpid()), time.process_time()
    await engine.resume_service(Service.OTHER)
    while (await engine.stats()).queue:  # noqa: ASYNC110 (polled)
        await asyncio.sleep(0.02)
    seconds = time.perf_counter() - began_at
    own_s = time.process_time() - own_s
    cpu_s = family_cpu_s(os.getpid()) - cpu_s
    return Round(seconds, cpu_s, max(0.0, cpu_s - own_s))


async def serve(processes: int, origin: str) -> None:
    """Send as many pushes as a round has for each line that comes."""
    loop = asyncio.get_running_loop()
    with TemporaryDirectory() as folder:
        async with engine_with(processes, origin, Path(folder)) as engine:
            for number in range(DEVICES):
                await engine.subscribe(f"user-{number}", Device(f"{origin}/device-{number}").request())
            while len(family(os.getpid())) <= processes:  # noqa: ASYNC110 (polled)
                await asyncio.sleep(0.05)
            while await loop.run_in_executor(None, sys.stdin.readline):
                print(json.dumps(await one_round(engine)), flush=True)


async def compare(rounds: int) -> dict[int, list[Round]]:
    """Let each have its turn, so many times, the first of each time being another."""
    found: dict[int, list[Round]] = {number: [] for number in PROCESSES}
    async with program("benchmarks.push_service") as service:
        assert service.stdout is not None
        origin = (await service.stdout.readline()).decode().strip()
        arguments = [("benchmarks.senders", "--serve", str(number), origin) for number in PROCESSES]
        async with program(*arguments[0]) as none, program(*arguments[1]) as one, program(*arguments[2]) as two:
            subjects = {0: Subject(none), 1: Subject(one), 2: Subject(two)}
            for subject in subjects.values():
                # Connections, caches and keys come about.
                await subject.send()
            for turn in range(rounds):
                for place in range(len(PROCESSES)):
                    number = PROCESSES[(turn + place) % len(PROCESSES)]
                    found[number].append(await subjects[number].send())
                    print(f"round {turn + 1} of {rounds}, {number}: {found[number][-1]}", file=sys.stderr)
    return found


def show(found: dict[int, list[Round]]) -> None:
    """Print what was found."""
    one = found[1]
    print("| sender processes | sends/s | by one | CPU per send | by one | of it the engine's own |")
    print("|---|---|---|---|---|---|")
    for number, rounds in found.items():
        pairs = list(zip(rounds, one, strict=True))
        rate = median(PUSHES / each.seconds for each in rounds)
        cpu_us = median(each.cpu_s / PUSHES * 1e6 for each in rounds)
        own_us = median((each.cpu_s - each.children_cpu_s) / PUSHES * 1e6 for each in rounds)
        faster = median(other.seconds / each.seconds for each, other in pairs)
        dearer = median(each.cpu_s / other.cpu_s for each, other in pairs)
        print(f"| {number} | {rate:.0f} | {faster:.2f} | {cpu_us:.0f} µs | {dearer:.2f} | {own_us:.0f} µs |")
    rounds_each = len(one)
    print(
        f"\nMedians of {rounds_each} rounds of {PUSHES} pushes each, by turns in one run; the push service shares the "
        f"{os.cpu_count()} cores. Load before the end: {load_average():.1f}."
    )


def main() -> None:
    """Run."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(int(sys.argv[2]), sys.argv[3]))
    else:
        show(asyncio.run(compare(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))


if __name__ == "__main__":
    main()
