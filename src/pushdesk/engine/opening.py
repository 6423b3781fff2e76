"""Opening an engine on what it works with: the data directory's database, and the real push services."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pushdesk.clock import SystemClock
from pushdesk.engine.engine import Engine
from pushdesk.engine.summariser import open_summariser
from pushdesk.seal_key import seal_key
from pushdesk.storage.sealing import Sealer
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.transport import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushdesk.config import Config
    from pushdesk.log_ring import LogRing


@asynccontextmanager
async def open_engine(
    config: Config,
    *,
    access_url: str,
    uniform: Callable[[float, float], float] = random.uniform,
    log_ring: LogRing | None = None,
) -> AsyncIterator[Engine]:
    """Open the data directory's database and run an engine on it, sending to the real push services.

    Args:
        config: All settings.
        access_url: Origin under which browsers reach the server.
        uniform: Draws a number between two: for the jitter of retries.
        log_ring: The last lines of the log.

    Raises:
        DatabaseError: The database cannot be opened.
        StartUpError: The database is sealed and the key is not there, or the other way round.
    """
    clock = SystemClock()
    transport = AiohttpTransport(
        allowed_origins=frozenset(config.push.allow_endpoint),
        connect_timeout_s=config.push.connect_timeout_s,
        total_timeout_s=config.push.total_timeout_s,
        proxy=config.push.egress_proxy,
        clock=clock.monotonic,
    )
    try:
        async with (
            Store(config.data_dir / DATABASE_NAME, sealer=Sealer(seal_key(config))) as store,
            open_summariser(config) as summariser,
            Engine(
                config,
                access_url=access_url,
                store=store,
                transport=transport,
                clock=clock,
                uniform=uniform,
                log_ring=log_ring,
                summariser=summariser,
            ) as engine,
        ):
            yield engine
    finally:
        await transport.aclose()
