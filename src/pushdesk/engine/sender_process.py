"""One sender process, as the engine holds it: it is started, given pushes, listened to, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pushdesk.engine.rest import wait_at_most
from pushdesk.sender import signals
from pushdesk.sender.frames import GarbageError, Ping, Pushes, Ready, Result, Results, chunks, engine_frames, framed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pushdesk.engine.carrier import Carried
    from pushdesk.sender.frames import Push, Settings

COMMAND: Final = (sys.executable, "-P", "-m", "pushdesk.sender")
"""-P: a folder that pushdesk is run in holds no modules of its."""
NO_ANSWER: Final = "it did not answer"
NOT_READY: Final = "it was not ready in time"
OVERDUE: Final = "a push took longer than all timeouts together"
NONSENSE: Final = "it said what makes no sense"
READY_WITHIN_S: Final = 30.0
SILENT_TICKS: Final = 8
"""A process that says nothing at so many ticks on end, asked at each, is stopped or hangs."""
QUIET_TICKS: Final = 2
"""One that said nothing at so many is given nothing more for now."""
END_WITHIN_S: Final = 2.0
BUFFER: Final = 2**18
"""Bytes that may wait in this process for a process to read them, before it is given no more."""
LAST_LINE: Final = 1000
LAST_WORDS_S: Final = 0.5


class Launched(NamedTuple):
    """A process that was started, with this end of its socket. It has been told nothing yet."""

    process: subprocess.Popen[bytes]
    socket: socket.socket

    def discard(self) -> None:
        """Give it up: it ends when its socket is closed."""
        self.socket.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_WITHIN_S)
        self.process.kill()
        self.process.wait()
        if self.process.stderr is not None:
            self.process.stderr.close()


def launch(command: Sequence[str] = COMMAND, environ: Mapping[str, str] = os.environ) -> Launched:
    """Start a process. What it is to know it is told over its socket.

    Args:
        command: Its program, which gets the number of its end as the last argument.
        environ: The environment; the settings in it are not its, as they may be secrets.

    Raises:
        OSError: It cannot be started.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            with signals.blocked():
                process = subprocess.Popen(  # noqa: S603 (our own program)
                    [*command, str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={name: value for name, value in environ.items() if not name.startswith("PUSHDESK_")},
                    # Out of the terminal's reach: ctrl+c is the engine's to hear.
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
    return Launched(process, ours)


class Ticket:
    """A push on its way through a process."""

    __slots__ = ("answer", "delivery", "given_at", "push")

    def __init__(self, delivery: str, push: Push, now: float) -> None:
        self.delivery = delivery
        self.push = push
        self.given_at = now
        """When it came, then when it was handed to a process."""
        self.answer: asyncio.Future[Carried] = asyncio.get_running_loop().create_future()

    def settle(self, carried: Carried) -> None:
        """Say what became of it, unless nobody waits for that any more."""
        if not self.answer.done():
            self.answer.set_result(carried)


class Ending(NamedTuple):
    """How a process ended."""

    pid: int
    signal: int | None
    code: int | None
    said: str
    """The last line that it wrote on stderr before it was ready."""
    was_ready: bool
    fault: str = ""
    """What this process ended it for, as the end of a sentence."""

    @property
    def how(self) -> str:
        """In words, as the end of a sentence."""
        if self.fault:
            return f"by this server's SIGKILL, as {self.fault}"
        if self.signal is not None:
            with suppress(ValueError):
                return f"by {signal.Signals(self.signal).name}"
            return f"by signal {self.signal}"
        return f"with exit code {self.code}"


class Observer(Protocol):
    """Who is told of a process."""

    def is_ready(self, process: SenderProcess) -> None:
        """It takes pushes."""
        ...

    def has_room(self, process: SenderProcess) -> None:
        """It may take pushes again."""
        ...

    def answered(self, process: SenderProcess, ticket: Ticket, result: Result) -> None:
        """A push came to something."""
        ...

    def lost(self, process: SenderProcess, tickets: Sequence[Ticket]) -> None:
        """It died, with these in hand."""
        ...


class SenderProcess(asyncio.Protocol):
    """This end of a process's socket.

    Args:
        launched: The process.
        observer: Is told what happens.
    """

    def __init__(self, launched: Launched, observer: Observer) -> None:
        self._process = launched.process
        self._opened = launched.socket
        self._observer = observer
        self._loop = asyncio.get_running_loop()
        self._frames = engine_frames()
        self._socket: asyncio.Transport | None = None
        self._stderr: asyncio.ReadTransport | None = None
        self._said = _LastLine()
        self._outgoing: list[Push] = []
        self._number = 0
        self._closed = self._loop.create_future()
        self._silent_ticks = 0
        self._fault = ""
        self.in_hand: dict[int, Ticket] = {}
        """What it was given and has not answered, the oldest first."""
        self.pid = self._process.pid
        self.began_at = self._loop.time()
        self.ready_at: float | None = None
        self.is_ready = False
        """Whether it takes pushes: it has said that it does, and is not known to have ended."""
        self.is_full = False
        """Whether it reads more slowly than it is given."""
        self.short_until = 0.0
        """Until when it is believed to have no files left."""
        self.short_room = 1
        """How many it may have in hand until then."""

    async def begin(self, settings: Settings) -> None:
        """Listen to it, and tell it what it is to know.

        Raises:
            OSError: That cannot be done; it is killed.
        """
        try:
            assert self._process.stderr is not None  # noqa: S101 (a pipe, by `launch`)
            await self._loop.create_connection(lambda: self, sock=self._opened)
            self._stderr, _ = await self._loop.connect_read_pipe(lambda: self._said, self._process.stderr)
        except BaseException:
            self._put_down()
            raise
        if self._socket is not None:
            self._socket.write(framed(settings))

    @property
    def is_quiet(self) -> bool:
        """Whether it has not answered for a while."""
        return self._silent_ticks >= QUIET_TICKS

    def give(self, ticket: Ticket) -> None:
        """Hand it a push, with all others of this moment."""
        ticket.given_at = self._loop.time()
        self.in_hand[self._number] = ticket
        self._number += 1
        self._outgoing.append(ticket.push)
        if len(self._outgoing) == 1:
            self._loop.call_soon(self._write)

    def tick(self, overdue_s: float) -> None:
        """Look whether it still works, once a second; kill it if it does not.

        What counts are ticks at which nothing had come, not seconds: an engine that was held up itself, or a machine
        that slept, has read nothing, and nobody else is to blame for that.

        Args:
            overdue_s: After how many seconds a push would have come to something, whatever its push service does.
        """
        if self._socket is None or self._closed.done():
            return
        now = self._loop.time()
        oldest = next(iter(self.in_hand.values()), None)
        if self.ready_at is None:
            if now - self.began_at > READY_WITHIN_S:
                self.kill(NOT_READY)
            return
        self._silent_ticks += 1
        if self._silent_ticks > SILENT_TICKS:
            self.kill(NO_ANSWER)
        elif oldest is not None and now - oldest.given_at > overdue_s:
            self.kill(OVERDUE)
        elif not self.is_full:
            self._socket.write(framed(Ping()))

    def kill(self, fault: str = "") -> None:
        """End it at once, for what is wrong with it."""
        self._fault = self._fault or fault
        self._process.kill()

    async def ended(self) -> Ending:
        """Wait for its end. Cancelled, it is ended at once."""
        try:
            await asyncio.shield(self._closed)
            return await self._reap()
        except asyncio.CancelledError:
            self._put_down()
            raise

    def close(self) -> None:
        """Let it end: nothing is in its hands that anybody waits for."""
        self.is_ready = False
        if self._socket is not None:
            # Not `close`: what it does not read would be waited for.
            self._socket.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what a stream socket has)
        transport.set_write_buffer_limits(BUFFER)
        self._socket = transport

    def data_received(self, data: bytes) -> None:
        """Take what it says."""
        was_quiet, self._silent_ticks = self.is_quiet, 0
        try:
            for message in self._frames.feed(data):
                if isinstance(message, Results):
                    for result in message.items:
                        self._take(result)
                elif isinstance(message, Ready):
                    self.is_ready = self._said.is_closed = True
                    self.ready_at = self._loop.time()
                    self._observer.is_ready(self)
        except GarbageError:
            # Whatever it is by now, it is no sender.
            self.is_ready = False
            self.kill(NONSENSE)
            return
        if was_quiet:
            self._observer.has_room(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give back what it had: it ends without its socket."""
        del exc
        self.is_ready = False
        tickets = [ticket for ticket in self.in_hand.values() if not ticket.answer.done()]
        self.in_hand.clear()
        if not self._closed.done():
            self._closed.set_result(None)
        self._observer.lost(self, tickets)

    def pause_writing(self) -> None:
        """Take no more: it does not read what it was given."""
        self.is_full = True

    def resume_writing(self) -> None:
        """Take more."""
        self.is_full = False
        self._observer.has_room(self)

    def _take(self, result: Result) -> None:
        ticket = self.in_hand.pop(result.number, None)
        if ticket is None:
            raise GarbageError("A result is of no push.")
        self._observer.answered(self, ticket, result)

    def _write(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._socket is None or self._socket.is_closing():
            return
        first = self._number - len(outgoing)
        for before, some in chunks(outgoing):
            try:
                self._socket.write(framed(Pushes(first + before, list(some))))
            except ValueError:
                self._write_singly(self._socket, first + before, some)

    def _write_singly(self, opened: asyncio.Transport, first: int, pushes: Sequence[Push]) -> None:
        """Write what can be written of pushes that do not make a frame together: it is one's mistake, not all's."""
        for number, push in enumerate(pushes, first):
            try:
                opened.write(framed(Pushes(number, [push])))
            except ValueError as error:
                from pushdesk.sender.sending import mistake_of  # noqa: PLC0415 (what starts processes loads no encryption)

                self._take(Result(number, 0.0, mistake=mistake_of(error)))

    async def _reap(self) -> Ending:
        """Wait until the process is no more; kill it if that takes too long."""
        patience = self._loop.time() + END_WITHIN_S
        # Asked now and then: no loop but the main thread's is told of children.
        while (code := self._process.poll()) is None:
            if self._loop.time() > patience:
                self.kill()
            await asyncio.sleep(0.01)
        if self._stderr is not None:
            # What it said last may not have been read yet.
            await wait_at_most(LAST_WORDS_S, self._said.ended)
            self._stderr.close()
        return Ending(
            pid=self.pid,
            signal=-code if code < 0 else None,
            code=code if code >= 0 else None,
            said=self._said.text,
            was_ready=self.ready_at is not None,
            fault=self._fault if code == -signal.SIGKILL else "",
        )

    def _put_down(self) -> None:
        """End it without waiting for more than the system takes."""
        self.kill()
        if self._socket is None:
            self._opened.close()
        else:
            self._socket.abort()
        if self._stderr is not None:
            self._stderr.close()
        elif self._process.stderr is not None:
            self._process.stderr.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_WITHIN_S)


class _LastLine(asyncio.Protocol):
    """Reads what a process writes on stderr, and keeps the last line of what came before it was ready.

    After that it has been told secrets, and what it says is not looked at.
    """

    def __init__(self) -> None:
        self._held = b""
        self.is_closed = False
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        if not self.is_closed:
            self._held = (self._held + data)[-LAST_LINE:]

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.ended.set()

    @property
    def text(self) -> str:
        """The last line."""
        lines = self._held.decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
