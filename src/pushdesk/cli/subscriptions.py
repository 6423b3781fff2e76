"""`pushdesk subscriptions`: listing them, and restoring those that are disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json, tell
from pushdesk.errors import EXIT_DONE, EXIT_NO
from pushdesk.model import RestoreResult, SubscriptionState
from pushdesk.paging import every

if TYPE_CHECKING:
    from pushdesk.desk import Desk
    from pushdesk.model import Restoration

AT_ONCE: Final = 500
"""The most that one request restores."""

subscriptions = options.group("subscriptions", "Users' devices: list them, restore disabled ones.")


@subscriptions.command("list", short_help="List the devices.")
def list_(
    *,
    part: Annotated[
        str | None,
        typer.Option("--filter", metavar="TEXT", help="Only of users whose id has this in it; after ^, begins with it"),
    ] = None,
    state: Annotated[
        SubscriptionState | None,
        typer.Option("--state", metavar="STATE", help="Only these: active, gone, key_mismatch or held"),
    ] = None,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the devices, those that are disabled too: with the ids that `restore` takes."""

    async def work(desk: Desk) -> None:
        found = [one for one in await every(desk.subscriptions, having=part or "") if state in (None, one.state)]
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for one in found:
            last = one.last_success_at
            sent = f"last sent to {last:%Y-%m-%d %H:%M} UTC" if last else "never sent to"
            say(f"{one.id}  {one.state:<12}  {one.service:<7}  {one.user}  {one.browser} · {one.platform}  {sent}")
        if not found:
            tell("there are no such devices.")

    end(lambda: run_on_desk(work, reach))


@subscriptions.command(short_help="Send to disabled devices again.")
def restore(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Their ids, as `subscriptions list` shows them")],
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send again to devices that a push service was taken to say have ended; 1 if any could not be restored."""
    results: list[Restoration] = []

    async def work(desk: Desk) -> None:
        for first in range(0, len(ids), AT_ONCE):
            results.extend(await desk.restore_subscriptions(ids[first : first + AT_ONCE]))

    def run() -> int:
        run_on_desk(work, reach)
        if as_json:
            say_json(msgspec.to_builtins(results))
        else:
            for one in results:
                say(f"{one.id}  {one.result}" + (f"  {one.reason}" if one.reason else ""))
        is_done = all(one.result in {RestoreResult.RESTORED, RestoreResult.ALREADY_ACTIVE} for one in results)
        return EXIT_DONE if is_done else EXIT_NO

    end(run)
