"""`pushdesk tokens`: what lets applications and other operators in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json, tell
from pushdesk.errors import PushdeskError
from pushdesk.model import Scope
from pushdesk.paging import every

if TYPE_CHECKING:
    from pushdesk.desk import Desk

_ID: Final = re.compile(r"[0-9a-f]{26}")
_TOKEN: Final = re.compile(rf"pdk_(?P<id>{_ID.pattern})_[0-9a-f]*")

tokens = options.group("tokens", "The tokens of applications and operators.")


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for, such as backup")],
    *,
    scope: Annotated[
        list[Scope],
        typer.Option("--scope", help="notify: send and invite. read: look. admin: everything. May be repeated"),
    ],
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Make a token. It is shown this once."""

    async def work(desk: Desk) -> None:
        made = await desk.create_token(name, scope)
        if as_json:
            say_json(msgspec.to_builtins(made))
            return
        say(made.token)
        tell(f"{made.access.name} ({', '.join(made.access.scopes)}) has the id {made.access.id}.")
        tell("Keep the token now: only its hash is stored, and nobody can show it again.")

    end(lambda: run_on_desk(work, reach))


@tokens.command("list")
def list_(
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the tokens, the newest first, with when they were last used."""

    async def work(desk: Desk) -> None:
        found = await every(desk.tokens)
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for access in found:
            used = f"used {access.last_used_at:%Y-%m-%d %H:%M} UTC" if access.last_used_at else "never used"
            say(f"{access.id}  {','.join(access.scopes):<17}  {used:<25}  {access.name}")
        if not found:
            tell("there are no access tokens. `pushdesk tokens create NAME --scope notify` makes one.")

    end(lambda: run_on_desk(work, reach))


@tokens.command()
def revoke(
    token: Annotated[
        str, typer.Argument(metavar="ID|NAME|TOKEN", help="Its id or its name, as in `pushdesk tokens list`, or itself")
    ],
    *,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """End a token at once."""

    async def work(desk: Desk) -> None:
        access = await desk.revoke_token(await _id_of(desk, token))
        if as_json:
            say_json(msgspec.to_builtins(access))
        else:
            say(f"{access.name} ({access.id}) is revoked: whoever shows it is refused from now on.")

    end(lambda: run_on_desk(work, reach))


async def _id_of(desk: Desk, given: str) -> str:
    """Return the id of the token that is meant; a token itself has it in it, and goes nowhere.

    Raises:
        PushdeskError: There is no token of this name, or more than one.
    """
    if itself := _TOKEN.fullmatch(given.strip()):
        return itself["id"]
    if _ID.fullmatch(given):
        return given
    ids = [access.id for access in await every(desk.tokens) if access.name == given]
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise PushdeskError(
            f"{len(ids)} access tokens have this name.", code="bad_field", hint=f"Name the id: {', '.join(ids)}."
        )
    raise PushdeskError(
        "There is no such access token.", code="not_found", hint="pushdesk tokens list shows those there are."
    )
