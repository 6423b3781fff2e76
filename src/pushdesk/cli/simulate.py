"""`pushdesk simulate`: a push service on this machine, and browsers for it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from pushdesk.cli.output import tell
from pushdesk.errors import EXIT_INTERRUPTED, PushdeskError, StartUpError
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
    # Here, so that the other commands don't wait for it.
    from pushdesk.cli.simulation import run

    try:
        _check(browsers, server)
        code = run(port=port, browsers=browsers, server=server, personality=personality)
    except PushdeskError as error:
        tell(str(error))
        code = error.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    raise typer.Exit(code)


def _check(browsers: int, server: str | None) -> None:
    if server is None:
        if browsers:
            raise StartUpError("--browsers needs a server.", hint="Add --server http://localhost:8484")
        return
    if not browsers:
        raise StartUpError("--server is for virtual browsers.", hint="Add --browsers 20")
    try:
        url = urlsplit(server)
        usable = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    else:
        usable = usable and url.username is None and url.path in {"", "/"} and not url.query and not url.fragment
    if not usable:
        raise StartUpError(
            "--server is not the URL of a pushdesk server.", hint="It looks like --server http://localhost:8484"
        )
