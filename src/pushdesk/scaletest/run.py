"""One run: a server, its users, their turns, and what all that came to."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pushdesk.errors import StartUpError
from pushdesk.scaletest import outcome
from pushdesk.scaletest.application import Application
from pushdesk.scaletest.crowd import make_crowd
from pushdesk.scaletest.database_url import check_new
from pushdesk.scaletest.driver import Driver, ServerKey, subscribe
from pushdesk.scaletest.ledger import Ledger
from pushdesk.scaletest.measures import ASK, BEGIN
from pushdesk.scaletest.server import DATABASE, Server, ServerEndedError
from pushdesk.scaletest.sink import Sink
from pushdesk.simulator import base64url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
    from typing import Any, TypeVar

    from pushdesk.scaletest.crowd import Member
    from pushdesk.scaletest.machine import Usage
    from pushdesk.scaletest.measures import Part, Run, Snapshot
    from pushdesk.scaletest.plan import Plan
    from pushdesk.scaletest.progress import Progress

    T = TypeVar("T")

LOOK_EVERY_S: Final = 0.1
SETTLED_WITHIN_S: Final = 60.0


class Cache(msgspec.Struct):
    """What a server's `stats` tell of its cache."""

    reads: int = 0
    counts: dict[str, int] = {}


class Senders(msgspec.Struct):
    """What a server's `stats` tell of its sender processes."""

    restarts: int = 0


class Stats(msgspec.Struct):
    """What a server tells of itself, as far as it is looked at."""

    cache: Cache = msgspec.field(default_factory=Cache)
    senders: Senders = msgspec.field(default_factory=Senders)


class Moment(NamedTuple):
    """All that was used and counted by one moment."""

    at: float
    snapshot: Snapshot
    stats: Stats
    processes: dict[int, Usage]
    senders: dict[int, dict[str, Part]]
    driver_cpu_s: float


async def run(plan: Plan, progress: Progress, *, is_lost: Callable[[int], bool] = lambda _number: False) -> Run:
    """Run once; returns what it came to, also if not everything arrived.

    Args:
        plan: What is to be done.
        progress: Shown how far it is.
        is_lost: Of whose pushes the push service tells nothing: see `Sink`.

    Raises:
        StartUpError: The server does not start.
        ServerEndedError: It ended by itself.
        PushdeskError: It refused a subscription.
    """
    chance = Random(plan.seed)  # noqa: S311  (the same every time)
    crowd = make_crowd(plan.conversations, chance)
    counted = _Counting(plan, crowd, chance)
    async with (
        Sink(counted.took, is_lost=is_lost) as sink,
        _folder(plan) as folder,
        Server(plan, folder, sink.origin) as server,
    ):
        try:
            return await _while_it_runs(server, _drive(plan, counted, sink, server, progress, folder))
        except ServerEndedError as error:
            raise ServerEndedError(f"{error.detail} {counted.state()}") from None


class _Counting:
    """The ledger with the driver that it tells of arrivals; subscribing is not in it."""

    def __init__(self, plan: Plan, crowd: Sequence[Member], chance: Random) -> None:
        self.plan = plan
        self.crowd = crowd
        self.chance = chance
        self.tests = 0
        self.ledger: Ledger | None = None
        self.driver: Driver | None = None

    def took(self, number: int, body: bytes) -> None:
        """Note a push."""
        if self.ledger is None:
            self.tests += 1
        else:
            self.ledger.push(number, body)

    def state(self) -> str:
        """Return how far it is, as a sentence."""
        if self.ledger is None:
            return "Not all users were subscribed yet."
        return (
            f"{self.ledger.arrived} of {self.ledger.total} turns had arrived, {self.ledger.under_way} were under way."
        )

    def begin(self, application: Application) -> tuple[Ledger, Driver]:
        """Count turns from now on."""
        driver = Driver(self.plan, application, self.crowd, self.chance)
        ledger = Ledger(self.crowd, self.plan.turns, chance=self.chance, clock=time.monotonic, arrived=driver.arrived)
        self.ledger, self.driver = ledger, driver
        return ledger, driver


