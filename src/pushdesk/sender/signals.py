"""Signals that whoever stops the engine sends to all its processes: in one that sends, nothing comes of them.

That holds from its first moment, long before its program is loaded: it is started with them blocked.
"""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NOT_FOR_IT: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def blocked() -> Iterator[None]:
    """Have what this thread starts meanwhile begin with them blocked; other threads still take them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_IT)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore() -> None:
    """Ignore them from now on, those that came while they were blocked among them."""
    for number in NOT_FOR_IT:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, NOT_FOR_IT)
