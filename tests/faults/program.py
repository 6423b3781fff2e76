"""The real `pushdesk`, for runs of faults: `python -m tests.faults.program serve …`.

It is patched from outside, and only in this: what it waits for is over sooner, so that a run of faults comes to an end,
and with `FAULTS_EXIT_AT` it ends without warning at one of its steps. A step is what lies before or after a transaction
of the database, each of its statements and its commit; before or after a push is sent; before or after an answer is.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web
from sqlalchemy import text

from pushdesk.cli.app import main
from pushdesk.engine import breaker, lane, retry
from pushdesk.engine.sender_pool import SenderPool
from pushdesk.storage import database, transaction

if TYPE_CHECKING:
    from pathlib import Path

ENDED: Final = 137
"""The exit code of a process that was killed by SIGKILL, as a shell tells it."""
EXIT_AT: Final = "FAULTS_EXIT_AT"
"""The number of a step; 0 to count them only."""
STEPS: Final = "FAULTS_STEPS"
"""A file that gets a line for each step."""
BUSY_MS: Final = "FAULTS_BUSY_MS"
"""For how long a locked database is waited for."""
READ_ONLY: Final = "FAULTS_READ_ONLY"
"""A file: while it is there, SQLite takes the database for read-only."""
HURRIED: Final = (
    (retry, "SCHEDULE_S", (1, 2)),
    (retry, "SOONEST_S", 0.1),
    (lane, "USUAL_HOLD_S", 1.0),
    (lane, "LONGEST_HOLD_S", 3.0),
    (lane, "LONGEST_THROTTLE_S", 3.0),
    (breaker, "FIRST_BACK_OFF_S", 1.0),
    (breaker, "LONGEST_BACK_OFF_S", 2.0),
)
"""What is waited for less long than by the real one."""


class Steps:
    """Counts steps, and ends the process at one of them.

    Args:
        exit_at: Its number; 0 for none.
        file: Gets a line for each.
    """

    def __init__(self, exit_at: int, file: Path | str) -> None:
        self._exit_at = exit_at
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._number = 0

    def take(self, name: str) -> None:
        """Take a step: the last one does not return."""
        self._number += 1
        os.write(self._file, f"{name}\n".encode())
        if self._number == self._exit_at:
            os._exit(ENDED)

    def wrap(self, owner: type, method: str, name: str) -> None:
        """Have a method of a class be two steps, one before it and one after."""
        original = getattr(owner, method)

        async def stepping(itself: object, *args: Any, **options: Any) -> Any:
            self.take(f"before {name}")
            result = await original(itself, *args, **options)
            self.take(f"after {name}")
            return result

        setattr(owner, method, stepping)


def hurry() -> None:
    """Have what failed be tried again soon."""
    for module, name, value in HURRIED:
        setattr(module, name, value)
    if (busy_ms := os.environ.pop(BUSY_MS, None)) is not None:
        setattr(database, "BUSY_TIMEOUT_MS", int(busy_ms))  # noqa: B010 (a constant, to everybody else)


def step() -> None:
    """Count steps, if that is asked for."""
    file = os.environ.pop(STEPS, None)
    if file is None:
        return
    steps = Steps(int(os.environ.pop(EXIT_AT)), file)
    steps.wrap(transaction.Transaction, "begin", "begin")
    steps.wrap(transaction.Transaction, "execute", "statement")
    steps.wrap(transaction.Transaction, "commit", "commit")
    steps.wrap(SenderPool, "carry", "push")
    steps.wrap(web.Response, "prepare", "head of an answer")
    steps.wrap(web.Response, "write_eof", "end of an answer")


def obey() -> None:
    """Let the database be read-only while somebody says so: a file system cannot be made so while it is written to."""
    file = os.environ.pop(READ_ONLY, None)
    if file is None:
        return
    begin_, close_ = transaction.Transaction.begin, transaction.Transaction.close
    read_only: set[transaction.Transaction] = set()

    async def begin(itself: transaction.Transaction) -> None:
        await begin_(itself)
        if os.path.exists(file):  # noqa: PTH110 (each time, and quickly)
            read_only.add(itself)
            await itself.execute(text("PRAGMA query_only = ON"))

    async def close(itself: transaction.Transaction) -> None:
        try:
            if itself in read_only:
                read_only.discard(itself)
                await itself.execute(text("PRAGMA query_only = OFF"))
        finally:
            # Also for who is cancelled in between.
            await close_(itself)

    for name, method in (("begin", begin), ("close", close)):
        setattr(transaction.Transaction, name, method)


if __name__ == "__main__":
    hurry()
    step()
    obey()
    main()
