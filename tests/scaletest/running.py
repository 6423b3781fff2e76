"""Running `pushdesk scaletest`, and looking at what it has started."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pushdesk.scaletest.machine import children_of
from tests.programs import PUSHDESK, Finished, bare_environment, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SMALL = ("scaletest", "--conversations", "8", "--turns", "3", "--connections", "4")
LONG = ("scaletest", "--conversations", "10", "--turns", "1000", "--connections", "4")
"""For which there is time to end it."""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which temporary folders are made in one of their own, which is looked at."""
    (folder / "temporary").mkdir()
    return bare_environment(folder, TMPDIR=str(folder / "temporary"), PYTHONPATH=os.environ.get("PYTHONPATH", ""))


def left_behind(folder: Path) -> list[Path]:
    return list((folder / "temporary").iterdir())


async def scaletest(*options: str, folder: Path) -> Finished:
    return await run(*PUSHDESK, *options, env=environment(folder), cwd=folder, timeout_s=110)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Running:
    """A scale test that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.children = children_of(process.pid)
        self.said: list[str] = []

    @property
    def server(self) -> int:
        """The process of the server."""
        for pid in self.children:
            if b"pushdesk.scaletest.probes" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise AssertionError("there is no server")

    async def ended(self) -> int:
        """Return the exit code; what was said until then is kept."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            async for line in self.process.stderr:
                self.said.append(line.decode())
            return await self.process.wait()


@asynccontextmanager
async def in_the_middle(*options: str, folder: Path, until: str = ": turns: ") -> AsyncIterator[Running]:
    """Start a scale test and wait until it has said something: by default that it tells of turns."""
    process = await asyncio.create_subprocess_exec(
        *PUSHDESK,
        *options,
        env=environment(folder),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(100):
            while until.encode() not in (line := await process.stderr.readline()):
                assert line, "it ended before it began"
        yield Running(process)
    finally:
        if process.returncode is None:
            for pid in children_of(process.pid):
                os.kill(pid, 9)
            process.kill()
            await process.wait()
