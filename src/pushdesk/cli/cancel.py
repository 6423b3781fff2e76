"""`pushdesk cancel`: nothing more of a dispatch is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json

if TYPE_CHECKING:
    from pushdesk.desk import Desk


def cancel(
    dispatch: Annotated[
        str, typer.Argument(metavar="ID", help="The dispatch, as it was answered when it was accepted")
    ],
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send nothing more of a dispatch that is scheduled, queued or being sent; what is under way ends.

    Exit code 1 if nothing was left to be cancelled.
    """

    async def work(desk: Desk) -> None:
        found = await desk.cancel(dispatch)
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.counts.items()))
        say(f"cancelled {found.id}{f': {counts}' if counts else ''}")

    end(lambda: run_on_desk(work, reach))
