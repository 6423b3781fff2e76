"""`pushdesk broadcast`: one message to all users or to a list, planned, confirmed, and followed on its way."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple
from uuid import uuid4

import msgspec
import typer

from pushdesk.cli import options
from pushdesk.cli.ending import EndBySignal, end
from pushdesk.cli.output import counted, say, say_json, tell
from pushdesk.errors import EXIT_DONE, EXIT_NO, PushdeskError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pushdesk.cli.options import Reach
    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast, BroadcastPlan, Dispatch, Notification
    from pushdesk.user_file import UserFile

WORD: Final = "broadcast"
"""What is typed to confirm one."""
LONG_LIST: Final = 10_000
"""Users: from so many on it is told that a list is handed over."""


class Broadcasting(NamedTuple):
    """What to send to whom, through which server, and how to tell what came of it."""

    notification: Notification
    listed: UserFile | None
    """None for all users."""
    as_json: bool
    idempotency_key: str
    """Of this broadcast: whoever asks twice, as no answer came, sends it once."""

    def users(self) -> AsyncIterator[str] | None:
        """Return the list from its beginning; None for all users. A long one takes seconds, so it is told of."""
        if self.listed is None:
            return None
        if self.listed.number >= LONG_LIST:
            tell(f"the server is handed a list of {counted(self.listed.number, 'user')}.")
        return self.listed.users()


def broadcast(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The first line")],
    body: Annotated[str | None, typer.Argument(metavar="BODY", help="The text below it")] = None,
    *,
    users: Annotated[
        str | None,
        typer.Option("--users", metavar="FILE|-", help="To whom, a user on each line [default: all users]"),
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out lines that are no user's id")] = False,
    url: options.Url = None,
    topic: options.Topic = None,
    urgency: options.Urgency = None,
    ttl: options.Ttl = None,
    send_at: options.SendAt = None,
    idempotency_key: options.IdempotencyKey = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it would be, and send nothing")] = False,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
    reach: options.Reach,
) -> None:
    """Send a notification to all devices of all users, or of those in a file.

    Shows what it would be and asks, then shows how far it is. Leaving it with ctrl+c does not end it: a server that
    runs goes on, and without one, the next one to start.

    Exit code 0 if a push service took it, 1 if there was nobody to send to or none took it.
    """
    fields = {
        "title": title,
        "body": body,
        "url": url,
        "topic": topic,
        "urgency": urgency,
        "ttl": ttl,
        "send_at": send_at,
    }

    def run() -> int:
        from pushdesk.cli.send import read_fields, read_key
        from pushdesk.model import Notification
        from pushdesk.user_file import UserFile

        notification = read_fields(fields, Notification)
        with ExitStack() as closing:
            listed = None if users is None else closing.enter_context(UserFile.read(users))
            if listed is not None and skip_bad and listed.bad.count:
                tell(f"skipped: {listed.bad.summary()}")
            elif listed is not None:
                listed.bad.check(hint="Correct them, or leave them out with --skip-bad.")
            wanted = Broadcasting(notification, listed, as_json, read_key(idempotency_key) or uuid4().hex)
            if plan:
                return _say_plan(_plan(wanted, reach), as_json=as_json)
            return _confirm_and_send(wanted, reach, yes=yes, can_ask=users != "-")

    end(run)


def _plan(wanted: Broadcasting, reach: Reach) -> BroadcastPlan:
    from pushdesk.cli.one_shot import run_on_desk

    found: list[BroadcastPlan] = []

    async def work(desk: Desk) -> None:
        found.append(await desk.plan_broadcast(wanted.notification, wanted.users()))

    run_on_desk(work, reach)
    return found[0]


def _say_plan(plan: BroadcastPlan, *, as_json: bool) -> int:
    from pushdesk.cli.broadcast_words import plan_lines

    if as_json:
        say_json(msgspec.to_builtins(plan))
    else:
        for line in plan_lines(plan):
            say(line)
    return EXIT_DONE if plan.subscriptions else EXIT_NO


def _confirm_and_send(wanted: Broadcasting, reach: Reach, *, yes: bool, can_ask: bool) -> int:
    """Send, once that is confirmed. The data directory is held by nobody while it is thought over."""
    from pushdesk.cli.broadcast_words import plan_lines, question
    from pushdesk.cli.confirmation import confirm, not_confirmed

    if not yes:
        plan = _plan(wanted, reach)
        for line in plan_lines(plan):
            tell(line)
        if not plan.subscriptions:
            tell("nobody to send to: nothing was sent.")
            return EXIT_NO
        warning = question(wanted.notification, plan)
        if not can_ask:
            raise not_confirmed(warning)
        confirm(warning, WORD)
    return asyncio.run(_send(wanted, reach))


async def _send(wanted: Broadcasting, reach: Reach) -> int:
    from pushdesk.cli.hosting import read_config
    from pushdesk.cli.one_shot import open_own, open_remote, server_or_lock
    from pushdesk.cli.send import LATER

    config = read_config(reach.flags, os.environ)
    found = await server_or_lock(reach, config)
    if isinstance(found, str):
        async with open_remote(found, reach, config, os.environ) as desk:
            return await send_on(desk, wanted, goes_on=" The server goes on with it.")
    async with open_own(found, config) as engine:
        return await send_on(engine, wanted, goes_on=LATER)


async def send_on(desk: Desk, wanted: Broadcasting, *, goes_on: str) -> int:
    """Broadcast on a desk, and show how far it is; returns the exit code.

    Args:
        desk: It.
        wanted: What.
        goes_on: What becomes of it when it is left.

    Raises:
        PushdeskError: It is refused; nothing is sent then.
    """
    from pushdesk.cli.broadcast_progress import follow, progress

    accepted = await _accepted(desk, wanted)
    tell(f"broadcast {accepted.id} is accepted.")
    ending = EndBySignal()
    found = None
    try:
        with progress() as show:
            found = await follow(desk, accepted, ending=ending.asked, show=show)
    except PushdeskError as error:
        if error.code != "forbidden":
            raise
        tell(f"this token may not read how far it is.{goes_on}")
    return await _tell_outcome(desk, accepted, found, wanted, goes_on, ending)


async def _accepted(desk: Desk, wanted: Broadcasting) -> Dispatch:
    """Have it accepted. Where no answer came it is asked for once more: if it was accepted, that is the one."""
    try:
        return await desk.broadcast(wanted.notification, wanted.users(), idempotency_key=wanted.idempotency_key)
    except UnreachableError:
        tell("no answer; asked once more, for the same broadcast.")
    try:
        return await desk.broadcast(wanted.notification, wanted.users(), idempotency_key=wanted.idempotency_key)
    except UnreachableError as error:
        hint = f"It may be accepted. To ask again for the same one: --idempotency-key {wanted.idempotency_key}"
        raise UnreachableError(error.detail, hint=hint) from None


async def _tell_outcome(
    desk: Desk, accepted: Dispatch, found: Broadcast | None, wanted: Broadcasting, goes_on: str, ending: EndBySignal
) -> int:
    from pushdesk.cli.broadcast_progress import ENDED, has_got_through
    from pushdesk.cli.broadcast_words import outcome_lines
    from pushdesk.model import UNSETTLED, BroadcastState, Outcome

    if wanted.as_json:
        say_json(msgspec.to_builtins(await desk.dispatch(accepted.id)))
    elif found is not None:
        for line in outcome_lines(found.counts):
            say(line)
    if found is None:
        return EXIT_DONE
    if found.state is BroadcastState.SCHEDULED:
        tell(f"it is scheduled for {found.send_at:%Y-%m-%d %H:%M:%S} UTC.{goes_on}")
        return EXIT_DONE
    if not has_got_through(found):
        tell(f"{found.done} of {counted(found.planned, 'device')} were got to.{goes_on}")
        tell(f"pushdesk broadcasts abort {found.id} ends it.")
        return ending.exit_code
    if found.state is BroadcastState.CANCELLED:
        tell(f"it was aborted: {found.done} of {counted(found.planned, 'device')} were got to.")
        return EXIT_NO
    left = sum(found.counts.get(outcome, 0) for outcome in UNSETTLED)
    if left and found.state not in ENDED:
        again = left - found.counts.get(Outcome.WAITING, 0)
        tried = f"{counted(again, 'device')} will be tried again" if again else ""
        waits = f"of {counted(left - again, 'device')} no push service has told yet" if left > again else ""
        tell(f"{', and '.join(filter(None, (tried, waits)))}.{goes_on}")
        return EXIT_DONE
    if not found.planned:
        tell("nobody to send to.")
    return EXIT_DONE if found.counts.get(Outcome.ACCEPTED) else EXIT_NO
