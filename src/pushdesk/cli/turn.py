"""`pushdesk turn`: tells of a turn of an agent, through the server that runs or, if none does, by itself."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import end
from pushdesk.cli.output import say_json, tell
from pushdesk.errors import EXIT_DONE, PushdeskError

if TYPE_CHECKING:
    from pushdesk.cli.datadir import ServerLock
    from pushdesk.cli.options import Reach
    from pushdesk.config import Config
    from pushdesk.desk import Desk
    from pushdesk.model import Dispatch, Turn

MAX_TEXT: Final = 2 * 1024 * 1024
"""Bytes of a text: as many as a server takes."""
_STATUSES: Final = "finished, failed or needs-action"


class Telling(NamedTuple):
    """Which turn to tell of, to which server, and how to tell what came of it."""

    turn: Turn
    idempotency_key: str | None
    wait_s: float
    as_json: bool
    reach: Reach


def turn(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whom to notify")],
    *,
    conversation: Annotated[
        str, typer.Option("--conversation", metavar="ID", help="A newer turn of it replaces an older one")
    ],
    title: Annotated[str, typer.Option("--title", metavar="TEXT", help="The first line")],
    status: Annotated[str, typer.Option("--status", metavar="WORD", help=_STATUSES)],
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="TEXT",
            help="What the agent wrote at the end, in Markdown: shown in at most 120 characters",
        ),
    ] = None,
    text_file: Annotated[
        str | None, typer.Option("--text-file", metavar="FILE", help="The same from a file; - is standard input")
    ] = None,
    error: Annotated[
        str | None, typer.Option("--error", metavar="TEXT", help="What went wrong: shown with --status failed")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="What a remote summariser is called with")
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="NAME", help="Whose model it is; nothing depends on it today")
    ] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="ID", help="Of a sub-agent's turn, of which nobody is notified")
    ] = None,
    url: options.Url = None,
    idempotency_key: options.IdempotencyKey = None,
    wait: options.Wait = 10.0,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Tell of a turn of an agent that has ended: whoever it was for is notified.

    They see the title, and below it what was written at the end in at most 120 characters.

    Exit code 0 if a push service took it or a sub-agent's turn was left out, 1 if there was nobody to send to or none
    took it.
    """
    from pushdesk.cli.hosting import read_config
    from pushdesk.cli.send import read_key

    fields = {
        "user": user,
        "conversation": conversation,
        "title": title,
        "error": error,
        "model": model,
        "provider": provider,
        "parent": parent,
        "url": url,
    }

    def run() -> int:
        made = _read_turn(fields, status, text, text_file)
        if error is not None and status != "failed":
            tell("note: --error is only shown with --status failed.")
        telling = Telling(made, read_key(idempotency_key), wait, as_json, reach)
        return asyncio.run(_tell(telling, read_config(reach.flags, os.environ)))

    end(run)


def _read_turn(fields: dict[str, str | None], status: str, text: str | None, text_file: str | None) -> Turn:
    from pushdesk.cli.send import read_fields
    from pushdesk.model import Turn, TurnStatus
    from pushdesk.user_id import check_user

    check_user(fields["user"] or "")
    word = status.replace("-", "_")
    if word not in set(TurnStatus):
        raise _bad("status", f"--status must be {_STATUSES}.")
    if text is not None and text_file is not None:
        raise _bad("text", "--text and --text-file cannot both be given.")
    if text_file is not None:
        text = _read_text(text_file)
    return read_fields(fields | {"status": word, "text": text}, Turn)


def _read_text(name: str) -> str:
    try:
        if name == "-":
            content = sys.stdin.buffer.read(MAX_TEXT + 1)
        else:
            with Path(name).open("rb") as file:
                content = file.read(MAX_TEXT + 1)
        if len(content) > MAX_TEXT:
            raise PushdeskError(f"--text-file: more than {MAX_TEXT} bytes.", code="too_large")
        return content.decode()
    except OSError as error:
        raise _bad("text", f"--text-file: {name} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _bad("text", f"--text-file: {name} is not UTF-8.") from None


def _bad(field: str, detail: str) -> PushdeskError:
    return PushdeskError(detail, code="bad_field", fields=(field,))


async def _tell(telling: Telling, config: Config) -> int:
    from pushdesk.cli.one_shot import open_remote, server_or_lock
    from pushdesk.cli.send import LATER, exit_code, report

    found = await server_or_lock(telling.reach, config)
    if isinstance(found, str):
        async with open_remote(found, telling.reach, config, os.environ) as desk:
            dispatch, reason = await _accepted(desk, telling)
            dispatch = dispatch and await _settled(desk, dispatch.id, telling.wait_s)
    else:
        dispatch, reason = await _tell_alone(found, telling, config)
    if telling.as_json:
        say_json({"reason": reason} if dispatch is None else msgspec.to_builtins(dispatch))
    elif dispatch is None:
        tell("nothing is sent: it is the turn of a sub-agent.")
    else:
        report(dispatch, later="" if isinstance(found, str) else LATER)
    return EXIT_DONE if dispatch is None else exit_code(dispatch)


async def _tell_alone(lock: ServerLock, telling: Telling, config: Config) -> tuple[Dispatch | None, str | None]:
    """Tell an engine of our own: tried at least once, however short the wait, as nobody goes on with it."""
    from pushdesk.cli.one_shot import drain, open_own
    from pushdesk.cli.send import begun

    async with open_own(lock, config) as engine:
        dispatch, reason = await _accepted(engine, telling)
        if dispatch is None:
            return None, reason
        try:
            await _settled(engine, dispatch.id, telling.wait_s)
            await begun(engine, dispatch.id)
        finally:
            await drain(engine)
        return await engine.dispatch(dispatch.id), None


async def _accepted(desk: Desk, telling: Telling) -> tuple[Dispatch | None, str | None]:
    accepted = await desk.turn(telling.turn, idempotency_key=telling.idempotency_key)
    return accepted.dispatch, accepted.reason


async def _settled(desk: Desk, dispatch: str, wait_s: float) -> Dispatch:
    """Wait until nothing is left to do for a dispatch, at most so many seconds; returns it as it is then."""
    from pushdesk.cli.one_shot import ASK_AGAIN_S
    from pushdesk.model import DispatchState

    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        found = await desk.dispatch(dispatch)
        if found.state is DispatchState.DONE or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(ASK_AGAIN_S)
