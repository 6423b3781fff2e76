"""asyncio's event loop, but it runs when it is told to, and has no time, sockets or threads."""

from __future__ import annotations

import asyncio
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections import deque
    from contextvars import Context


class SteppedLoop(asyncio.BaseEventLoop):
    """Runs what is ready, in the order in which it became so."""

    _ready: deque[asyncio.Handle]

    def __init__(self) -> None:
        super().__init__()
        self.tasks: list[asyncio.Task[Any]] = []
        """Every task that was ever started."""
        self.failures: list[dict[str, Any]] = []
        """What a callback raised, or nobody took."""

    def __del__(self) -> None:
        """Do nothing: there is nothing to close."""

    def run(self, rounds: int = sys.maxsize) -> int:
        """Run what is ready, and what that makes ready, and so on, for so many rounds; returns how many it took."""
        ready = self._ready
        running = _get_running_loop()
        _set_running_loop(self)
        count = 0
        try:
            while ready and count < rounds:
                count += 1
                for _ in range(len(ready)):
                    ready.popleft()._run()
        finally:
            _set_running_loop(running)
        return count

    def create_task(self, coro: Any, *, name: object = None, context: Context | None = None) -> asyncio.Task[Any]:
        # Those without a name asyncio would count.
        task = asyncio.Task(coro, loop=self, name=str(name or "asks"), context=context)
        # Most schedules end in their middle, which is no mistake.
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own way to leave a task
        self.tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.failures.append(context)
