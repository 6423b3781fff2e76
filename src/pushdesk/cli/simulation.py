"""What `pushdesk simulate` runs, until a signal ends it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pushdesk.cli.ending import EndBySignal
from pushdesk.cli.output import say, tell
from pushdesk.errors import EXIT_DONE, EndpointRefusedError, PushdeskError, StartUpError
from pushdesk.simulator.fleet import run_browsers
from pushdesk.simulator.running import put_faults
from pushdesk.simulator.service import HOST, Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pushdesk.simulator.personality import Personality


def run(
    *,
    port: int,
    browsers: int,
    server: str | None,
    personalities: Sequence[Personality],
    tls: bool,
    faults: Sequence[str],
    seed: int,
) -> int:
    """Run the simulator until SIGINT, SIGTERM or SIGHUP; returns the exit code.

    Raises:
        PushdeskError: A fault is none, it could not start, or the server refused a virtual browser.
    """
    chance = Random(seed)  # noqa: S311  (the same every time)
    simulator = Simulator(port=port, personalities=personalities, tls=tls, chance=chance)
    try:
        simulator.set_faults(faults)
    except ValueError as error:
        raise StartUpError(f"--fault: {error}") from None
    return asyncio.run(_run(simulator, browsers, server))


def change(*, port: int, faults: Sequence[str]) -> int:
    """Set the faults of a simulator that runs, and show them; returns the exit code.

    Raises:
        PushdeskError: There is none at that port, or it refused.
    """
    for line in asyncio.run(put_faults(f"http://{HOST}:{port}", faults)) or ["no faults"]:
        say(line)
    return EXIT_DONE


async def _run(simulator: Simulator, browsers: int, server: str | None) -> int:
    ending = EndBySignal()
    async with simulator:
        with TemporaryDirectory(prefix="pushdesk-simulator-") as folder:
            say(f"pushdesk simulator: listening on {simulator.url}")
            say(f"start the server with: {_invitation(simulator, Path(folder))}")
            asked = asyncio.create_task(ending.asked.wait())
            if server is None:
                await asked
                return ending.exit_code
            crowd = asyncio.create_task(
                run_browsers(
                    browsers,
                    push_service=simulator.url,
                    server=server,
                    say=say,
                    complain=tell,
                    personalities=simulator.personalities,
                )
            )
            both: list[asyncio.Task[Any]] = [asked, crowd]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                asked.cancel()
                # It only ends by itself when it fails.
                await _failed(crowd, simulator)
            crowd.cancel()
            await asyncio.gather(crowd, return_exceptions=True)
            return ending.exit_code


async def _failed(crowd: asyncio.Task[None], simulator: Simulator) -> None:
    """Raise what ended the browsers; of a server that does not send here, with what would have it do so."""
    try:
        await crowd
    except PushdeskError as error:
        if error.code != EndpointRefusedError.code or simulator.certificate is not None:
            raise
        hint = f"Start the server with --allow-endpoint {simulator.origin}, then try again."
        raise EndpointRefusedError(error.detail, hint=hint) from None


def _invitation(simulator: Simulator, folder: Path) -> str:
    """Return what a server has to be started with that is to send here."""
    if simulator.certificate is None:
        return f"pushdesk --allow-endpoint {simulator.origin}"
    file = folder / "ca.pem"
    file.write_bytes(simulator.certificate)
    return f"SSL_CERT_FILE={file} PUSHDESK_PUSH_EGRESS_PROXY={simulator.origin} pushdesk"
