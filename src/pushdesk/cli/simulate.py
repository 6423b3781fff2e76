"""`pushdesk simulate`: a push service on this machine, and browsers for it."""

from __future__ import annotations

from typing import Annotated

import typer

from pushdesk.cli.ending import end
from pushdesk.errors import StartUpError
from pushdesk.setting_values import origin
from pushdesk.simulator.personality import Personality


def simulate(
    *,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Where to listen; 0 for any free port")
    ] = 8485,
    browsers: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=1000, help="How many virtual browsers to subscribe")
    ] = 0,
    server: Annotated[str | None, typer.Option(metavar="URL", help="The server that they subscribe with")] = None,
    personality: Annotated[Personality, typer.Option(help="Which push service to take after")] = Personality.MOZILLA,
) -> None:
    """Run a push service on this machine, for trying out and testing without internet."""
    end(lambda: _simulate(port, browsers, server, personality))


def _simulate(port: int, browsers: int, server: str | None, personality: Personality) -> int:
    checked = _check(browsers, server)
    # Here, so that the other commands don't wait for it.
    from pushdesk.cli.simulation import run

    return run(port=port, browsers=browsers, server=checked, personality=personality)


def _check(browsers: int, server: str | None) -> str | None:
    if server is None:
        if browsers:
            raise StartUpError("--browsers needs a server.", hint="Add --server http://localhost:8484")
        return None
    if not browsers:
        raise StartUpError("--server is for virtual browsers.", hint="Add --browsers 20")
    try:
        return origin(server)
    except ValueError as error:
        raise StartUpError(f"--server {error}.") from None
