"""What becomes of a server without its database, or with hostile push services: `python -m tests.faults.disasters`.

Each disaster comes over the real program while applications notify, and ends after a while. Meanwhile it has to say
clearly what it does not accept; then it has to recover by itself. The three ledgers are laid side by side at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.faults.load import Load
from tests.faults.program import BUSY_MS, READ_ONLY
from tests.faults.stage import session, stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager

    from tests.faults.ledger import Comparison
    from tests.faults.load import Refusal
    from tests.faults.stage import Stage

MEGABYTES: Final = 8
"""The size of the small disk: the write-ahead log may have 4 of them before it is brought over."""
FLAG: Final = "read-only"
MOUNT, UMOUNT = shutil.which("mount"), shutil.which("umount")
CALM_S: Final = 0.5
"""For how long all is well, before and after."""


class NotPossibleError(Exception):
    """This cannot be brought about here."""


class Disaster(NamedTuple):
    """What came of one."""

    name: str
    seconds: float
    comparison: Comparison
    refusals: Counter[Refusal]
    """What applications were told meanwhile, and how often."""
    readable: bool
    """Whether it answered what only reads, meanwhile."""
    growth: int
    """By how many bytes its memory grew."""


@asynccontextmanager
async def locked(made: Stage) -> AsyncIterator[None]:
    """Have somebody else write to the database, and not come to an end."""
    with closing(sqlite3.connect(made.file, isolation_level=None, timeout=60)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@asynccontextmanager
async def full(made: Stage) -> AsyncIterator[None]:
    """Have somebody else fill the disk."""
    ballast = made.data / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            size = 2**20
            while size >= 4096:
                try:
                    file.write(b"x" * size)
                except OSError:
                    size //= 2
        yield
    finally:
        ballast.unlink()


@asynccontextmanager
async def read_only(made: Stage) -> AsyncIterator[None]:
    """Have SQLite take the database for read-only."""
    flag = made.folder / FLAG
    flag.touch()
    yield
    flag.unlink()


@asynccontextmanager
async def unwritable(made: Stage) -> AsyncIterator[None]:
    """Have the system let the server write to no file at all, its log among them."""
    before = resource.prlimit(made.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(made.pid, resource.RLIMIT_FSIZE, (0, before[1]))
    yield
    resource.prlimit(made.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a small disk in memory.

    Raises:
        NotPossibleError: That may not be done here.
    """
    folder.mkdir(mode=0o700)
    _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run([str(UMOUNT), "-l", str(folder)], check=True)  # noqa: S603 (what was mounted above)


def _mount(*options: str) -> None:
    command = [str(MOUNT), *options]
    if MOUNT is None or subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603 (as above)
        raise NotPossibleError("Nothing may be mounted here.")


@asynccontextmanager
async def hostile(made: Stage) -> AsyncIterator[None]:
    """Have the push service answer in every way that could cost a server its memory, its time or its patience."""
    made.simulator.set_faults(HOSTILE)
    yield
    made.simulator.set_faults(())


IMPATIENT: Final = "2s"
"""How long a push service may take that does not mean to come to an end."""
HOSTILE: Final = (
    *("endless-body@5%", "gzip-bomb@5%", "slow-body:seconds=0.05@5%", "endless-103@5%", "slow-head:seconds=0.05@5%"),
    *("silence@5%", "reset@5%", "500@5%", "503:retry-after=garbage@3%", "301:location=http://127.0.0.1:1/@2%"),
)
DISASTERS: Final[dict[str, Callable[[Stage], AbstractAsyncContextManager[None]]]] = {
    "locked": locked,
    "full": full,
    "read-only": read_only,
    "unwritable": unwritable,
    "hostile": hostile,
}


async def befall(folder: Path, name: str, seconds: float, *, busy_ms: int | None = None) -> Disaster:
    """Have a disaster come over a server under load, and end.

    Args:
        folder: Where everything is.
        name: Which one.
        seconds: How long it takes.
        busy_ms: For how long the server waits for a locked database; as long as ever by default.

    Raises:
        NotPossibleError: It cannot be brought about here.
    """
    with ExitStack() as stack:
        if name == "full":
            stack.enter_context(small_disk(folder / "data", MEGABYTES))
        async with stage(folder, Random(0)) as made:  # noqa: S311 (so that it can be done again)
            load = Load(made)
            more = {READ_ONLY: str(folder / FLAG)} | ({} if busy_ms is None else {BUSY_MS: str(busy_ms)})
            if name == "hostile":
                more["PUSHDESK_PUSH_TOTAL_TIMEOUT"] = IMPATIENT
            async with made.server(more=more) as server:
                made.pid = server.pid
                await made.subscribe(server.url)
                idle, _ = server.memory()
                notifying = asyncio.create_task(load.run(server.url))
                await asyncio.sleep(CALM_S)
                load.refusals.clear()
                async with DISASTERS[name](made), session(made.token) as reader:
                    await asyncio.sleep(seconds)
                    async with reader.get(f"{server.url}/api/v1/admin/dispatches") as answer:
                        readable = answer.status == 200
                refusals = Counter(load.refusals)
                await load.accepts_again(notifying)
                notifying.cancel()
                await asyncio.gather(notifying, return_exceptions=True)
                await load.repeat_unanswered(server.url)
                await made.done(server.url)
                growth = server.memory()[1] - idle
                await server.end(signal.SIGTERM)
            await made.quiet()
            return Disaster(name, seconds, made.compare(), refusals, readable, growth)


def main() -> None:
    """Have them happen, and say what came of it; ends with 1 where the ledgers do not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    asked = parser.parse_args()
    faults: list[str] = []
    for name in DISASTERS:
        with TemporaryDirectory() as folder:
            try:
                found = asyncio.run(befall(Path(folder), name, asked.seconds))
            except NotPossibleError as error:
                sys.stdout.write(f"{name}: {error}\n")
                continue
        faults += found.comparison.faults
        sys.stdout.write(
            f"{name} for {found.seconds:g} s: {dict(found.refusals)}, {found.comparison.accepted} accepted, "
            f"{found.comparison.due} due, {len(found.comparison.lost)} lost, {found.comparison.duplicates} twice, "
            f"{'readable' if found.readable else 'not readable'}, {found.growth / 1e6:.0f} MB more than idle.\n"
        )
    if faults:
        sys.exit("\n".join(faults[:20]))


if __name__ == "__main__":
    main()
