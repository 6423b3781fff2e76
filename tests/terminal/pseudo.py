"""A terminal of our own: runs a program in it, presses keys, and reads what stands on its screen."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import struct
import termios
from typing import TYPE_CHECKING, Self

import pyte

if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Mapping

ALTERNATE_SCREEN = re.compile(rb"\x1b\[\?1049([hl])")
CURSOR = re.compile(rb"\x1b\[\?25([hl])")
MOUSE = re.compile(rb"\x1b\[\?1000([hl])")


class Terminal:
    """A pseudo-terminal with a program in it; an async context manager, which kills what still runs at its end.

    Args:
        command: The program with its arguments.
        env: Its environment.
        size: Columns and lines.
    """

    def __init__(self, *command: str, env: Mapping[str, str], size: tuple[int, int] = (120, 40)) -> None:
        self._command = command
        self._env = {**env, "TERM": "xterm-256color"}
        self._size = size
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self._written = bytearray()
        self._fresh = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._master, self._slave = os.openpty()
        columns, lines = self._size
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.modes_before = self.modes
        # The program leads a session whose terminal this is, as a shell would have it.
        self.process = await asyncio.create_subprocess_exec(
            "setsid", "--ctty", *self._command, env=self._env, stdin=self._slave, stdout=self._slave, stderr=self._slave
        )
        self.pid = self.process.pid
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        self.hang_up()
        os.close(self._slave)

    @property
    def text(self) -> str:
        """What stands on the screen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def modes(self) -> list[object]:
        """The terminal's modes, as `stty` knows them."""
        return list(termios.tcgetattr(self._slave))

    @property
    def is_restored(self) -> bool:
        """Whether all is as the program found it: modes, main screen, cursor, and no reports of the mouse."""
        written = bytes(self._written)
        return (
            self.modes == self.modes_before
            and ALTERNATE_SCREEN.findall(written)[-1:] == [b"l"]
            and CURSOR.findall(written)[-1:] == [b"h"]
            and MOUSE.findall(written)[-1:] == [b"l"]
        )

    @property
    def after_console(self) -> str:
        """What was written after the console had given its screen back."""
        return bytes(self._written).rpartition(b"\x1b[?1049l")[2].decode()

    async def shows(self, *parts: str, within_s: float = 30.0) -> None:
        """Wait until all of these texts stand on the screen at once."""

        def missing() -> list[str]:
            return [part for part in parts if part not in self.text]

        await self._until(lambda: not missing(), f"{parts!r} on the screen", within_s)

    async def hides(self, part: str, *, within_s: float = 30.0) -> None:
        """Wait until a text does not stand on the screen any more."""
        await self._until(lambda: part not in self.text, f"end of {part!r} on the screen", within_s)

    async def says(self, part: str, *, within_s: float = 30.0) -> None:
        """Wait until a text has been written, be it on the screen still or not."""
        await self._until(lambda: part.encode() in self._written, f"{part!r}", within_s)

    def press(self, keys: str) -> None:
        """Press keys, one after the other."""
        os.write(self._master, keys.encode())

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)

    def hang_up(self) -> None:
        """Take the terminal away, as a closed window or a lost connection does."""
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)
            self._master = -1

    async def end(self, *, within_s: float) -> int:
        """Wait for the program's end; returns its exit code."""
        try:
            async with asyncio.timeout(within_s):
                code = await self.process.wait()
        except TimeoutError:
            raise AssertionError(f"it went on for {within_s} s:\n{self.text}") from None
        self._read()
        return code

    async def _until(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._fresh.clear()
                    await self._fresh.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {within_s} s; on the screen:\n{self.text}") from None

    def _read(self) -> None:
        """Take what the program has written."""
        while self._master >= 0:
            try:
                chunk = os.read(self._master, 65536)
            except OSError:
                return
            self._written += chunk
            self._stream.feed(chunk)
            self._fresh.set()
