"""Opening an engine on what it works with: the data directory's database, and the real push services."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

from pushdesk.clock import SystemClock
from pushdesk.engine.engine import Engine
from pushdesk.engine.summariser import open_summariser
from pushdesk.model import Service
from pushdesk.seal_key import seal_key
from pushdesk.sender.frames import Settings
from pushdesk.sender.sending import open_transport
from pushdesk.storage.sealing import Sealer
from pushdesk.storage.store import DATABASE_NAME, Store
from pushdesk.webpush.device_keys import share_of_cache

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pushdesk.config import Config
    from pushdesk.engine.sender_pool import SenderPool
    from pushdesk.log_ring import LogRing
    from pushdesk.webpush.transport import Transport

OTHER_FILES: Final = 64
"""That a sender process has open besides its connections: names that it asks for, libraries."""


@asynccontextmanager
async def open_engine(
    config: Config,
    *,
    access_url: str,
    uniform: Callable[[float, float], float] = random.uniform,
    log_ring: LogRing | None = None,
    pool: SenderPool | None = None,
) -> AsyncIterator[Engine]:
    """Open the data directory's database and run an engine on it, sending to the real push services.

    Args:
        config: All settings.
        access_url: Origin under which browsers reach the server.
        uniform: Draws a number between two: for the jitter of retries.
        log_ring: The last lines of the log.
        pool: What sends; without one, this process does.

    Raises:
        DatabaseError: The database cannot be opened.
        StartUpError: The database is sealed and the key is not there, or the other way round.
    """
    clock = SystemClock()
    transport: Transport | SenderPool
    async with AsyncExitStack() as closing:
        if pool is not None:
            transport = pool
        else:
            transport = open_transport(sender_settings(config), clock.monotonic)
            closing.push_async_callback(transport.aclose)
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


def sender_settings(config: Config, senders: int = 0) -> Settings:
    """Return what is to be known of the configuration for sending.

    Args:
        config: All settings.
        senders: How many processes share the memory for keys; 0 if it is this one's.
    """
    push = config.push
    return Settings(
        allowed_origins=push.allow_endpoint,
        connect_timeout_s=push.connect_timeout_s,
        total_timeout_s=push.total_timeout_s,
        proxy=push.egress_proxy,
        files=in_hand(config) + OTHER_FILES,
        key_memory=share_of_cache(config.cache.max_size, max(1, senders)),
    )


def in_hand(config: Config) -> int:
    """Return how many pushes are under way at most, to all push services together."""
    return config.push.concurrency * len(Service)
