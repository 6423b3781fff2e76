"""What the console costs, and how fast it answers: `scripts/console-report`, or `python -m benchmarks.console PART...`.

Real processes throughout: a server, a push service that costs nothing, applications, and the console in a terminal,
attached. Parts: `busy` (1000 events per second, every pane in turn), `server` (half the server's greatest rate, with a
console and without), `idle` (a minute in which nothing happens), `memory` (200 events per second, an hour or as many
minutes as are named after it).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import aiohttp

from benchmarks.keyboard import Keyboard
from benchmarks.processes import load_average, percentile, resident_mb, usage
from pushdesk.client import HttpDesk
from tests.figures import table
from tests.programs import PUSHDESK, bare_environment, serving
from tests.push_service import Device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.programs import Server

TOKEN: Final = "benchmark-" + 32 * "0"
USERS: Final = 200
EVENTS_PER_S: Final = 1000
PANE_S: Final = 10.0
PHASE_S: Final = 10.0
ROUNDS: Final = 8
IDLE_S: Final = 60.0
LONG_EVENTS_PER_S: Final = 200
TYPED: Final = "qzxvqzxv"
PANES: Final = (
    ("1", "Happening now"),
    ("2", "last delivery"),
    ("3", "last success"),
    ("4", "generation"),
    ("5", "outcome"),
    ("6", "expected end"),
    ("7", "level"),
)
"""The key of each screen, and what stands on no other one."""
FILTERED: Final = frozenset("23457")
"""Screens on which `/` opens a filter."""


class Bench(NamedTuple):
    """A server that has subscribers, and who pushes for it."""

    server: Server
    env: Mapping[str, str]
    push_service: asyncio.subprocess.Process

    async def applications(self, rate: float, seconds: float) -> asyncio.subprocess.Process:
        """Begin to notify."""
        arguments = (self.server.url, str(rate), str(seconds), str(USERS))
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.applications", *arguments, env=self.env, stdout=PIPE
        )

    def console(self) -> Keyboard:
        """Return a console that is attached once it is entered."""
        return Keyboard(*PUSHDESK, "attach", self.server.url, env=self.env)

    async def events(self) -> int:
        """Return how many events there were."""
        async with HttpDesk(self.server.url, TOKEN) as desk:
            async for batch in desk.events():
                return batch[0].seq
        raise AssertionError("no greeting")

    async def accepted(self) -> int:
        """Return how many pushes were accepted by the push service, once nothing waits any more."""
        async with HttpDesk(self.server.url, TOKEN) as desk:
            while True:
                stats = await desk.stats()
                if stats.queue == 0 and stats.in_flight == 0:
                    return sum(health.accepted for health in stats.services)
                await asyncio.sleep(0.1)


async def figures_of(applications: asyncio.subprocess.Process) -> dict[str, Any]:
    """Wait until applications are done; returns what they measured."""
    out, _ = await applications.communicate()
    figures: dict[str, Any] = json.loads(out)
    return figures


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Start a server with subscribers."""
    with TemporaryDirectory(prefix="pushdesk-bench-") as folder:
        env = bare_environment(
            Path(folder),
            PUSHDESK_ADMIN_TOKEN=TOKEN,
            PUSHDESK_TOKEN=TOKEN,
            PYTHONPATH=":".join(path for path in sys.path if path),
        )
        push_service = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.push_service", env=env, stdout=PIPE
        )
        assert push_service.stdout is not None
        origin = (await push_service.stdout.readline()).decode().strip()
        try:
            async with serving("--port", "0", "--allow-endpoint", origin, env=env) as server:
                await _subscribe(server.url, origin)
                yield Bench(server, env, push_service)
                await server.end(signal.SIGTERM)
        finally:
            push_service.kill()
            await push_service.wait()


async def _subscribe(url: str, origin: str) -> None:
    local = url.replace("127.0.0.1", "localhost")
    async with aiohttp.ClientSession() as session:
        for number in range(USERS):
            keys = Device(f"{origin}/{number}").keys
            body = {"endpoint": f"{origin}/{number}", "keys": {"p256dh": keys.p256dh, "auth": keys.auth}}
            path = f"{local}/api/v1/users/user-{number:05}/webpush/subscription"
            async with session.post(path, json=body) as response:
                if response.status != 201:
                    raise AssertionError(await response.text())


async def _events_per_notification(started: Bench) -> float:
    before = await started.events()
    figures = await figures_of(await started.applications(100, 3))
    await started.accepted()
    return (await started.events() - before) / int(figures["accepted"])


