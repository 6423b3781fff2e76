"""A pool of real sender processes on the bench, and pushes for it."""

from __future__ import annotations

import itertools
import resource
import sys
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushdesk.engine.sender_pool import SenderPool
from pushdesk.engine.sender_process import COMMAND, launch
from pushdesk.sender.frames import Push, Settings
from pushdesk.webpush.encryption import decode_keys
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from pushdesk.engine.sender_process import Launched
    from tests.push_service import Device

FRAGILE: Final = (sys.executable, "-m", "tests.sender.fragile")
"""A sender process that what it is sent does harm to."""


def push_to(device: Device, body: bytes = b"{}") -> Push:
    keys = device.keys
    p256dh, auth = decode_keys(keys.p256dh, keys.auth)
    headers = {"Authorization": "vapid t=x, k=y", "Content-Encoding": "aes128gcm", "TTL": "60"}
    return Push(device.endpoint, p256dh, auth, body, headers)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def leave_files(pid: int, free: int) -> None:
    """Let a process open so many files more. What is limited are their numbers, and there may be gaps below."""
    taken = {int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()}
    numbers = (number for number in itertools.count() if number not in taken)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (next(itertools.islice(numbers, free, None)), 4096))


@asynccontextmanager
async def open_pool(
    *origins: str,
    count: int = 1,
    command: Sequence[str] = COMMAND,
    launcher: Callable[[], Launched] | None = None,
    in_hand: int = 500,
    total_timeout_s: float = 30.0,
) -> AsyncIterator[SenderPool]:
    settings = Settings(allowed_origins=origins, connect_timeout_s=20, total_timeout_s=total_timeout_s)
    launching = launcher or partial(launch, command)
    async with SenderPool(count, settings, in_hand=in_hand, launch=launching) as pool:
        yield pool


async def ready(pool: SenderPool, count: int = 1) -> list[int]:
    """Wait until so many processes take pushes; returns which."""
    await until(lambda: len(pool.pids()) >= count)
    return pool.pids()
