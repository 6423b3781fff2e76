"""`pushdesk serve`: the server without a console."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pushdesk.cli.ending import EndBySignal, tell_waiting
from pushdesk.cli.hosting import explain, host, open_log, prepare, read_config
from pushdesk.cli.output import say, tell

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pushdesk.cli.hosting import Prepared
    from pushdesk.log_ring import LogRing
    from pushdesk.model import Stats


def run_serve(flags: Mapping[str, object], environ: Mapping[str, str]) -> int:
    """Serve until a signal; returns the exit code.

    Raises:
        PushdeskError: The server cannot start, or ended by itself.
    """
    config = read_config(flags, environ)
    prepared = prepare(config, environ)
    log_ring = open_log(config, on_terminal=True)
    try:
        return asyncio.run(_serve(prepared, log_ring))
    except Exception as error:  # noqa: BLE001 - whatever ends a server is logged, and said in a line
        raise explain(error) from None
    finally:
        prepared.release()


async def _serve(prepared: Prepared, log_ring: LogRing) -> int:
    ending = EndBySignal()
    await host(
        prepared,
        stop=ending.asked,
        on_ready=lambda stats: _say_ready(prepared, stats),
        on_waiting=tell_waiting,
        log_ring=log_ring,
    )
    return ending.exit_code


def _say_ready(prepared: Prepared, stats: Stats) -> None:
    for warning in stats.warnings:
        tell(f"warning: {warning}")
    say(f"pushdesk: listening on {prepared.url}")
