"""Programs that tests run: the real `pushdesk` and what stands around it, in an environment of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Mapping, Sequence

CHECKOUT = Path(__file__).parents[1]
PUSHDESK = (sys.executable, "-m", "pushdesk")


class Finished(NamedTuple):
    """What a program left behind."""

    code: int
    out: str
    err: str


def bare_environment(home: Path, **more: str) -> dict[str, str]:
    """Make an environment with nothing in it of who runs the tests."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


async def run(*command: str, env: Mapping[str, str], cwd: Path | None = None, timeout_s: float = 60.0) -> Finished:
    """Run a program to its end, with nothing to read and no terminal."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{command} went on for {timeout_s} s\n{out.decode()}\n{err.decode()}") from None
    return Finished(process.returncode or 0, out.decode(), err.decode())


class NotReadyError(AssertionError):
    """A server ended, or said something else, before it was ready."""


class Server:
    """A `pushdesk serve` that runs; made by `serving`."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        assert process.stderr is not None
        self._process = process
        self._errors = process.stderr
        self.url = url
        self.pid = process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self._process.returncode is not None

    def memory(self) -> tuple[int, int]:
        """Return how many bytes of its memory are resident, and how many were at most."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        now, most = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    async def end(self, number: signal.Signals, *, within_s: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        self.send(number)
        return await self.ended(within_s=within_s)

    async def ended(self, *, within_s: float = 20.0) -> int:
        """Wait for its end and return the exit code."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()

    async def error_line(self, part: str) -> str:
        """Wait for a line on stderr that holds a text."""
        async with asyncio.timeout(20):
            while True:
                line = (await self._errors.readline()).decode()
                assert line, f"the server ended without saying {part!r}"
                if part in line:
                    return line

    async def errors(self) -> str:
        """Return what an ended server wrote on stderr, but for what was read as lines."""
        return (await self._errors.read()).decode()


@asynccontextmanager
async def serving(
    *options: str, env: Mapping[str, str], cwd: Path | None = None, program: Sequence[str] = PUSHDESK
) -> AsyncIterator[Server]:
    """Run `pushdesk serve` and wait until it says that it is ready; what still runs at the end is killed.

    Args:
        options: Of the command; without any, it takes a free port.
        env: Its environment.
        cwd: Its working directory.
        program: Which pushdesk.
    """
    process = await asyncio.create_subprocess_exec(
        *program,
        "serve",
        *(options or ("--port", "0")),
        env=env,
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            line = (await process.stdout.readline()).decode()
        ready, _, url = line.rstrip("\n").partition("pushdesk: listening on ")
        if ready or not url:
            raise NotReadyError(line or (await process.stderr.read()).decode())
        yield Server(process, url)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
