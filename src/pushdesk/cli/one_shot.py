"""Commands that do one thing: through the server that holds the data directory, or with an engine of their own."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pushdesk.cli.datadir import DataDirectoryHeldError, ServerLock, client_token, open_data_directory
from pushdesk.cli.ending import tell_waiting
from pushdesk.cli.hosting import attach_command, open_log, read_config
from pushdesk.cli.remote import server_url
from pushdesk.errors import EXIT_DONE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from pushdesk.cli.options import Reach
    from pushdesk.client import HttpDesk
    from pushdesk.config import Config
    from pushdesk.desk import Desk
    from pushdesk.engine.engine import Engine

STARTING_S: Final = 30.0
"""Seconds to wait for a process that holds the data directory and does not listen yet, or only works as we do."""
ASK_AGAIN_S: Final = 0.1
DRAIN_S: Final = 14.0
"""Seconds for what is in flight, so that the process ends within 15."""
SILENT_S: Final = 1.0
"""Seconds after which a person is told what is waited for."""


def run_on_desk(work: Callable[[Desk], Awaitable[int | None]], reach: Reach) -> int:
    """Do something on the desk that `open_desk` gives; returns the exit code, which is that of `work` if it has one.

    Args:
        work: What to do.
        reach: Which server to talk to.

    Raises:
        PushdeskError: See `open_desk`; and what `work` raises.
    """

    async def run() -> int:
        async with open_desk(reach, read_config(reach.flags, os.environ), os.environ) as desk:
            return await work(desk) or EXIT_DONE

    return asyncio.run(run())


@asynccontextmanager
async def open_desk(reach: Reach, config: Config, environ: Mapping[str, str]) -> AsyncIterator[Desk]:
    """Give the desk of the server, or of an engine of our own if no server runs.

    Raises:
        PushdeskError: The server cannot be reached, the data directory cannot be used, there is no token.
    """
    found = await server_or_lock(reach, config)
    if isinstance(found, str):
        async with open_remote(found, reach, config, environ) as remote:
            yield remote
    else:
        async with open_own(found, config) as own:
            yield own


async def server_or_lock(reach: Reach, config: Config) -> str | ServerLock:
    """Return the URL of the server to talk to, or the data directory's lock if no server holds it.

    Raises:
        StartUpError: The URL cannot be used, or the data directory.
        DataDirectoryHeldError: Somebody holds it and does not listen, for `STARTING_S` seconds.
    """
    if reach.server is not None:
        return server_url(reach.server, insecure=reach.insecure)
    open_data_directory(config.data_dir)
    deadline = asyncio.get_running_loop().time() + STARTING_S
    while True:
        try:
            return ServerLock.take(config.data_dir, attach_command=attach_command(config))
        except DataDirectoryHeldError as error:
            if error.holder.url is not None:
                return error.holder.url
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(ASK_AGAIN_S)


@asynccontextmanager
async def open_remote(url: str, reach: Reach, config: Config, environ: Mapping[str, str]) -> AsyncIterator[HttpDesk]:
    """Give the desk of a server, which goes on with what it accepts whatever becomes of us.

    Raises:
        PushdeskError: There is no token.
    """
    from pushdesk.client import HttpDesk

    token_file = Path(reach.token_file) if reach.token_file else None
    async with HttpDesk(url, client_token(config.data_dir, token_file, environ)) as desk:
        yield desk


@asynccontextmanager
async def open_own(lock: ServerLock, config: Config) -> AsyncIterator[Engine]:
    """Give an engine of our own, which holds the lock until what is in flight has ended.

    Raises:
        PushdeskError: The engine cannot start.
    """
    from pushdesk.engine.opening import open_engine

    try:
        open_log(config, on_terminal=False)
        access_url = config.server.access_url or f"http://localhost:{config.server.port}"
        async with open_engine(config, access_url=access_url) as engine:
            try:
                yield engine
            finally:
                # The engine takes up what an earlier process left; cut off, that would be sent twice.
                await drain(engine)
    finally:
        lock.release()


async def drain(engine: Engine) -> None:
    """Let what is in flight end; say so if it takes its time."""
    draining = asyncio.create_task(engine.drain(DRAIN_S))
    await asyncio.wait([draining], timeout=SILENT_S)
    if not draining.done():
        tell_waiting(engine.in_flight)
    await draining
