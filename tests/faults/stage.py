"""What stands around servers that come to harm: a push service, browsers that decrypt, a data directory, ledgers."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp

from pushdesk.client import HttpDesk
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.decryption import ReceivedMessage
from pushdesk.simulator.service import Simulator
from tests.faults.ledger import (
    ClientLedger,
    Comparison,
    DeviceLedger,
    Pair,
    at_rest,
    compare,
    in_flight,
    integrity,
    unfinished,
)
from tests.faults.program import EXIT_AT, STEPS
from tests.programs import CHECKOUT, Server, bare_environment, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from random import Random

    from pushdesk.errors import PushdeskError

PROGRAM: Final = (sys.executable, "-m", "tests.faults.program")
USERS: Final = ("ada", "bo", "cy", "dee")
DEVICES: Final = ("ada", "ada", "bo", "cy", "cy", "dee")
"""Whose the devices are."""
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
SOON_S: Final = 0.01
"""How often it is looked whether a process or a connection has ended, of which nobody tells."""
TIMEOUT: Final = "10s"
"""How long a push service may take: longer than this machine ever stands still, for what is answered too late is sent
again, and no kill would explain it.
"""
ROUNDS: Final = 8
"""Of the event loop, in which it takes up a connection that waited: one for each of the steps, and some to spare."""
MOST_S: Final = 120.0
"""How long a server may take for all that was left."""


@dataclass
class Memory:
    """How much memory servers had, in bytes: at most, and when they had done nothing yet."""

    idle: int = 0
    most: int = 0
    growth: int = 0
    """The most by which one had more than when it had done nothing yet."""

    def note(self, idle: int, most: int) -> None:
        """Note what one server had."""
        self.idle, self.most = max(self.idle, idle), max(self.most, most)
        self.growth = max(self.growth, most - idle)


@dataclass
class Stage:
    """See the module; made by `stage`."""

    folder: Path
    simulator: Simulator
    random: Random
    clients: ClientLedger
    devices: DeviceLedger = field(default_factory=DeviceLedger)
    kills: list[frozenset[Pair]] = field(default_factory=list)
    """What was in flight at each."""
    browsers: list[VirtualBrowser] = field(default_factory=list)
    pid: int = 0
    """Of the server, where that matters."""
    ended: set[str] = field(default_factory=set)
    """The endpoints of subscriptions that a browser has ended."""
    memory: Memory = field(default_factory=Memory)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a device has received something."""

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def file(self) -> Path:
        """The database."""
        return self.data / "pushdesk.db"

    @property
    def token(self) -> str:
        """The operator's token."""
        return (self.data / "admin.token").read_text(encoding="utf-8").strip()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a server."""
        return (
            bare_environment(
                self.folder,
                PUSHDESK_DATA_DIR=str(self.data),
                PUSHDESK_ALLOW_ENDPOINT=self.simulator.origin,
                PUSHDESK_PUSH_TOTAL_TIMEOUT=TIMEOUT,
                PUSHDESK_OUTBOX_MIN_FREE="0",
                PUSHDESK_LOG_LEVEL="error",
                PUSHDESK_LOG_FILE=str(self.folder / "pushdesk.log"),
            )
            | more
        )

    @asynccontextmanager
    async def server(self, *, exit_at: int | None = None, more: Mapping[str, str] = NOTHING) -> AsyncIterator[Server]:
        """Run a server until it is killed, or to the end of the block.

        Args:
            exit_at: At which of its steps it ends without warning; 0 to count them.
            more: More of its environment.
        """
        if exit_at is not None:
            more = {**more, EXIT_AT: str(exit_at), STEPS: str(self.folder / "steps")}
        async with serving("--port", "0", env=self.environment(**more), cwd=CHECKOUT, program=PROGRAM) as server:
            said = asyncio.create_task(server.errors())
            try:
                yield server
            finally:
                if not server.has_ended:
                    server.send(signal.SIGKILL)
                await said

    async def killed(self) -> None:
        """Note what was in flight when a server ended without warning, once all that it has sent has arrived."""
        await self.quiet()
        self.kills.append(in_flight(self.file) if self.file.exists() else frozenset())

    async def quiet(self) -> None:
        """Wait until all that a server has sent before its end is with the browsers."""
        assert self.simulator._runner is not None
        server = self.simulator._runner.server
        assert server is not None
        # What had connected and was not taken up yet is seen by nobody but the system.
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        while len(server.connections) > len(self.browsers):  # noqa: ASYNC110 (nobody tells of it)
            await asyncio.sleep(SOON_S)
        registry = self.simulator.registry
        await self.simulator.wait_until(lambda: not any(browser.waiting for browser in registry.browsers.values()))

    async def subscribe(self, url: str) -> None:
        """Subscribe all browsers."""
        for browser in self.browsers:
            await browser.subscribe(url)

    async def leave(self, browser: VirtualBrowser) -> None:
        """Have a browser end its subscription, while no server runs: nothing is on its way to it."""
        self.ended |= {browser.subscription.endpoint} if browser.subscription is not None else set()
        await browser.unregister()
        # It was for that subscription.
        browser.token = None

    def endpoints(self, user: str | None) -> frozenset[str]:
        """Return where a user's devices are, or everybody's."""
        return frozenset(
            browser.subscription.endpoint
            for browser in self.browsers
            if user in {None, browser.user} and browser.subscription is not None
        )

    async def done(self, url: str) -> None:
        """Wait until a server has ended all that was accepted."""
        async with asyncio.timeout(MOST_S), HttpDesk(url, self.token) as desk, aclosing(desk.events()) as events:
            async for _ in events:
                if not unfinished(self.file):
                    return

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what devices have received."""
        while not holds():
            self.changed.clear()
            await self.changed.wait()

    def compare(self) -> Comparison:
        """Lay the ledgers side by side, when no server has the database."""
        found = compare(self.clients, self.devices, at_rest(self.file), self.kills, self.ended)
        if (said := integrity(self.file)) != "ok":
            found.wrong.append(f"SQLite says of the database: {said}")
        return found

    def report(self, browser: VirtualBrowser, event: ReceivedMessage | PushdeskError) -> None:
        """Write down what a browser has received."""
        if not isinstance(event, ReceivedMessage):
            self.devices.undecryptable += 1
            return
        shown: dict[str, Any] = event.notification or {}
        assert browser.subscription is not None
        self.devices.received(event.title, shown["data"]["id"], browser.subscription.endpoint, len(self.kills))
        self.changed.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.clients.close()


@asynccontextmanager
async def stage(folder: Path, random: Random, owners: tuple[str, ...] = DEVICES) -> AsyncIterator[Stage]:
    """Set up a stage with everybody's browser, which are not subscribed yet."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(chance=random))
        made = Stage(folder, simulator, random, ClientLedger(folder / "accepted"))
        await stack.enter_async_context(made)
        for owner in owners:
            browser = VirtualBrowser(simulator.url, user=owner, report=made.report)
            made.browsers.append(await stack.enter_async_context(browser))
        yield made


def session(token: str) -> aiohttp.ClientSession:
    """Return a client's session, which waits for an answer for longer than a locked database takes."""
    timeout = aiohttp.ClientTimeout(total=60)
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}, timeout=timeout)
