"""`pushdesk attach URL`: the console, on a server that runs elsewhere."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pushdesk.cli.datadir import client_token
from pushdesk.cli.hosting import read_config
from pushdesk.cli.keymap import check_keymap
from pushdesk.cli.output import tell
from pushdesk.cli.remote import server_url
from pushdesk.cli.terminal import console_state_file, local_time, require_terminal, run_app

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.client import HttpDesk
    from pushdesk.config import Config
    from pushdesk.model import Stats

SLOW_S: Final = 1.0
"""After how long it is said what is waited for."""


class Attaching(NamedTuple):
    """Which server to look at, and how."""

    url: str
    token_file: str | None = None
    insecure: bool = False
    read_only: bool = False


def run_attach(attaching: Attaching, flags: Mapping[str, object], environ: Mapping[str, str]) -> int:
    """Show the console of a server until it is left; returns the exit code.

    Args:
        attaching: Which server.
        flags: As `pushdesk.config.load` takes them.
        environ: The environment.

    Raises:
        PushdeskError: There is no terminal, the server cannot be reached, or it refuses the token.
    """
    require_terminal(hint="Use `pushdesk send` in scripts.")
    url = server_url(attaching.url, insecure=attaching.insecure)
    config = read_config(flags, environ)
    check_keymap(config)
    token_file = Path(attaching.token_file) if attaching.token_file else None
    token = client_token(config.data_dir, token_file, environ)
    return asyncio.run(_attach(url, token, config, read_only=attaching.read_only))


async def _attach(url: str, token: str, config: Config, *, read_only: bool) -> int:
    from pushdesk.client import HttpDesk
    from pushdesk.console.app import PushdeskApp

    async with HttpDesk(url, token, read_only=read_only) as desk:
        # Asked once before the screen is taken: a wrong address or token is a line, not a console that reconnects.
        stats = await _first_stats(desk)
        app = PushdeskApp(
            desk,
            url=stats.url,
            mode="attached",
            now=local_time,
            state_file=console_state_file(),
            keymap=config.keymap,
            theme=config.console.theme,
            prepares=True,
            read_only=read_only,
        )
        return await run_app(app)


async def _first_stats(desk: HttpDesk) -> Stats:
    waiting = asyncio.get_running_loop().call_later(SLOW_S, tell, f"Waiting for {desk.url} to answer…")
    try:
        return await desk.stats()
    finally:
        waiting.cancel()
