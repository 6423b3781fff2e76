"""`pushdesk scaletest`: thousands of conversations against a server of its own, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pushdesk.cli.ending import end


def _file(name: str) -> Path:
    """Read the name of a file: an empty one, as of a variable that is not set, would be the folder that we are in."""
    if not name:
        raise typer.BadParameter("the name is empty.")
    return Path(name)


def scaletest(
    *,
    conversations: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=100_000, help="Each with a user of its own, and a subscription")
    ] = 5000,
    turns: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=1000, help="Of each conversation, one after the other")
    ] = 10,
    connections: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=1000, help="To the API, each with one request at a time")
    ] = 64,
    under_way: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, max=100_000, help="Turns that have not arrived yet, at most")
    ] = 1000,
    baseline: Annotated[
        bool,
        typer.Option("--baseline", help="Run again without the cache, then with reads before each push, and compare"),
    ] = False,
    senders: Annotated[
        int | None, typer.Option(metavar="NUMBER", min=0, max=64, help="Sender processes [default: as many as serve]")
    ] = None,
    probes: Annotated[
        bool, typer.Option("--probes/--no-probes", help="Whether the server tells what its time goes into")
    ] = True,
    patience: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=3600, help="Give up after so long without any progress")
    ] = 30,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of what is drawn: order and sample")] = 0,
    port: Annotated[
        int, typer.Option(metavar="NUMBER", min=0, max=65535, help="Where the server listens; 0 for any free port")
    ] = 0,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="An empty or new one, left there [default: a temporary one]"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the temporary folder there")] = False,
    database_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another new file for the database: sqlite:////srv/scale.db")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", parser=_file, help="Write the report there as JSON, too")
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", parser=_file, help="Draw a picture of it there")] = None,
) -> None:
    """Run a server, let thousands of conversations tell of their turns, and report what that costs.

    The default takes about two and a half minutes on two cores; with --baseline it takes three times that and more.

    Exit code 0 if every turn arrived and was settled, 1 if not, 2 if it could not begin, 130 after ctrl+c.
    """

    def run() -> int:
        # Here, so that the other commands don't wait for it.
        from pushdesk.cli import scale_testing
        from pushdesk.scaletest.plan import Plan

        plan = Plan(
            conversations=conversations,
            turns=turns,
            connections=connections,
            under_way=under_way,
            port=port,
            seed=seed,
            senders=senders,
            patience_s=patience,
            data_dir=data_dir,
            keeps_data=keep or data_dir is not None,
            probes=probes,
        )
        return scale_testing.run(plan, baseline=baseline, database_url=database_url, json_file=json, svg_file=svg)

    end(run)
