"""A seat for one sender process: one that ends is followed by another, sooner or later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pushdesk.engine.rest import wait_at_most
from pushdesk.engine.sender_process import SenderProcess

if TYPE_CHECKING:
    from collections.abc import Callable

    from pushdesk.engine.sender_process import Ending, Launched, Observer
    from pushdesk.sender.frames import Settings

LIVED_S: Final = 10.0
"""A process that ends sooner after it was begun is a failure to start one."""
FIRST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
"""How long after such a failure another is begun: twice as long each time. The first one is followed at once."""


class Seat:
    """Keeps a process running while it is occupied.

    Args:
        settings: What each process is told.
        launch: Starts one.
        observer: Is told what happens to it.
        on_end: Called when one has ended by itself, with how, and how many pushes it had in hand.
        on_failure: Called with the error if one could not even be started.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        launch: Callable[[], Launched],
        observer: Observer,
        on_end: Callable[[Ending, int], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._settings = settings
        self._launch = launch
        self._observer = observer
        self._on_end = on_end
        self._on_failure = on_failure
        self._wanted = asyncio.Event()
        self._closed = asyncio.Event()
        self._failures = 0
        self._lost = 0
        self._left: SenderProcess | None = None
        """The process that was told to end, though others may follow."""
        self.process: SenderProcess | None = None
        self.lives = 0
        """Processes that there have been."""

    @property
    def is_wanted(self) -> bool:
        """Whether it is occupied."""
        return self._wanted.is_set()

    def occupy(self) -> None:
        """Let there be a process."""
        self._wanted.set()

    def leave(self) -> None:
        """Let there be none: it has nothing in hand."""
        self._wanted.clear()
        self._left = self.process
        if self.process is not None:
            self.process.close()

    def note_lost(self, pushes: int) -> None:
        """Note how many pushes the process took with it."""
        self._lost = pushes

    def close(self) -> None:
        """Let the process end, and none follow."""
        self._closed.set()
        self._wanted.set()
        if self.process is not None:
            self.process.close()

    async def keep(self) -> None:
        """Keep a process running until closed; then the last one has ended."""
        while True:
            await self._wanted.wait()
            if self._closed.is_set():
                return
            try:
                await self._live()
            except Exception as error:  # noqa: BLE001 (no memory, no files, no processes: there may be later)
                # Not even once at once: what is short stays so for a moment.
                self._failures = max(self._failures + 1, 2)
                self._on_failure(error)
            if self._failures > 1:
                back_off_s = min(FIRST_BACK_OFF_S * 2.0 ** (self._failures - 2), LONGEST_BACK_OFF_S)
                await wait_at_most(back_off_s, self._closed)

    async def _live(self) -> None:
        """Have one process, from its start to its end.

        Raises:
            OSError: It could not be started.
        """
        loop = asyncio.get_running_loop()
        began_at, self._lost = loop.time(), 0
        process = SenderProcess(self._launch(), self._observer)
        await process.begin(self._settings)
        self.process = process
        self.lives += 1
        if self._closed.is_set():
            process.close()
        elif not self.is_wanted:
            # It was left while this one was started.
            self.leave()
        try:
            ending = await process.ended()
        finally:
            self.process = None
        if self._closed.is_set() or process is self._left:
            return
        self._failures = 0 if loop.time() - began_at > LIVED_S else self._failures + 1
        self._on_end(ending, self._lost)
