"""What `pushdesk simulate` runs, until a signal ends it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pushdesk.cli.ending import EndBySignal
from pushdesk.cli.output import say, tell
from pushdesk.simulator.fleet import run_browsers
from pushdesk.simulator.service import Simulator

if TYPE_CHECKING:
    from pushdesk.simulator.personality import Personality


def run(*, port: int, browsers: int, server: str | None, personality: Personality) -> int:
    """Run the simulator until SIGINT, SIGTERM or SIGHUP; returns the exit code.

    Raises:
        PushdeskError: It could not start, or the server refused a virtual browser.
    """
    return asyncio.run(_run(port, browsers, server, personality))


async def _run(port: int, browsers: int, server: str | None, personality: Personality) -> int:
    ending = EndBySignal()
    async with Simulator(port=port, personality=personality) as simulator:
        say(f"pushdesk simulator: listening on {simulator.url}")
        say(f"start the server with: pushdesk --allow-endpoint {simulator.origin}")
        asked = asyncio.create_task(ending.asked.wait())
        if server is None:
            await asked
            return ending.exit_code
        crowd = asyncio.create_task(
            run_browsers(browsers, push_service=simulator.url, server=server, say=say, complain=tell)
        )
        both: list[asyncio.Task[Any]] = [asked, crowd]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            asked.cancel()
            # It only ends by itself when it fails.
            await crowd
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)
        return ending.exit_code
