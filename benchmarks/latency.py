"""From accept to the push service: `scripts/performance-report latency`, or `python -m benchmarks.latency [PART...]`.

Real processes throughout: a server, applications, and a push service on this machine that tells when each push arrives,
on the clock that all processes have in common. Parts: `light` (a few notifications a second, to a server without a
console), `console` (the console with the server in it, in a terminal, open at the deliveries, beside `serve`, in turns:
as much as either takes, then half of that).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.arrivals import arrivals
from benchmarks.keyboard import COLUMNS, LINES, Keyboard
from benchmarks.loads import send
from benchmarks.processes import load_average, percentile
from benchmarks.stock import ready, started, stock
from pushdesk.cli.datadir import holder_of
from tests.figures import table
from tests.programs import PUSHDESK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.arrivals import Arrivals
    from benchmarks.loads import Sent
    from benchmarks.stock import Stock

USERS: Final = 2000
RATE: Final = 20.0
LIGHT_S: Final = 20.0
GREATEST_ROUNDS: Final = 5
GREATEST_S: Final = 5.0
HALF_ROUNDS: Final = 7
HALF_S: Final = 8.0
WARM_S: Final = 2.0
"""For so long a server is asked before it is measured: what is loaded and made once is there then."""
WARM_RATE: Final = 50.0
WARM_USERS: Final = 7
DELIVERIES: Final = ("5", "outcome")
"""The key of the screen, and what stands there and nowhere else."""
START_S: Final = 60.0


SERVE, CONSOLE = "serve", "console"


class Running(NamedTuple):
    """A server that is measured."""

    stock: Stock
    url: str
    pid: int
    pushes: Arrivals
    painted: Callable[[], int]
    """Bytes that its console has written to the terminal."""

    async def load(self, *, rate: float, seconds: float, users: int = 0) -> Sent:
        """Notify until all has arrived."""
        return await send(self.stock, self.url, self.pid, self.pushes, rate=rate, seconds=seconds, users=users)

    async def warm(self) -> None:
        """Have it do what is done once."""
        await self.load(rate=WARM_RATE, seconds=WARM_S, users=WARM_USERS)


class Round(NamedTuple):
    """A load, and what was painted meanwhile."""

    sent: Sent
    painted_per_s: float
    """Bytes."""


@asynccontextmanager
async def serve(on: Stock, pushes: Arrivals) -> AsyncIterator[Running]:
    """Run `pushdesk serve`."""
    async with started(on) as server:
        yield Running(on, server.url, server.pid, pushes, lambda: 0)


@asynccontextmanager
async def console(on: Stock, pushes: Arrivals) -> AsyncIterator[Running]:
    """Run `pushdesk`, open at the deliveries."""
    async with Keyboard(*PUSHDESK, "--port", "0", env=on.env) as keyboard:
        await keyboard.shows("Happening now", within_s=START_S)
        url = await _url_of(on)
        await ready(url, within_s=START_S)
        await keyboard.answer_ms(*DELIVERIES, within_s=START_S)
        yield Running(on, url, keyboard.pid, pushes, lambda: keyboard.written)
        keyboard.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START_S):
            await keyboard.process.wait()


async def _url_of(on: Stock) -> str:
    async with asyncio.timeout(START_S):
        while True:
            holder = holder_of(on.data)
            if holder is not None and holder.url is not None:
                return holder.url.replace("localhost", "127.0.0.1")
            await asyncio.sleep(0.01)


KINDS: Final[dict[str, Callable[[Stock, Arrivals], AbstractAsyncContextManager[Running]]]] = {
    SERVE: serve,
    CONSOLE: console,
}


class Bench(NamedTuple):
    """A data directory for each kind, so that neither has what the other left there."""

    pushes: Arrivals
    stocks: dict[str, Stock]

    async def round(self, kind: str, *, rate: float, seconds: float) -> Round:
        """Start a server, and have it do what is measured."""
        async with KINDS[kind](self.stocks[kind], self.pushes) as running:
            await running.warm()
            painted, began_s = running.painted(), time.perf_counter()
            sent = await running.load(rate=rate, seconds=seconds)
            found = Round(sent, (running.painted() - painted) / (time.perf_counter() - began_s))
        tell(f"{kind}: {sent.per_s:.0f}/s, 99th percentile {percentile(sent.since_asked_ms, 99):.1f} ms")
        return found

    async def rounds(self, number: int, *, rate: float, seconds: float) -> dict[str, list[Round]]:
        """Measure both kinds so many times in turns, each the first every second time."""
        found: dict[str, list[Round]] = {kind: [] for kind in KINDS}
        for turn in range(number):
            for kind in (CONSOLE, SERVE) if turn % 2 else (SERVE, CONSOLE):
                found[kind].append(await self.round(kind, rate=rate, seconds=seconds))
        return found


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Make the data directories, and run a push service."""
    with TemporaryDirectory(prefix="pushdesk-latency-") as folder:
        async with arrivals() as pushes:
            yield Bench(pushes, {kind: await stock(Path(folder, kind), pushes.origin, users=USERS) for kind in KINDS})


