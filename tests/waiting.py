"""Waiting for what nobody tells of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    """Wait until something is so that nothing tells of."""
    async with asyncio.timeout(within_s):
        while not holds():  # noqa: ASYNC110 (see above)
            await asyncio.sleep(0.01)
