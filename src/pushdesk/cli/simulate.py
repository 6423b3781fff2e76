"""`pushdesk simulate`: a push service on this machine, and browsers for it."""

from __future__ import annotations

from typing import Annotated

import typer

from pushdesk.cli.ending import end
from pushdesk.errors import StartUpError
from pushdesk.setting_values import origin
from pushdesk.simulator.personality import THE_FOUR, Personality


def simulate(
    *,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Where to listen; 0 for any free port")
    ] = 8485,
    browsers: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=1000, help="How many virtual browsers to subscribe")
    ] = 0,
    server: Annotated[str | None, typer.Option(metavar="URL", help="The server that they subscribe with")] = None,
    personality: Annotated[
        list[Personality] | None,
        typer.Option(help="Which push service to take after; may be repeated [default: other, with --tls all four]"),
    ] = None,
    tls: Annotated[
        bool, typer.Option("--tls", help="Be at the services' own names, behind a proxy, with certificates of its own")
    ] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="What goes wrong, such as 429:retry-after=30@10%; may be repeated"),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of what is drawn for faults at a rate")] = 0,
    change: Annotated[
        bool, typer.Option("--change", help="Only set the faults of the simulator that runs at --port; none: all well")
    ] = False,
) -> None:
    """Run a push service on this machine, for trying out and testing without internet."""
    personalities, faults = tuple(dict.fromkeys(personality or ())), tuple(fault or ())

    def run() -> int:
        # Here, so that the other commands don't wait for it.
        from pushdesk.cli import simulation

        if change:
            if browsers or server or tls or personalities:
                raise StartUpError("--change goes with --port and --fault only.")
            return simulation.change(port=port, faults=faults)
        _check_personalities(personalities, tls=tls)
        return simulation.run(
            port=port,
            browsers=browsers,
            server=_check_server(browsers, server),
            personalities=personalities,
            tls=tls,
            faults=faults,
            seed=seed,
        )

    end(run)


def _check_personalities(personalities: tuple[Personality, ...], *, tls: bool) -> None:
    if tls and not set(personalities) <= set(THE_FOUR):
        raise StartUpError(f"With --tls --personality is one of {', '.join(THE_FOUR)}: the others have no name.")


def _check_server(browsers: int, server: str | None) -> str | None:
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
