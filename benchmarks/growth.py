"""What grows with the number of devices: `scripts/performance-report growth`, or `python -m benchmarks.growth`.

Databases with more and more devices, two a user, each with a real server on it, which sends to a push service on this
machine: how long it takes to start, how much memory it has when idle, how long one notification takes until both pushes
have arrived, what a broadcast to all devices costs, and how many notifications are sent per second. A small database is
measured in turns with each, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from contextlib import AsyncExitStack, suppress
from math import inf
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import aiohttp

from benchmarks.applications import BODY, STRIDE
from benchmarks.arrivals import arrivals
from benchmarks.growth_tables import report
from benchmarks.loads import send
from benchmarks.processes import family, family_cpu_s, resident_mb
from benchmarks.stock import TOKEN, name_of, settled, started, stock

if TYPE_CHECKING:
    from benchmarks.arrivals import Arrivals
    from benchmarks.loads import Sent
    from benchmarks.stock import Started, Stock

T = TypeVar("T")

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000, 2_000_000)
BROADCAST_S: Final = 420.0
"""What would take longer, at the rate of the broadcast before, is left out."""
DEVICES_EACH: Final = 2
SMALL: Final = 1_000
"""Devices of the database that others are compared with."""
STARTS: Final = 5
DISPATCHES: Final = 200
"""Notifications one after the other, each to somebody else, and then to the same once more."""
IDLE_S: Final = 5.0
SENDING_S: Final = 5.0
LOOK_S: Final = 0.1
"""How often the memory is looked at."""
WITHIN_S: Final = 1800.0
"""A broadcast is not waited for any longer."""


class Running(NamedTuple):
    """A server on its stock, and who asks it."""

    stock: Stock
    server: Started
    session: aiohttp.ClientSession
    pushes: Arrivals

    async def post(self, path: str, body: bytes) -> bytes:
        """Ask for something that is accepted."""
        async with self.session.post(f"{self.server.url}{path}", data=body) as response:
            answer = await response.read()
            if response.status != 202:
                raise AssertionError(answer)
            return answer

    async def dispatch(self, user: int) -> float:
        """Send one notification; returns the milliseconds until all the user's devices' pushes have arrived."""
        self.pushes.take()
        wanted = self.pushes.count + self.stock.devices_each
        began_ns = time.monotonic_ns()
        await self.post(f"/api/v1/users/{name_of(user)}/notifications", BODY)
        await self.pushes.reach(wanted)
        arrived = self.pushes.take()
        assert {each.path for each in arrived} == {self.stock.path(user, n) for n in range(self.stock.devices_each)}
        return (max(each.at_ns for each in arrived) - began_ns) / 1e6


class Memory(NamedTuple):
    """What is resident, in megabytes."""

    server: float
    children: tuple[float, ...]

    @property
    def all(self) -> float:
        return self.server + sum(self.children)

    def __str__(self) -> str:
        return f"{self.server:.0f}" + "".join(f" + {child:.0f}" for child in self.children)


class Broadcast(NamedTuple):
    """What a broadcast to all devices took."""

    devices: int
    seconds: float
    cpu_s: float
    more_mb: float
    """Of memory than there was before, at most."""


class Dispatches(NamedTuple):
    """What notifications took, one after the other."""

    took_ms: list[float]
    """Each."""
    cpu_ms: float
    """Of the server and its children, for each."""


class Grown(NamedTuple):
    """What was measured with a database of one size."""

    stock: Stock
    file_mb: float
    start_s: float
    small_start_s: float
    idle: Memory
    dispatches: dict[str, tuple[Dispatches, Dispatches]]
    """Cold and cached, each beside those on the small database."""
    broadcast: Broadcast | None
    sent: Sent


def memory(pid: int) -> Memory:
    """Return what a server has, and its children."""
    server, *others = family(pid)
    children = []
    for other in others:
        # One may end meanwhile.
        with suppress(FileNotFoundError, ProcessLookupError):
            children.append(resident_mb(other))
    return Memory(resident_mb(server), tuple(children))


async def starts(one: Stock, other: Stock, times: int) -> tuple[float, float]:
    """Start a server on each in turns; returns the median seconds of each until it answers."""
    took_s: dict[Stock, list[float]] = {one: [], other: []}
    for turn in range(times):
        for on in _in_turn(turn, one, other):
            async with started(on) as server:
                took_s[on].append(server.start_s)
    return median(took_s[one]), median(took_s[other])


async def dispatches(one: Running, other: Running, number: int) -> tuple[Dispatches, Dispatches]:
    """Send to so many users of each in turns."""
    took_ms: dict[Running, list[float]] = {one: [], other: []}
    began_s = {running: family_cpu_s(running.server.pid) for running in took_ms}
    for turn in range(number):
        for running in _in_turn(turn, one, other):
            took_ms[running].append(await running.dispatch(turn * STRIDE % running.stock.users))
    # What is written down of the last ones is of them.
    await asyncio.gather(*(settled(running.server.url) for running in took_ms))
    cpu_s = {running: family_cpu_s(running.server.pid) - began_s[running] for running in took_ms}
    of_one, of_other = (Dispatches(took_ms[running], 1000 * cpu_s[running] / number) for running in (one, other))
    return of_one, of_other


def _in_turn(turn: int, one: T, other: T) -> tuple[T, T]:
    """Return both, each the first every second time: the second has what the first left behind on its back."""
    return (other, one) if turn % 2 else (one, other)


async def broadcast(running: Running) -> Broadcast:
    """Send a broadcast to all devices."""
    pid, before = running.server.pid, running.pushes.count
    most = idle = memory(pid).all
    cpu_s, began_s = family_cpu_s(pid), time.perf_counter()
    await running.post("/api/v1/broadcasts", BODY)
    while running.pushes.count < before + running.stock.devices:
        if time.perf_counter() > began_s + WITHIN_S:
            raise AssertionError(f"{running.pushes.count - before} of {running.stock.devices} within {WITHIN_S} s")
        await asyncio.sleep(LOOK_S)
        most = max(most, memory(pid).all)
    seconds = time.perf_counter() - began_s
    await settled(running.server.url)
    assert running.pushes.count == before + running.stock.devices
    running.pushes.take()
    return Broadcast(running.stock.devices, seconds, family_cpu_s(pid) - cpu_s, most - idle)


async def measure(
    made: Stock, small: Stock, pushes: Arrivals, asked: argparse.Namespace, *, broadcast_to: float
) -> Grown:
    """Measure a database beside the small one; a broadcast is made to at most so many devices."""
    file_mb = made.file_mb
    start_s, small_start_s = await starts(made, small, asked.starts)
    async with AsyncExitStack() as stack:
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        running, beside = [
            Running(on, await stack.enter_async_context(started(on)), session, pushes) for on in (made, small)
        ]
        await asyncio.sleep(IDLE_S)
        idle = memory(running.server.pid)
        number = min(asked.dispatches, made.users, small.users)
        # What is loaded and made once is there before: the last user is not asked for again where there are enough.
        for each in (running, beside):
            await each.dispatch(each.stock.users - 1)
        taken = {name: await dispatches(running, beside, number) for name in ("cold", "cached")}
        for name, (of_this, _) in taken.items():
            tell(f"{made.devices} devices: dispatches, {name}: {median(of_this.took_ms):.1f} ms")
        told = None
        if made.devices <= broadcast_to:
            told = await broadcast(running)
            tell(f"{made.devices} devices: broadcast in {told.seconds:.1f} s")
        sent = await send(made, running.server.url, running.server.pid, pushes, rate=0, seconds=asked.seconds)
    return Grown(
        made,
        file_mb,
        start_s,
        small_start_s,
        idle,
        taken,
        told,
        sent,
    )


async def grow(asked: argparse.Namespace) -> list[Grown]:
    """Measure databases of all sizes."""
    found: list[Grown] = []
    broadcast_to = inf
    with TemporaryDirectory(prefix="pushdesk-growth-") as folder:
        async with arrivals() as pushes:
            small = await stock(
                Path(folder, "small"), pushes.origin, users=SMALL // DEVICES_EACH, devices_each=DEVICES_EACH
            )
            for size in asked.sizes:
                with TemporaryDirectory(prefix=f"{size}-", dir=folder) as inner:
                    began_s = time.perf_counter()
                    made = await stock(
                        Path(inner, str(size)), pushes.origin, users=size // DEVICES_EACH, devices_each=DEVICES_EACH
                    )
                    tell(f"{size} devices: made in {time.perf_counter() - began_s:.1f} s")
                    found.append(await measure(made, small, pushes, asked, broadcast_to=broadcast_to))
                    if (told := found[-1].broadcast) is not None:
                        broadcast_to = asked.broadcast_seconds * told.devices / told.seconds
    return found


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print what comes of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=_numbers, default=SIZES, metavar="N,N", help="numbers of devices")
    parser.add_argument(
        "--broadcast-seconds",
        type=float,
        default=BROADCAST_S,
        help="what would take longer, at the rate of the one before, is left out",
    )
    parser.add_argument("--starts", type=int, default=STARTS, help="of each database")
    parser.add_argument("--dispatches", type=int, default=DISPATCHES)
    parser.add_argument("--seconds", type=float, default=SENDING_S, help="for how long notifications are asked for")
    print(report(asyncio.run(grow(parser.parse_args())), SMALL))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


if __name__ == "__main__":
    main()
