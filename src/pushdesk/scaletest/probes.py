"""Probes inside the server that is measured: `python -m pushdesk.scaletest.probes FD VARIANT metered FOLDER serve ...`.

The server is the real one. Before it starts, the functions at the seams of its rooms are wrapped, so that it is known
what its processor works for, which statements it asks of the database and who waits for a connection. What was counted
is told over the inherited socket FD: one byte asks, one line of JSON answers. When whoever
asks is gone, so is the server.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushdesk.scaletest.measures import BEGIN, BOOKS, METERED, Part, Snapshot
from pushdesk.scaletest.metering import Meter, cost_of_switching, inherit
from pushdesk.scaletest.plan import Variant
from pushdesk.scaletest.seams import OF_SERVER, REREADING, metered, wrap
from pushdesk.scaletest.statements import Statements
from pushdesk.scaletest.waiting import TimedLock, TimedSemaphore, WaitClock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


SENDER: Final = "pushdesk.sender"
SENDER_PROBES: Final = "pushdesk.scaletest.sender_probes"


class Probes:
    """What is counted inside a server."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.not_found: list[str] = []
        self._in_threads: dict[tuple[int, str], int] = {}
        """Nanoseconds that the threads of the database have used, by thread and part: each writes its own only."""
        self._statements = Statements()
        self._waits = {"writer": WaitClock(), "readers": WaitClock(), "any": WaitClock(), BOOKS: WaitClock()}
        self._settled = 0
        self._is_metered = False
        self._switch_s = cost_of_switching()

    def install(self, variant: Variant, folder: str, *, is_metered: bool) -> None:
        """Wrap what there is to be wrapped. In the thread in which the server will run.

        Args:
            variant: What it does that the server does not do by itself.
            folder: Where sender processes tell what they count.
            is_metered: Whether all is counted that can be, or only what costs next to nothing.
        """
        self._wrap("pushdesk.engine.settling", "Settling._commit", self._counting_settled)
        if is_metered:
            self._is_metered = True
            self._install_meters()
            _install_in_senders(folder)
        if variant is Variant.REREADING:
            from pushdesk.scaletest.rereading import Rereading  # noqa: PLC0415 (it loads the storage)

            rereading = Rereading()
            self._wrap("pushdesk.storage.database", "Database.__aenter__", rereading.filling)
            self._wrap(
                "pushdesk.engine.pusher",
                "Pusher.attempt",
                partial(rereading.before, metered=partial(metered, part=REREADING, meter=self.meter)),
            )

    def _install_meters(self) -> None:
        self._statements.install()
        for seam in OF_SERVER:
            self._wrap(seam.module, seam.name, partial(metered, part=seam.part, meter=self.meter))
        self._wrap("pushdesk.cli.serve", "host", self._inheriting)
        self._wrap("pushdesk.storage.driver", "Line.run", self._metering_threads)
        self._wrap("pushdesk.storage.database", "Database.__init__", self._timing_writer)
        self._wrap("pushdesk.storage.driver", "Lines.__init__", self._timing_readers)
        self._wrap("pushdesk.engine.stock", "Stock.__init__", self._timing_books)
        self.meter.start()

    def forget_longest(self) -> None:
        """Begin anew to look for the longest wait."""
        for clock in self._waits.values():
            clock.longest_s = 0.0

    def snapshot(self) -> Snapshot:
        """Return what was counted so far; from any thread."""
        parts = dict(self.meter.cpu_ns)
        for (_, part), used_ns in list(self._in_threads.items()):
            parts[part] = parts.get(part, 0) + used_ns
        return Snapshot(
            cpu_s=time.process_time(),
            parts={part: Part(used / 1e9, self.meter.switches.get(part, 0)) for part, used in parts.items()},
            statements=self._statements.all(),
            waits={kind: clock.figures() for kind, clock in self._waits.items() if self._is_metered},
            settled=self._settled,
            switch_s=self._switch_s,
            not_found=tuple(self.not_found),
        )

    def _wrap(self, module: str, name: str, wrapper: Callable[[Any], Any]) -> None:
        """Put a wrapper in the place of a function; note it if there is no such function."""
        if not wrap(module, name, wrapper):
            self.not_found.append(f"{module}.{name}")

    def _inheriting(self, host: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
        async def hosting(*args: Any, **more: Any) -> None:  # noqa: ANN401 (its own)
            inherit(asyncio.get_running_loop(), self.meter)
            await host(*args, **more)

        return hosting

    def _counting_settled(self, commit: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Any]:
        async def counting(settling: object, group: Any) -> None:  # noqa: ANN401 (its own)
            await commit(settling, group)
            self._settled += sum(item.delivery.outcome.is_settled for item in group)

        return counting

    def _metering_threads(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Return what has the time of a database's thread count for the part that asked."""

        def running(line: object, work: Callable[..., Any], *args: Any) -> Any:  # noqa: ANN401 (its own)
            part = self.meter.part

            def measured(*args: Any) -> Any:  # noqa: ANN401 (its own)
                began = time.thread_time_ns()
                try:
                    return work(*args)
                finally:
                    key = (threading.get_ident(), part)
                    self._in_threads[key] = self._in_threads.get(key, 0) + time.thread_time_ns() - began

            return run(line, measured, *args)

        return running

    def _timing_writer(self, make: Callable[..., None]) -> Callable[..., None]:
        def making(database: Any, *args: Any, **more: Any) -> None:  # noqa: ANN401 (its own)
            make(database, *args, **more)
            if isinstance(getattr(database, "_writing", None), asyncio.Lock):
                database._writing = TimedLock(self._waits["writer"], self._waits["any"])  # noqa: SLF001 (a probe's place)
            else:
                self.not_found.append("the writer's lock")

        return making

    def _timing_books(self, make: Callable[..., None]) -> Callable[..., None]:
        """Return what has the outbox's transactions be counted that wait for each other, before any connection."""

        def making(stock: Any, *args: Any, **more: Any) -> None:  # noqa: ANN401 (its own)
            make(stock, *args, **more)
            stock.books = TimedLock(self._waits[BOOKS], WaitClock())

        return making

    def _timing_readers(self, make: Callable[..., None]) -> Callable[..., None]:
        def making(lines: Any, *args: Any, size: int, **more: Any) -> None:  # noqa: ANN401 (its own)
            make(lines, *args, size=size, **more)
            if isinstance(getattr(lines, "_room", None), asyncio.Semaphore):
                lines._room = TimedSemaphore(size, self._waits["readers"], self._waits["any"])  # noqa: SLF001 (the same)
            else:
                self.not_found.append("the readers' semaphore")

        return making


def _install_in_senders(folder: str) -> None:
    """Have the sender processes that are started from now on run with probes, too."""

    class Popen(subprocess.Popen[Any]):
        def __init__(self, command: Any, *args: Any, **more: Any) -> None:  # noqa: ANN401 (Python's own)
            if isinstance(command, list) and SENDER in command:
                place = command.index(SENDER)
                command = [*command[:place], SENDER_PROBES, folder, *command[place + 1 :]]
            super().__init__(command, *args, **more)

    setattr(subprocess, "Popen", Popen)  # noqa: B010 (its type is that of the class)


def answer(probes: Probes, channel: socket.socket) -> None:
    """Tell whoever asks what was counted, until nobody does any more; then end the server."""
    while True:
        try:
            asked = channel.recv(1)
            if asked == BEGIN:
                probes.forget_longest()
            if asked:
                channel.sendall(msgspec.json.encode(probes.snapshot()) + b"\n")
        except OSError:
            asked = b""
        if not asked:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def main() -> None:
    """Install the probes and run the server."""
    from pushdesk.cli.app import main as run  # noqa: PLC0415 (what is wrapped is loaded by it)

    channel, variant, is_metered, folder = int(sys.argv[1]), Variant(sys.argv[2]), sys.argv[3] == METERED, sys.argv[4]
    sys.argv[1:5] = []
    # What the server starts is not to hold it open.
    os.set_inheritable(channel, False)
    probes = Probes()
    probes.install(variant, folder, is_metered=is_metered)
    threading.Thread(
        target=answer, args=(probes, socket.socket(fileno=channel)), name="scale test probes", daemon=True
    ).start()
    run()


if __name__ == "__main__":
    main()
