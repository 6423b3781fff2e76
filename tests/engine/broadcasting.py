"""What tests of broadcasts share."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from pushdesk.model import PageQuery

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushdesk.engine.engine import Engine
    from pushdesk.model import Broadcast, Dispatch
    from tests.engine.outbox_bench import OutboxBench


async def each(*users: str) -> AsyncIterator[str]:
    for user in users:
        yield user


async def subscribe(bench: OutboxBench, *names: str) -> None:
    """Subscribe a device for each of these users, of the same name."""
    for name in names:
        await bench.subscribe(name, name)
    bench.service.pushes.clear()


def sent_to(bench: OutboxBench) -> list[str]:
    """Return the devices that were pushed to, sorted."""
    return sorted(push.path.removeprefix("/") for push in bench.service.pushes)


async def find(engine: Engine, dispatch: Dispatch) -> Broadcast:
    """Return a broadcast as it is listed."""
    page = await engine.broadcasts(PageQuery())
    return next(broadcast for broadcast in page.items if broadcast.id == dispatch.id)


async def until(engine: Engine, dispatch: Dispatch, is_so: Callable[[Broadcast], bool]) -> Broadcast:
    """Wait until a broadcast is so."""
    async with asyncio.timeout(10), aclosing(engine.events()) as events:
        async for _ in events:
            broadcast = await find(engine, dispatch)
            if is_so(broadcast):
                return broadcast
    raise AssertionError
