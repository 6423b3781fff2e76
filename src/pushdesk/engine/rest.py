"""How those who work in the background rest."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

BACK_OFF_S: Final = 1.0
"""How long a failing database is left alone."""


async def wait_at_most(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
