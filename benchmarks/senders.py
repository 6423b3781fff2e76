"""What sender processes are worth: `python -m benchmarks.senders [ROUNDS]` prints Markdown.

Engines with none, one and two sender processes have their turns, round by round, in processes and data directories of
their own; the push service is a process, too. Two things are measured, each by its time and by the processor time of
the engine with its sender processes. *Sending alone*: pushes are handed over and what became of them is taken back, a
hundred at once. *From the outbox*: pushes wait that were accepted before, until all of them are claimed, sent, and
their outcomes written. Ratios are of rounds that were next to each other; nothing is asserted of time.
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
from pushdesk.engine.carrier import InProcess
from pushdesk.engine.opening import in_hand, open_engine, sender_settings
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.model import Notification, Service
from pushdesk.sender.sending import open_transport
from pushdesk.webpush.device_keys import DeviceKeys
from tests.push_service import Device
from tests.sender.bench import push_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.engine.carrier import Carrier
    from pushdesk.engine.engine import Engine
    from pushdesk.sender.frames import Push

PROCESSES: Final = (0, 1, 2)
ROUNDS: Final = 7
PUSHES: Final = 2000
AT_ONCE: Final = 100
ALONE, WHOLE = "alone", "whole"
TITLES: Final = {ALONE: "Sending alone", WHOLE: "From the outbox"}
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

    async def send(self, kind: str) -> Round:
        """Have it send as many pushes as a round has."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{kind}\n".encode())
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
        # A subject ends when nothing more is asked of it, and takes its folder with it.
        assert process.stdin is not None
        process.stdin.close()
        if process.returncode is None and "--serve" not in arguments:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def engine_with(processes: int, origin: str, folder: Path) -> AsyncIterator[tuple[Engine, Carrier]]:
    """Run an engine that sends by so many processes, and give what it sends by, too."""
    config = Config(
        folder,
        push=PushConfig(allow_endpoint=(origin,)),
        outbox=OutboxConfig(min_free=0),
        retention=RetentionConfig(rows=0, days=0),
    )
    if processes == 0:
        transport = open_transport(sender_settings(config), time.monotonic)
        async with open_engine(config, access_url="http://localhost:8484") as engine:
            yield engine, InProcess(transport, time.monotonic, DeviceKeys(sender_settings(config).key_memory))
        await transport.aclose()
        return
    async with (
        SenderPool(processes, sender_settings(config, processes), in_hand=in_hand(config)) as pool,
        open_engine(config, access_url="http://localhost:8484", pool=pool) as engine,
    ):
        yield engine, pool


def began() -> tuple[float, float, float]:
    """Return where the clocks stand."""
    return time.perf_counter(), family_cpu_s(os.getpid()), time.process_time()


def ended(since: tuple[float, float, float]) -> Round:
    """Return what it has taken since then."""
    seconds, cpu_s, own_s = (now - then for now, then in zip(began(), since, strict=True))
    return Round(seconds, cpu_s, max(0.0, cpu_s - own_s))


async def send_alone(carrier: Carrier, push: Push) -> Round:
    """Send without an outbox."""
    numbers = iter(range(PUSHES))

    async def sender() -> None:
        for number in numbers:
            await carrier.carry(str(number), push)

    since = began()
    await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
    return ended(since)


async def send_whole(engine: Engine) -> Round:
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
    since = began()
    await engine.resume_service(Service.OTHER)
    while (await engine.stats()).queue:  # noqa: ASYNC110 (polled)
        await asyncio.sleep(0.02)
    return ended(since)


async def serve(processes: int, origin: str) -> None:
    """Send as many pushes as a round has for each line that comes."""
    loop = asyncio.get_running_loop()
    with TemporaryDirectory() as folder:
        async with engine_with(processes, origin, Path(folder)) as (engine, carrier):
            push = push_to(Device(f"{origin}/device"), BODY.encode() * 2)
            for number in range(DEVICES):
                await engine.subscribe(f"user-{number}", Device(f"{origin}/device-{number}").request())
            while len(family(os.getpid())) <= processes:  # noqa: ASYNC110 (polled)
                await asyncio.sleep(0.05)
            while kind := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
                taken = await (send_alone(carrier, push) if kind == ALONE else send_whole(engine))
                print(json.dumps(taken), flush=True)


async def compare(rounds: int) -> dict[str, dict[int, list[Round]]]:
    """Let each have its turn, so many times, the first of each time being another."""
    found: dict[str, dict[int, list[Round]]] = {kind: {number: [] for number in PROCESSES} for kind in TITLES}
    async with program("benchmarks.push_service") as service:
        assert service.stdout is not None
        origin = (await service.stdout.readline()).decode().strip()
        arguments = [("benchmarks.senders", "--serve", str(number), origin) for number in PROCESSES]
        async with program(*arguments[0]) as none, program(*arguments[1]) as one, program(*arguments[2]) as two:
            subjects = {0: Subject(none), 1: Subject(one), 2: Subject(two)}
            for kind in TITLES:
                for subject in subjects.values():
                    # Connections, caches and keys come about.
                    await subject.send(kind)
                for turn in range(rounds):
                    for place in range(len(PROCESSES)):
                        number = PROCESSES[(turn + place) % len(PROCESSES)]
                        taken = await subjects[number].send(kind)
                        found[kind][number].append(taken)
                        print(f"{kind}, round {turn + 1} of {rounds}, {number}: {taken}", file=sys.stderr)
    return found


def show(found: dict[str, dict[int, list[Round]]]) -> None:
    """Print what was found."""
    print("|  | sender processes | sends/s | by one | CPU per send | by one | of it the engine's own |")
    print("| --- | --: | --: | --: | --: | --: | --: |")
    for kind, title in TITLES.items():
        one = found[kind][1]
        for number, rounds in found[kind].items():
            pairs = list(zip(rounds, one, strict=True))
            rate = median(PUSHES / each.seconds for each in rounds)
            cpu_us = median(each.cpu_s / PUSHES * 1e6 for each in rounds)
            own_us = median((each.cpu_s - each.children_cpu_s) / PUSHES * 1e6 for each in rounds)
            faster = median(other.seconds / each.seconds for each, other in pairs)
            dearer = median(each.cpu_s / other.cpu_s for each, other in pairs)
            print(
                f"| {title} | {number} | {rate:.0f} | {faster:.2f} | {cpu_us:.0f} µs | {dearer:.2f} | {own_us:.0f} µs |"
            )
    print(
        f"\nMedians of {len(found[WHOLE][1])} rounds of {PUSHES} pushes each, by turns in one run; the push service "
        f"shares the {os.cpu_count()} cores. Load at the end: {load_average():.1f}."
    )


def main() -> None:
    """Run."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(int(sys.argv[2]), sys.argv[3]))
    else:
        show(asyncio.run(compare(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS)))


if __name__ == "__main__":
    main()
