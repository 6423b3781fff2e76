"""`pushdesk broadcasts`: how far they are, and what is done about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.one_shot import run_on_desk
from pushdesk.cli.output import say, say_json, tell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pushdesk.cli.options import Reach
    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast

BroadcastId: TypeAlias = Annotated[
    str, typer.Argument(metavar="ID", help="Its id, as `pushdesk broadcasts list` shows it")
]

broadcasts = options.group("broadcasts", "Messages to many users: list, pause, resume and abort them.")


@broadcasts.command("list")
def list_(
    *,
    limit: Annotated[
        int, typer.Option("--limit", metavar="NUMBER", min=1, max=200, help="How many, the newest [default: 20]")
    ] = 20,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """List the broadcasts, the newest first: how far they are, and what came of them."""
    from pushdesk.model import PageQuery

    async def work(desk: Desk) -> None:
        found = (await desk.broadcasts(PageQuery(limit=limit))).items
        if as_json:
            say_json(msgspec.to_builtins(found))
            return
        for one in found:
            say(_line(one))
        if not found:
            tell("there is no broadcast.")

    end(lambda: run_on_desk(work, reach))


@broadcasts.command()
def pause(broadcast: BroadcastId, *, as_json: options.AsJson = False, reach: options.Reach) -> None:
    """Send nothing more of a broadcast until it is resumed, also after a restart. It expires by its TTL."""
    _change(lambda desk: desk.pause_broadcast(broadcast), as_json=as_json, reach=reach)


@broadcasts.command()
def resume(broadcast: BroadcastId, *, as_json: options.AsJson = False, reach: options.Reach) -> None:
    """Go on with a broadcast that is paused."""
    _change(lambda desk: desk.resume_broadcast(broadcast), as_json=as_json, reach=reach)


@broadcasts.command()
def abort(broadcast: BroadcastId, *, as_json: options.AsJson = False, reach: options.Reach) -> None:
    """Send nothing more of a broadcast, for good. What was sent by then was sent.

    Exit code 1 if nothing was left of it.
    """
    _change(lambda desk: desk.abort_broadcast(broadcast), as_json=as_json, reach=reach)


def _change(change: Callable[[Desk], Awaitable[Broadcast]], *, as_json: bool, reach: Reach) -> None:
    async def work(desk: Desk) -> None:
        changed = await change(desk)
        if as_json:
            say_json(msgspec.to_builtins(changed))
        else:
            say(_line(changed))

    end(lambda: run_on_desk(work, reach))


def _line(broadcast: Broadcast) -> str:
    from pushdesk.cli.broadcast_words import lasting

    counts = ", ".join(f"{number} {outcome}" for outcome, number in sorted(broadcast.counts.items()))
    at = broadcast.send_at or broadcast.started_at or broadcast.accepted_at
    parts = (
        broadcast.id,
        f"{broadcast.state:<9}",
        f"{at:%Y-%m-%d %H:%M} UTC",
        f"{broadcast.done} of {broadcast.planned}",
        counts,
        f"{lasting(broadcast.left_s)} left" if broadcast.left_s is not None else "",
        broadcast.title,
    )
    return "  ".join(part for part in parts if part)
