"""`pushdesk users`: listing and removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.confirmation import confirm
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import counted, say, say_json, tell
from pushdesk.paging import every
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from pushdesk.desk import Desk

users = options.group("users", "Those who get notifications: list and remove them.")


@users.command("list", short_help="List the users, with their devices.")
def list_(
    *,
    part: Annotated[
        str | None,
        typer.Option("--filter", metavar="TEXT", help="Only those whose id has this in it; after ^, begins with it"),
    ] = None,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the users, with their devices and when they were last sent something."""

    async def work(desk: Desk) -> None:
        found = await every(desk.users, having=part or "")
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for user in found:
            last = user.last_delivery_at
            sent = f"last sent to {last:%Y-%m-%d %H:%M} UTC" if last else "never sent to"
            say(f"{user.id}  {counted(user.subscriptions, 'device')}  {sent}")
        if not found:
            tell("there are no users yet." if part is None else "there are no such users.")

    end(lambda: run_on_desk(work, reach))


@users.command(short_help="Remove a user with everything of theirs.")
def remove(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom to remove")],
    *,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Remove a user with everything of theirs: devices, invitations, tokens, and what they were sent."""

    async def work(desk: Desk) -> None:
        await desk.remove_user(user)
        if as_json:
            say_json({"removed": user})
        else:
            say(f"{user} is removed, with everything of theirs.")

    def run() -> int:
        check_user(user)
        if not yes:
            confirm(f"This removes {user}: their devices get nothing more, and what they were sent is forgotten.", user)
        return run_on_desk(work, reach)

    end(run)