async def light(asked: argparse.Namespace) -> str:
    """Return how long pushes take under light load."""
    rows: list[tuple[object, ...]] = []
    async with bench() as made, serve(made.stocks[SERVE], made.pushes) as running:
        await running.warm()
        for name in ("to somebody who was not sent to before", "to the same once more"):
            sent = await running.load(rate=RATE, seconds=asked.light_seconds)
            asked_ms, accepted_ms = sent.since_asked_ms, sent.since_accepted_ms
            rows.append(
                (
                    name,
                    len(asked_ms),
                    sent.lost,
                    *(f"{percentile(asked_ms, percent):.1f}" for percent in (50, 95, 99)),
                    *(f"{percentile(accepted_ms, percent):.1f}" for percent in (50, 99)),
                )
            )
            tell(" ".join(map(str, rows[-1])))
    header = (
        f"{RATE:g} a second",
        "pushes",
        "lost",
        "median, ms",
        "95th percentile",
        "99th percentile",
        "from the answer: median",
        "99th percentile",
    )
    return (
        "Under light load, from when an application began its request until the push was at the push service; then "
        "from when the application had its answer, before which the push can be there:\n\n"
        f"{table(header, rows)}\n\nLoad average after: {load_average():.2f}."
    )


async def beside_serve(asked: argparse.Namespace) -> str:
    """Return what the console with the server in it sends, by what `serve` does."""
    async with bench() as made:
        greatest = await made.rounds(asked.greatest_rounds, rate=0, seconds=asked.greatest_seconds)
        rate = median(each.sent.per_s for each in greatest[SERVE]) / 2
        half = await made.rounds(asked.half_rounds, rate=rate, seconds=asked.half_seconds)
    by_rate = [
        (one.sent.per_s, other.sent.per_s) for one, other in zip(greatest[SERVE], greatest[CONSOLE], strict=True)
    ]
    by_p99 = [
        (percentile(one.sent.since_asked_ms, 99), percentile(other.sent.since_asked_ms, 99))
        for one, other in zip(half[SERVE], half[CONSOLE], strict=True)
    ]
    all_of = [each.sent for rounds in half.values() for each in rounds]
    return (
        f"The console in a terminal of {COLUMNS} by {LINES}, open at the deliveries, beside `serve`.\n\n"
        f"As many as are taken, {asked.greatest_seconds:g} s each: **ratio of the medians {_ratio(by_rate):.2f}**.\n\n"
        f"{_table('pushes per second', by_rate, greatest)}\n\n"
        f"At {rate:.0f} a second, half of the greatest rate of `serve`, {asked.half_seconds:g} s each: "
        f"lost {sum(sent.lost for sent in all_of)} of {sum(sent.due for sent in all_of)}; "
        f"**ratio of the medians {_ratio(by_p99):.2f}**.\n\n"
        f"{_table('99th percentile, ms', by_p99, half)}\n\n"
        f"Load average after: {load_average():.2f}."
    )


def _ratio(pairs: list[tuple[float, float]]) -> float:
    return median(console for _, console in pairs) / median(serve for serve, _ in pairs)


def _table(what: str, pairs: list[tuple[float, float]], rounds: dict[str, list[Round]]) -> str:
    rows: list[tuple[object, ...]] = [
        (
            f"{of_serve:.1f}",
            f"{of_console:.1f}",
            f"{of_console / of_serve:.2f}",
            f"{serving.sent.cpu_ms:.2f}",
            f"{shown.sent.cpu_ms:.2f}",
            f"{shown.painted_per_s / 1000:.1f}",
        )
        for (of_serve, of_console), serving, shown in zip(pairs, rounds[SERVE], rounds[CONSOLE], strict=True)
    ]
    header = (
        f"{what}: `serve`",
        "console",
        "ratio",
        "CPU of a push, ms: `serve`",
        "console",
        "painted, kB per second",
    )
    return table(header, rows)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


PARTS: Final = {"light": light, "console": beside_serve}


async def _main(asked: argparse.Namespace) -> None:
    print("\n\n".join([await PARTS[part](asked) for part in asked.parts or PARTS]))


def main() -> None:
    """Measure, and print what comes of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--light-seconds", type=float, default=LIGHT_S)
    parser.add_argument("--greatest-rounds", type=int, default=GREATEST_ROUNDS)
    parser.add_argument("--greatest-seconds", type=float, default=GREATEST_S)
    parser.add_argument("--half-rounds", type=int, default=HALF_ROUNDS)
    parser.add_argument("--half-seconds", type=float, default=HALF_S)
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()
