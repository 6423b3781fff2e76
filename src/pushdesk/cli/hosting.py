"""Hosting: what a server needs before it runs, and engine and HTTP server on an event loop until told to stop."""

from __future__ import annotations

import shlex
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import platformdirs

from pushdesk import __version__
from pushdesk.cli.datadir import ServerLock, admin_token, open_data_directory
from pushdesk.cli.sockets import are_loopback, http_url, listen, local_url, port_of
from pushdesk.config import load
from pushdesk.cores import senders_by_default, usable_cores
from pushdesk.errors import PushdeskError, StartUpError
from pushdesk.model import Experiment, Scope

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from pushdesk.config import Config
    from pushdesk.engine.sender_pool import SenderPool
    from pushdesk.engine.sender_process import Launched
    from pushdesk.log_ring import LogRing
    from pushdesk.model import Stats

DRAIN_S: Final = 11.0
"""Seconds for what is in flight, so that with the closing of connections the process ends within 15."""
CLOSE_S: Final = 1.0
"""Seconds for the handlers of open connections to return."""


def read_config(flags: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Read the configuration, with the platform's user data directory as the default one.

    Raises:
        StartUpError: See `pushdesk.config.load`.
    """
    return load(flags, environ, default_data_dir=default_data_dir())


def default_data_dir() -> Path:
    """Return the platform's user data directory."""
    return platformdirs.user_data_path("pushdesk", appauthor=False)


class Prepared(NamedTuple):
    """All that a server needs before it runs, checked and held: lock, sockets and sender processes."""

    config: Config
    lock: ServerLock
    sockets: tuple[socket.socket, ...]
    admin_token: str
    url: str
    """Where it listens: the bind address and the real port."""
    local_url: str
    """Where this machine reaches it."""
    access_url: str
    """Where browsers reach it."""
    senders: int
    """How many processes send; 0: its own does."""
    launched: list[Launched]
    """Those that are started; whoever takes one removes it."""

    def __repr__(self) -> str:
        return f"Prepared(url={self.url!r})"

    def release(self) -> None:
        """Give up the lock, and what was not taken."""
        while self.launched:
            self.launched.pop().discard()
        self.lock.release()


def prepare(config: Config, environ: Mapping[str, str]) -> Prepared:
    """Open the data directory, take its lock, listen, and start the sender processes.

    They are started here, before there is any other thread or a terminal that is drawn on, and are ready the sooner.

    Raises:
        StartUpError: The data directory cannot be used, another server holds it, the address cannot be had, or too few
            files may be open.
    """
    from pushdesk.cli.open_files import require_room

    senders = _senders(config)
    require_room(config, is_sending=not senders)
    open_data_directory(config.data_dir)
    lock = ServerLock.take(config.data_dir, attach_command=attach_command(config))
    token = admin_token(config.data_dir, environ)
    sockets = listen(config.server.host, config.server.port)
    port = port_of(sockets)
    reached_at = local_url(config.server.host, port)
    lock.announce(reached_at)
    return Prepared(
        config=config,
        lock=lock,
        sockets=sockets,
        admin_token=token,
        url=http_url(config.server.host, port),
        local_url=reached_at,
        access_url=config.server.access_url or f"http://localhost:{port}",
        senders=senders,
        launched=_launch(senders),
    )


def _senders(config: Config) -> int:
    """Return how many processes are to send."""
    if not config.is_on(Experiment.WEB_PUSH):
        return 0
    wanted = config.push.senders
    return senders_by_default(usable_cores()) if wanted is None else wanted


def _launch(number: int) -> list[Launched]:
    """Start so many processes, or as many as can be: the others are tried again by the server, which says so."""
    from pushdesk.engine.sender_process import launch

    launched: list[Launched] = []
    with suppress(OSError):
        launched.extend(launch() for _ in range(number))
    return launched


def open_log(config: Config, *, on_terminal: bool) -> LogRing:
    """Start the log of a server or of a command that works like one; returns where its last lines are held.

    Raises:
        StartUpError: The file cannot be written.
    """
    from pushdesk.log import start_log
    from pushdesk.log_ring import LogRing

    ring = LogRing()
    file = config.log.file or config.data_dir / "pushdesk.log"
    start_log(file, level=config.log.level, on_terminal=on_terminal, ring=ring)
    return ring


def attach_command(config: Config) -> str:
    """Return how a person attaches to the server of this data directory; its URL is to be added."""
    words = ["pushdesk", "attach"]
    if config.data_dir != default_data_dir():
        words += ["--data-dir", str(config.data_dir)]
    return shlex.join(words)


async def host(
    prepared: Prepared,
    *,
    stop: asyncio.Event,
    on_ready: Callable[[Stats], None],
    on_waiting: Callable[[int], None],
    log_ring: LogRing,
    session_token: str | None = None,
    session_scope: Scope = Scope.ADMIN,
) -> None:
    """Run engine and server until `stop`, then take no more, and let what is in flight end.

    Args:
        prepared: What `prepare` returned; its sockets are closed at the end.
        stop: Set when it is time to end.
        on_ready: Called once when requests are answered.
        on_waiting: Called with the number of deliveries in flight if there are some to wait for.
        log_ring: The last lines of the log.
        session_token: A token for the console of the same process, that lives as long as it.
        session_scope: What that token allows.

    Raises:
        PushdeskError: The engine cannot start.
    """
    from aiohttp import web

    from pushdesk.cli.open_files import make_room
    from pushdesk.engine.opening import open_engine
    from pushdesk.garbage import keep_what_is_there
    from pushdesk.log import write
    from pushdesk.log_events import ServerEnded, ServerListening
    from pushdesk.log_fields import Origin, Word
    from pushdesk.server.app import create_app, create_runner

    async with (
        _sender_pool(prepared) as pool,
        open_engine(prepared.config, access_url=prepared.access_url, log_ring=log_ring, pool=pool) as engine,
    ):
        app = create_app(
            engine,
            access_url=prepared.access_url,
            admin_token=prepared.admin_token,
            is_on=prepared.config.is_on,
            listening_on_loopback_only=are_loopback(prepared.sockets),
            local_identity=prepared.config.identity.local,
            allowed_origins=frozenset(prepared.config.server.allow_origin),
            session_token=session_token,
            session_scope=session_scope,
            ingress=make_room(prepared.config, is_sending=pool is None),
        )
        runner = create_runner(app, shutdown_timeout_s=CLOSE_S)
        await runner.setup()
        try:
            for opened in prepared.sockets:
                await web.SockSite(runner, opened).start()
            write(
                ServerListening(
                    url=Origin(prepared.url), access_url=Origin(prepared.access_url), version=Word(__version__)
                )
            )
            keep_what_is_there()
            on_ready(await engine.stats())
            await stop.wait()
            for site in list(runner.sites):
                await site.stop()
            if engine.in_flight:
                on_waiting(engine.in_flight)
            left = await engine.drain(DRAIN_S)
            write(ServerEnded(left=left))
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _sender_pool(prepared: Prepared) -> AsyncIterator[SenderPool | None]:
    """Run the processes that send; None where there are none."""
    from pushdesk.engine.opening import in_hand, sender_settings
    from pushdesk.engine.sender_pool import SenderPool

    if not prepared.senders:
        yield None
        return
    config = prepared.config
    async with SenderPool(
        prepared.senders, sender_settings(config, prepared.senders), in_hand=in_hand(config), launched=prepared.launched
    ) as pool:
        yield pool


def explain(error: BaseException) -> StartUpError:
    """Say in one line for a person what ended a server; what was not foreseen is told by the log."""
    if isinstance(error, PushdeskError):
        return StartUpError(error.detail, hint=error.hint)
    from pushdesk.log import write
    from pushdesk.log_events import ServerFailed
    from pushdesk.log_fields import Failure

    write(ServerFailed(Failure.of(error)))
    return StartUpError(f"The server ended with {type(error).__name__}.", hint="The log tells more.")
