"""What `pushdesk simulate` runs, until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Any

from pushdesk.cli.output import say, tell
from pushdesk.errors import EXIT_DONE, EXIT_INTERRUPTED
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
    end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def ask_to_end(code: int) -> None:
        if not end.done():
            end.set_result(code)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # `nohup` wants SIGHUP ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            code = EXIT_INTERRUPTED if number is signal.SIGINT else EXIT_DONE
            asyncio.get_running_loop().add_signal_handler(number, ask_to_end, code)

    async with Simulator(port=port, personality=personality) as simulator:
        say(f"pushdesk simulator: listening on {simulator.url}")
        say(f"start the server with: pushdesk --allow-endpoint {simulator.origin}")
        if server is None:
            return await end
        crowd = asyncio.create_task(
            run_browsers(browsers, push_service=simulator.url, server=server, say=say, complain=tell)
        )
        both: list[asyncio.Future[Any]] = [end, crowd]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not end.done():
            # It only ends by itself when it fails.
            await crowd
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)
        return await end
