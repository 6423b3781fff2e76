"""`pushdesk why`: why a user, a device or a delivery did not get what was sent, and what helps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json
from pushdesk.errors import EXIT_DONE, EXIT_NO, PushdeskError
from pushdesk.local_time import in_zone
from pushdesk.measures import commands
from pushdesk.model import Measure, VerdictCode
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.desk import Desk
    from pushdesk.model import Verdict

FINE: Final = frozenset(
    {
        VerdictCode.ACCEPTED,
        VerdictCode.WAITING,
        VerdictCode.SCHEDULED,
        VerdictCode.SUPERSEDED,
        VerdictCode.NOTHING_SENT,
    }
)
"""The verdicts by which nothing is wrong."""


def why(
    user: Annotated[str | None, typer.Argument(metavar="USER", help="Who did not get it")] = None,
    *,
    subscription: Annotated[
        str | None, typer.Option("--subscription", metavar="ID", help="Instead of a user: one of their devices")
    ] = None,
    delivery: Annotated[
        str | None, typer.Option("--delivery", metavar="ID", help="Instead of a user: one notification on one device")
    ] = None,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Say why a user did not get what was sent to them last: what happened, the facts, and what helps.

    Exit code 0 if a push service took it or nothing is wrong, 1 if not.
    """

    async def work(desk: Desk) -> int:
        verdict = await desk.explain(user=user or "", subscription=subscription or "", delivery=delivery or "")
        if as_json:
            say_json(msgspec.to_builtins(verdict))
        else:
            _show(verdict)
        return EXIT_DONE if _is_fine(verdict) else EXIT_NO

    def run() -> int:
        asked = {"USER": user, "--subscription": subscription, "--delivery": delivery}
        named = [name for name, value in asked.items() if value is not None]
        if len(named) != 1:
            raise PushdeskError("Name one of USER, --subscription and --delivery.", code="bad_field")
        if user is not None:
            check_user(user)
        elif not (subscription or delivery):
            raise PushdeskError(f"{named[0]} is empty.", code="bad_field")
        return run_on_desk(work, reach)

    end(run)


def _show(verdict: Verdict) -> None:
    """Write a verdict, then those on each device where they say more."""
    _show_one(verdict)
    for device in verdict.apart:
        say("")
        _show_one(device)


def _show_one(verdict: Verdict) -> None:
    say(f"{'✓' if _is_fine(verdict) else '✗'} {verdict.about}: {verdict.says}")
    if verdict.since is not None:
        say(f"  since {_local(verdict.since)}")
    if verdict.until is not None:
        say(f"  until {_local(verdict.until)}")
    say(f"  → {verdict.advice}")
    for command in commands(verdict):
        say(f"    {command}")
    for fact in verdict.evidence:
        say(f"  {_local(fact.time)}  {fact.text}" if fact.time is not None else f"  {fact.text}")


def _is_fine(verdict: Verdict) -> bool:
    """Whether nothing is wrong: what waits because somebody paused it waits for somebody."""
    return verdict.code in FINE and Measure.RESUME not in verdict.measures


def _local(time: datetime) -> str:
    return f"{in_zone(time):%Y-%m-%d %H:%M:%S %Z}"
