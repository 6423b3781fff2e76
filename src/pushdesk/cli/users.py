"""`pushdesk users`: removing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pushdesk.cli import options
from pushdesk.cli.confirmation import confirm
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import Reach, run_on_desk
from pushdesk.cli.output import say
from pushdesk.user_id import check_user

if TYPE_CHECKING:
    from pushdesk.desk import Desk

users = options.group("users", "Those who get notifications: remove them.")


@users.command()
def remove(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom to remove")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask")] = False,
    server: options.Server = None,
    token_file: options.TokenFile = None,
    insecure: options.Insecure = False,
    data_dir: options.DataDir = None,
    config: options.ConfigFile = None,
) -> None:
    """Remove a user with everything of theirs: devices, invitations, tokens, and what they were sent."""

    async def work(desk: Desk) -> None:
        await desk.remove_user(user)
        say(f"{user} is removed, with everything of theirs.")

    def run() -> int:
        check_user(user)
        if not yes:
            confirm(f"This removes {user}: their devices get nothing more, and what they were sent is forgotten.", user)
        reach = Reach(server, token_file, insecure)
        return run_on_desk(work, reach, options.given(data_dir=data_dir, config=config))

    end(run)
