"""`pushdesk`: the console, with the server embedded in a second thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushdesk.cli.embedded import EmbeddedServer
from pushdesk.cli.ending import EndBySignal
from pushdesk.cli.hosting import prepare, read_config
from pushdesk.cli.keymap import check_keymap
from pushdesk.cli.terminal import console_state_file, local_time, require_terminal, run_app
from pushdesk.model import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.cli.hosting import Prepared


def run_console(flags: Mapping[str, object], environ: Mapping[str, str], *, read_only: bool = False) -> int:
    """Show the console until it is left; returns the exit code.

    Args:
        flags: As `pushdesk.config.load` takes them.
        environ: The environment.
        read_only: Whether the console is to change nothing; the server in it serves as ever.

    Raises:
        StartUpError: There is no terminal, or the server cannot start.
    """
    require_terminal(hint="Use `pushdesk serve` to run without a console.")
    config = read_config(flags, environ)
    check_keymap(config)
    prepared = prepare(config, environ)
    try:
        return asyncio.run(_console(prepared, read_only=read_only))
    finally:
        prepared.release()


async def _console(prepared: Prepared, *, read_only: bool) -> int:
    from pushdesk.client import HttpDesk
    from pushdesk.console.app import PushdeskApp

    server = EmbeddedServer(prepared, session_scope=Scope.READ if read_only else Scope.ADMIN)
    try:
        async with HttpDesk(prepared.local_url, server.token, read_only=read_only) as desk:
            app = PushdeskApp(
                desk,
                url=prepared.access_url,
                mode="embedded",
                now=local_time,
                state_file=console_state_file(),
                starting=server.start,
                keymap=prepared.config.keymap,
                theme=prepared.config.console.theme,
                prepares=True,
                read_only=read_only,
            )
            server.on_failure = app.fail
            code = await run_app(app)
    finally:
        # The terminal is restored and the work goes on: from here on a signal ends the process at once.
        EndBySignal().asked.set()
        await server.end()
    return code