async def busy() -> str:
    """Return what the console uses at 1000 events per second in every pane, and how long keys take."""
    rows: list[tuple[object, ...]] = []
    every_ms: list[float] = []
    async with bench() as started, started.console() as console:
        await console.shows("Happening now")
        rate = EVENTS_PER_S / await _events_per_notification(started)
        seconds = len(PANES) * (PANE_S + 3)
        applications = await started.applications(rate, seconds)
        before, began = await started.events(), usage(console.pid)
        for key, shown in PANES:
            waited_ms = [await console.answer_ms(key, shown)]
            start = usage(console.pid)
            await asyncio.sleep(PANE_S)
            share = usage(console.pid).share_since(start)
            waited_ms += await _typed(console, key)
            every_ms += waited_ms
            rows.append((shown, f"{share:.1f} %", f"{median(waited_ms):.0f}", f"{max(waited_ms):.0f}", len(waited_ms)))
        end = usage(console.pid)
        events = (await started.events() - before) / (end.at_s - began.at_s)
        # Screens once more, as quickly as a person presses keys: these are the longest answers.
        for key, shown in PANES * 4:
            every_ms.append(await console.answer_ms(key, shown))
            await asyncio.sleep(0.05)
        applications.kill()
        await applications.wait()
    header = ("pane (what stands on it)", "of one core", "median ms", "worst ms", "keys")
    return (
        f"{events:.0f} events per second, load average {load_average():.1f}; "
        f"{len(every_ms)} keys: 99th percentile {percentile(every_ms, 99):.0f} ms.\n\n{table(header, rows)}"
    )


async def _typed(console: Keyboard, key: str) -> list[float]:
    if key not in FILTERED:
        waited_ms = []
        for _ in range(4):
            waited_ms.append(await console.answer_ms("?", "esc closes"))
            console.press("\x1b")
            await asyncio.sleep(0.3)
        return waited_ms
    console.press("/")
    await asyncio.sleep(0.3)
    waited_ms = [await console.answer_ms(TYPED[place], TYPED[: place + 1]) for place in range(len(TYPED))]
    console.press("\x1b")
    await asyncio.sleep(0.3)
    return waited_ms


async def server() -> str:
    """Return how long a server's answers take at half its greatest rate, with a console attached and without."""
    rows: list[tuple[object, ...]] = []
    without, attached = [], []
    async with bench() as started:
        greatest = await figures_of(await started.applications(0, 5))
        await started.accepted()
        # What is accepted is to be sent as well: the lower of the two is the server's rate.
        sent = await figures_of(await started.applications(0, 5))
        rate = min(each["accepted"] / each["seconds"] for each in (greatest, sent)) / 2
        before, accepted = await started.accepted(), 0
        for _ in range(ROUNDS):
            calm = await figures_of(await started.applications(rate, PHASE_S))
            await started.accepted()
            async with started.console() as console:
                await console.shows("Happening now")
                watched = await figures_of(await started.applications(rate, PHASE_S))
                await started.accepted()
            without.append(calm["p99_ms"])
            attached.append(watched["p99_ms"])
            accepted += calm["accepted"] + watched["accepted"]
            ratio = watched["p99_ms"] / calm["p99_ms"]
            rows.append((f"{calm['p99_ms']:.1f}", f"{watched['p99_ms']:.1f}", f"{ratio:.2f}"))
        lost = accepted - (await started.accepted() - before)
    header = ("99th percentile without, ms", "with a console, ms", "ratio")
    return (
        f"{rate:.0f} notifications per second, half of the greatest rate; load average {load_average():.1f}; "
        f"lost: {lost}; median ratio {median(attached) / median(without):.2f}.\n\n{table(header, rows)}"
    )


async def idle() -> str:
    """Return what console and server use in a minute in which nothing happens."""
    rows: list[tuple[object, ...]] = []
    async with bench() as started, started.console() as console:
        await console.shows("Happening now")
        await figures_of(await started.applications(20, 5))
        for key, shown in PANES:
            await console.answer_ms(key, shown)
            await asyncio.sleep(3)
            start, server_start, written = usage(console.pid), usage(started.server.pid), console.written
            await asyncio.sleep(IDLE_S / 2)
            rows.append(
                (
                    shown,
                    f"{usage(console.pid).share_since(start):.2f} %",
                    f"{usage(started.server.pid).share_since(server_start):.2f} %",
                    console.written - written,
                )
            )
    header = ("pane", "console, of one core", "server, of one core", "bytes painted")
    return f"{IDLE_S / 2:.0f} s in each pane; load average {load_average():.1f}.\n\n{table(header, rows)}"


async def memory(minutes: int = 60) -> str:
    """Return how much memory the console has, minute by minute, at 200 events per second, its panes in turn."""
    rows: list[tuple[object, ...]] = []
    async with bench() as started, started.console() as console:
        await console.shows("Happening now")
        rate = LONG_EVENTS_PER_S / await _events_per_notification(started)
        applications = await started.applications(rate, minutes * 60)
        for minute in range(minutes):
            before = await started.events()
            key, shown = PANES[minute % len(PANES)]
            await console.answer_ms(key, shown)
            await asyncio.sleep(60)
            rows.append(
                (
                    minute + 1,
                    f"{resident_mb(console.pid):.1f}",
                    f"{resident_mb(started.server.pid):.1f}",
                    round((await started.events() - before) / 60),
                )
            )
            print(*rows[-1], file=sys.stderr, flush=True)
        applications.kill()
        await applications.wait()
    return table(("minute", "console, MB", "server, MB", "events per second"), rows)


PARTS: Final = {"busy": busy, "server": server, "idle": idle}


async def _main(names: list[str]) -> None:
    if names[:1] == ["memory"]:
        print(await memory(*map(int, names[1:2])))
        return
    for name in names or PARTS:
        print(f"\n## {name}\n\n{await PARTS[name]()}", flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
