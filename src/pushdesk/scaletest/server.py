"""The server that is measured: the real `pushdesk serve`, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

import msgspec

from pushdesk.errors import PushdeskError, StartUpError
from pushdesk.scaletest.machine import children_of, usage_of
from pushdesk.scaletest.measures import ASK, METERED, UNMETERED, Snapshot
from pushdesk.scaletest.sender_probes import TELL_EVERY_S, parts_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pushdesk.scaletest.machine import Usage
    from pushdesk.scaletest.measures import Part
    from pushdesk.scaletest.plan import Plan

READY: Final = "pushdesk: listening on "
START_WITHIN_S: Final = 60.0
END_WITHIN_S: Final = 17.0
"""`pushdesk serve` ends within 15."""
ANSWER_WITHIN_S: Final = 30.0
LAST_LINES: Final = 5
DATABASE: Final = "pushdesk.db"
_ROUTINE: Final = "[info "


class ServerEndedError(PushdeskError):
    """The server is no longer there."""


class Server:
    """A server that runs; an async context manager.

    Args:
        plan: With what it runs.
        folder: Its data directory.
        push_service: The origin that it may send to.
    """

    def __init__(self, plan: Plan, folder: Path, push_service: str) -> None:
        self._plan = plan
        self._folder = folder
        self._push_service = push_service
        self.token = secrets.token_urlsafe(32)
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._channel: socket.socket | None = None
        self._errors = folder / "server.err"
        self._said_before = 0
        """How many bytes of its standard error are of its start: once it runs, they say nothing about its end."""
        self._is_asked_to_end = False

    def __repr__(self) -> str:
        return f"Server({self.url!r})"

    async def __aenter__(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            StartUpError: It does not start; says its last lines.
        """
        try:
            await self._start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        """End it at once, with everything that it has started, if it still runs."""
        await self.kill()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._running().pid

    async def ended(self) -> ServerEndedError:
        """Wait until it has ended by itself; returns what to say about it. Never, if it was asked to end."""
        code = await self._running().wait()
        if self._is_asked_to_end:
            await asyncio.Event().wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return ServerEndedError(f"The server has ended {how}.{self._last_lines()}")

    async def stop(self) -> int | None:
        """Ask it to end, as a service manager does; returns its exit code, None if it does not end."""
        process = self._running()
        self._is_asked_to_end = True
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(END_WITHIN_S):
                return await process.wait()
        except TimeoutError:
            return None

    async def kill(self) -> None:
        """End it at once, and everything that it has started."""
        process = self._process
        if process is not None:
            # Looked up while it lives: what it has started may be in other sessions than its own.
            started = children_of(process.pid) if process.returncode is None else ()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            for child in started:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    async def snapshot(self, asked: bytes = ASK) -> Snapshot:
        """Return what its probes have counted so far.

        Raises:
            ServerEndedError: It does not tell.
        """
        assert self._channel is not None  # noqa: S101 (it is asked for inside its context)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await loop.sock_sendall(self._channel, asked)
                told = b""
                while not told.endswith(b"\n"):
                    part = await loop.sock_recv(self._channel, 1 << 20)
                    if not part:
                        raise ServerEndedError(f"The server has ended.{self._last_lines()}")
                    told += part
        except (OSError, TimeoutError):
            raise ServerEndedError(f"The server does not tell what it did.{self._last_lines()}") from None
        return msgspec.json.decode(told, type=Snapshot)

    async def senders(self) -> dict[int, dict[str, Part]]:
        """Return what the probes in its sender processes have counted, by process."""
        if self._plan.probes and children_of(self.pid):
            # They tell it by and by.
            await asyncio.sleep(2 * TELL_EVERY_S)
        return parts_in(self._folder)

    def processes(self) -> dict[int, Usage]:
        """Return what it and its children have used, by process; its own comes first."""
        used = {pid: usage_of(pid) for pid in (self.pid, *children_of(self.pid))}
        return {pid: usage for pid, usage in used.items() if usage is not None}

    async def _start(self) -> None:
        self._channel, theirs = socket.socketpair()
        self._channel.setblocking(False)
        with theirs, self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "pushdesk.scaletest.probes"),
                *(str(theirs.fileno()), self._plan.variant, METERED if self._plan.probes else UNMETERED),
                str(self._folder),
                *self._options(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env=self._environment(),
                pass_fds=(theirs.fileno(),),
                # Out of the terminal's reach: ctrl+c is for whoever started it.
                start_new_session=True,
            )
        assert self._process.stdout is not None  # noqa: S101 (asked for above)
        try:
            async with asyncio.timeout(START_WITHIN_S):
                line = (await self._process.stdout.readline()).decode(errors="replace").strip()
        except TimeoutError:
            raise StartUpError(f"The server does not start.{self._last_lines()}") from None
        if not line.startswith(READY):
            await self._process.wait()
            raise StartUpError(f"The server did not start.{self._last_lines()}")
        self.url = line.removeprefix(READY)
        self._said_before = self._errors.stat().st_size

    def _options(self) -> Sequence[str]:
        plan = self._plan
        options = ["serve", "--host", "127.0.0.1", "--port", str(plan.port), "--data-dir", str(self._folder)]
        options += ["--allow-endpoint", self._push_service]
        if plan.variant.is_without_cache:
            options += ["--cache-ttl", "0"]
        if plan.senders is not None:
            options += ["--senders", str(plan.senders)]
        return options

    def _environment(self) -> dict[str, str]:
        """Return ours without what is set for another server, which this one is not."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PUSHDESK_")}
        return {**kept, "PUSHDESK_ADMIN_TOKEN": self.token}

    def _last_lines(self) -> str:
        """Return what it said last, to be put behind a sentence; of one that runs, since it is ready."""
        try:
            said_since = self._errors.read_bytes()[self._said_before :]
        except OSError:
            return ""
        lines = said_since.decode(errors="replace").splitlines()
        # In its log, what went as it should is of no help.
        telling = [line.strip() for line in lines if line.strip() and _ROUTINE not in line]
        said = " / ".join(telling[-LAST_LINES:])
        return f" It said last: {said}" if said else ""

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None  # noqa: S101 (it is asked for inside its context)
        return self._process
