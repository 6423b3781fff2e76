"""The program of a sender process: reads pushes from its socket and writes what became of them to it.

It ends when the socket does, however the engine ended, and when what it reads is garbage. Signals that whoever stops
the engine sends to all its processes are not for it: what is in flight is still to be answered.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pushdesk.garbage import keep_what_is_there
from pushdesk.sender import signals
from pushdesk.sender.frames import (
    AT_ONCE,
    GarbageError,
    Ping,
    Pong,
    Pushes,
    Ready,
    Results,
    Settings,
    framed,
    sender_frames,
)
from pushdesk.sender.sending import Sending, open_transport
from pushdesk.webpush.device_keys import DeviceKeys

if TYPE_CHECKING:
    from typing import NoReturn

    from pushdesk.sender.frames import Result, ToEngine

READ_GARBAGE: Final = 3
"""The exit code of a process that was told something that makes no sense."""


class SenderProtocol(asyncio.Protocol):
    """The process's end of the socket."""

    def __init__(self) -> None:
        self._frames = sender_frames()
        self._socket: asyncio.Transport | None = None
        self._sending: Sending | None = None
        self._under_way: set[asyncio.Task[Result]] = set()
        self._results: list[Result] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 (what a stream socket has)
        self._socket = transport

    def data_received(self, data: bytes) -> None:
        """Do what the engine says."""
        try:
            for message in self._frames.feed(data):
                if isinstance(message, Ping):
                    self._tell(Pong())
                elif isinstance(message, Settings):
                    self._begin(message)
                else:
                    self._take(message)
        except GarbageError as error:
            end(READ_GARBAGE, str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """End, as the engine has, or wants this to: nobody is there to be told of anything."""
        del exc
        end(0)

    def _begin(self, settings: Settings) -> None:
        if self._sending is not None:
            raise GarbageError("The settings come twice.")
        _make_room(settings.files)
        keys = DeviceKeys(settings.key_memory)
        self._sending = Sending(open_transport(settings, time.monotonic), time.monotonic, keys)
        keep_what_is_there()
        self._tell(Ready())

    def _take(self, pushes: Pushes) -> None:
        sending = self._sending
        if sending is None:
            raise GarbageError("Pushes come before the settings.")
        for number, push in enumerate(pushes.items, pushes.first):
            task = asyncio.create_task(sending.send(push, number))
            self._under_way.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[Result]) -> None:
        self._under_way.remove(task)
        self._results.append(task.result())
        if len(self._results) == 1:
            # All that there are by then are told together.
            asyncio.get_running_loop().call_soon(self._tell_results)

    def _tell_results(self) -> None:
        results, self._results = self._results, []
        for first in range(0, len(results), AT_ONCE):
            self._tell(Results(results[first : first + AT_ONCE]))

    def _tell(self, message: ToEngine) -> None:
        if self._socket is not None:
            self._socket.write(framed(message))


def end(code: int, why: str = "") -> NoReturn:
    """End at once; connections to push services are closed by that."""
    if why:
        with suppress(OSError):
            os.write(2, f"{why}\n".encode())
    os._exit(code)


def _make_room(files: int) -> None:
    """Be able to open so many files, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < files:
        # Some systems refuse what they call possible.
        with suppress(OSError, ValueError):
            wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(opened: socket.socket) -> None:
    """Send what comes over a socket, until it is closed: then the process ends."""
    loop = asyncio.get_running_loop()
    # What it would print may hold an endpoint.
    loop.set_exception_handler(lambda _loop, _context: None)
    await loop.create_connection(SenderProtocol, sock=opened)
    await loop.create_future()


def main() -> None:
    """Run, on the socket whose number is the only argument."""
    signals.ignore()
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))