async def _drive(plan: Plan, counted: _Counting, sink: Sink, server: Server, progress: Progress, folder: Path) -> Run:
    async with _application(plan, server) as application:
        key = await application.read("/api/v1/vapid", ServerKey)
        sink.serve(
            {member.path: number for number, member in enumerate(counted.crowd)}, base64url.decode(key.public_key)
        )
        began = time.monotonic()
        with progress.phase("subscribing", plan.conversations) as show:
            await subscribe(application, counted.crowd, origin=sink.origin, key=key, done=show)
            # Each device gets a test push, which the server waits for, but not for ever.
            tried_at = await _until_settled(plan, server, plan.conversations, 0, lambda _done: None)
        registered_s = time.monotonic() - began
        # For its test push each device was read: the turns are to find an empty cache.
        await application.ask("POST", "/api/v1/admin/cache/clear")
        before = await _moment(server, application, BEGIN)
        ledger, driver = counted.begin(application)
        driver.start(ledger)
        with progress.phase("turns", ledger.total) as show:
            await _until_arrived(plan, ledger, driver, show)
        driver.stop()
        with progress.phase("settling", ledger.arrived) as show:
            settled_at = await _until_settled(plan, server, ledger.arrived, before.snapshot.settled, show)
        after = await _moment(server, application)
    code = await server.stop()
    good, bad = ledger.decrypt()
    return outcome.make_run(
        plan,
        ledger,
        before,
        after,
        folder=folder,
        registered_s=registered_s,
        tests_settled=tried_at is not None,
        settle_s=max(0.0, settled_at - ledger.last_at) if settled_at is not None else None,
        refused=driver.refused + Counter({f"push service: {why}": count for why, count in sink.refusals.items()}),
        put_off=driver.put_off,
        reconnects=application.reconnects,
        decrypted=(good, bad),
        exit_code=code,
    )


def _application(plan: Plan, server: Server) -> Application:
    return Application(server.url, token=server.token, connections=plan.connections, patience_s=plan.patience_s)


async def _until_arrived(plan: Plan, ledger: Ledger, driver: Driver, show: Callable[[int], None]) -> None:
    """Return when every turn that is told of has arrived, or nothing has happened for as long as there is patience."""
    while not driver.is_done:
        await asyncio.sleep(LOOK_EVERY_S)
        show(ledger.arrived)
        if time.monotonic() - ledger.moved_at > plan.patience_s:
            break
    show(ledger.arrived)


async def _until_settled(
    plan: Plan, server: Server, wanted: int, before: int, show: Callable[[int], None]
) -> float | None:
    """Wait until so many deliveries are settled; returns when, None if there is no progress within the patience.

    Args:
        plan: With how much patience.
        server: Tells how many are.
        wanted: How many.
        before: How many there were before.
        show: Shown how many there are.
    """
    moved_at, settled = time.monotonic(), -1
    while True:
        now_settled = (await server.snapshot()).settled - before
        now = time.monotonic()
        show(min(now_settled, wanted))
        if now_settled >= wanted:
            return now
        if now_settled > settled:
            moved_at, settled = now, now_settled
        elif now - moved_at > plan.patience_s:
            return None
        await asyncio.sleep(LOOK_EVERY_S / 4)


async def _moment(server: Server, application: Application, asked: bytes = ASK) -> Moment:
    stats = await application.read("/api/v1/admin/stats", Stats)
    at, snapshot, processes, own_s = (
        time.monotonic(),
        await server.snapshot(asked),
        server.processes(),
        time.process_time(),
    )
    return Moment(at, snapshot, stats, processes, await server.senders(), own_s)


async def _while_it_runs(server: Server, work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` comes to; if the server ends before, raise that instead, at once."""
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(server.ended())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
        if working.done() and working.exception() is None:
            return working.result()
        if not ending.done():
            # What failed may be the first sign of the server's end.
            await asyncio.wait((ending,), timeout=1)
        if ending.done():
            raise ending.result()
        return working.result()
    finally:
        for task in (working, ending):
            task.cancel()
        await asyncio.gather(working, ending, return_exceptions=True)


def check_place(plan: Plan) -> None:
    """Refuse a plan whose database or data directory is there already; nothing is made.

    Raises:
        StartUpError: One of them is, or it cannot be looked into.
    """
    if plan.database is not None:
        check_new(plan.database)
    if plan.data_dir is None:
        return
    try:
        is_empty = not plan.data_dir.exists() or next(plan.data_dir.iterdir(), None) is None
    except OSError as error:
        raise _unusable(plan.data_dir, error) from None
    if not is_empty:
        raise StartUpError(
            f"The data directory {plan.data_dir} is not empty.",
            hint="A scale test makes thousands of users: name a new one.",
        )


def _unusable(folder: Path, error: OSError) -> StartUpError:
    return StartUpError(f"The data directory {folder} cannot be used: {error.strerror or error}.")


@asynccontextmanager
async def _folder(plan: Plan) -> AsyncIterator[Path]:
    """Give the data directory, and remove it at the end unless it is to be kept."""
    if plan.data_dir is None:
        folder = Path(mkdtemp(prefix="pushdesk-scaletest-"))
    else:
        check_place(plan)
        folder = plan.data_dir
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(folder, error) from None
    try:
        if plan.database is not None:
            (folder / DATABASE).symlink_to(plan.database)
        yield folder
    finally:
        if not plan.keeps_data:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
