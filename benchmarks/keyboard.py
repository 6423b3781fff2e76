"""A terminal in which a program runs and keys are timed: from the key to the text that answers it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import struct
import termios
import time
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

COLUMNS, LINES = 120, 40
CONTROL: Final = re.compile(r"\x1b\[[0-9;?<=>]*[ -/]*[@-~]|\x1b[()][A-Z0-9]")
KEPT: Final = 200_000
"""Characters of what was written that are looked through."""


class Keyboard:
    """A program in a pseudo-terminal; what it writes is read as text, not drawn, which would cost more than it does."""

    def __init__(self, *command: str, env: Mapping[str, str]) -> None:
        self._command = command
        self._env = {**env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self._text = ""
        self._fresh = asyncio.Event()
        self.written = 0
        """Bytes that the program wrote."""

    async def __aenter__(self) -> Self:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.process = await asyncio.create_subprocess_exec(
            "setsid", "--ctty", *self._command, env=self._env, stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        self.pid = self.process.pid
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        asyncio.get_running_loop().remove_reader(self._master)
        os.close(self._master)

    async def shows(self, part: str, *, within_s: float = 30.0) -> None:
        """Wait until a text was written since the last key.

        Raises:
            AssertionError: It was not.
        """
        try:
            async with asyncio.timeout(within_s):
                while part not in self._text:
                    self._fresh.clear()
                    await self._fresh.wait()
        except TimeoutError:
            raise AssertionError(f"no {part!r}; the last that was written: {self._text[-3000:]!r}") from None

    async def answer_ms(self, key: str, part: str, *, within_s: float = 10.0) -> float:
        """Press a key; returns the milliseconds until a text was written that had not been before."""
        self._text = ""
        began_s = time.perf_counter()
        os.write(self._master, key.encode())
        await self.shows(part, within_s=within_s)
        return 1000 * (time.perf_counter() - began_s)

    def press(self, key: str) -> None:
        """Press a key whose answer is not waited for."""
        self._text = ""
        os.write(self._master, key.encode())

    def _read(self) -> None:
        try:
            chunk = os.read(self._master, 1 << 20)
        except OSError:
            return
        self.written += len(chunk)
        self._text = (self._text + CONTROL.sub("", chunk.decode("utf-8", "replace")))[-KEPT:]
        self._fresh.set()
