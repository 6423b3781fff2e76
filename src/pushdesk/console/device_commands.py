"""Commands for users and their devices: given in the background, where they outlive the screen that they come from."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from textual.message import Message

from pushdesk.console.figures import plural
from pushdesk.console.status import OUTCOMES, delivery_status
from pushdesk.console.subject import Subject
from pushdesk.console.text import plain
from pushdesk.console.workers import begin
from pushdesk.errors import PushdeskError, UnreachableError
from pushdesk.model import Outcome, RestoreResult

if TYPE_CHECKING:
    from collections.abc import Coroutine, Hashable, Mapping

    from pushdesk.console.app import PushdeskApp
    from pushdesk.console.refusals import RefusingScreen
    from pushdesk.desk import Desk

LOOKS_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""After how long it is looked what became of something that was sent again."""
PERHAPS_DONE: Final = "It may still have been done."


class Said(NamedTuple):
    """What is to be said of a command that was carried out."""

    text: str
    good: bool = True


class CommandDone(Message):
    """A command of this screen was carried out."""


def give(screen: RefusingScreen[Any], command: partial[Coroutine[Any, Any, Said]]) -> None:
    """Give a command, say what came of it, and tell the screen; refuse it while the same one is under way.

    Args:
        screen: Where it comes from.
        command: Gives it; a `PushdeskError` from it is shown.
    """
    same = _same(command)
    if same in screen.app.commands_under_way:
        screen.app.notify(
            "It is being sent." if command.func in {test, send_again} else "It is being done.", severity="warning"
        )
        return
    screen.app.commands_under_way.add(same)
    begin(screen.app, partial(_give, screen, command), group="commands")


def say(app: PushdeskApp, said: Said) -> None:
    """Say what came of a command."""
    app.notify(said.text, severity="information" if said.good else "warning")


def said_of_failing(error: PushdeskError) -> str:
    """Return what is said of a command that failed; one without an answer may have been done all the same."""
    return f"{error} {PERHAPS_DONE}" if isinstance(error, UnreachableError) else str(error)


def report_failed(app: PushdeskApp, error: PushdeskError) -> None:
    """Show that a command failed: also where the server is away, of which a page that was asked for says nothing."""
    app.report(error, toast=False)
    app.notify(said_of_failing(error), severity="error", title=error.kind.title)


async def test(desk: Desk, subject: Subject) -> Said:
    """Send the test push to a user's devices, or to the one that is named.

    Raises:
        PushdeskError: There is none, or it was refused.
    """
    deliveries = await desk.test(subject.user, subject.subscription or None)
    good = all(delivery.outcome is Outcome.ACCEPTED for delivery in deliveries)
    if len(deliveries) == 1:
        return Said(f"{subject.label}: {delivery_status(deliveries[0]).plain}", good)
    outcomes = [delivery.outcome for delivery in deliveries]
    return Said(f"{subject.label}: {_counted({each: outcomes.count(each) for each in outcomes})}", good)


async def send_again(desk: Desk, subject: Subject) -> Said:
    """Send once more what a delivery was of, and wait a moment for what becomes of it.

    Raises:
        PushdeskError: Nobody would get it, or it was refused; not that its outcome cannot be seen.
    """
    dispatch = await desk.resend(subject.delivery)
    for pause_s in LOOKS_S:
        if dispatch.counts and all(outcome is not Outcome.WAITING for outcome in dispatch.counts):
            break
        await asyncio.sleep(pause_s)
        try:
            dispatch = await desk.dispatch(dispatch.id)
        except PushdeskError:
            # It is sent all the same.
            return Said(f"{subject.label}, sent again: queued")
    good = not set(dispatch.counts) - {Outcome.ACCEPTED, Outcome.WAITING}
    return Said(f"{subject.label}, sent again: {_counted(dispatch.counts) or 'queued'}", good)


async def invalidate(desk: Desk, user: str) -> Said:
    """Let a user's devices be read again when they are next needed.

    Raises:
        PushdeskError: It was refused.
    """
    held = await desk.invalidate_cache(user)
    what = "is dropped from the cache" if held else "was not in the cache"
    return Said(f"{plain(user)} {what}: the devices are read when they are next needed.")


async def remove_device(desk: Desk, subscription: str) -> Said:
    """Remove a subscription.

    Raises:
        PushdeskError: It was refused.
    """
    return Said(f"Removed {plural(await desk.remove_subscriptions([subscription]), 'subscription')}")


async def restore(desk: Desk, subscription: str) -> Said:
    """Send again to a device that was disabled.

    Raises:
        PushdeskError: It was refused.
    """
    results = await desk.restore_subscriptions([subscription])
    if any(each.result in {RestoreResult.RESTORED, RestoreResult.ALREADY_ACTIVE} for each in results):
        return Said("Restored 1 device")
    reasons = " ".join(plain(each.reason) for each in results)
    return Said(f"It was not restored. {reasons}".strip(), good=False)


async def _give(screen: RefusingScreen[Any], command: partial[Coroutine[Any, Any, Said]]) -> None:
    app = screen.app
    try:
        said = await command()
    except PushdeskError as error:
        report_failed(app, error)
    else:
        say(app, said)
        screen.post_message(CommandDone())
    finally:
        app.commands_under_way.discard(_same(command))


def _same(command: partial[Coroutine[Any, Any, Said]]) -> Hashable:
    """Return what two commands have in common of which one waits for the other.

    Whichever delivery it is of: in a list that follows, what was just sent again is the next one under the cursor.
    """
    return command.func, *(each._replace(delivery="") if isinstance(each, Subject) else each for each in command.args)


def _counted(outcomes: Mapping[Outcome, int]) -> str:
    """Return how many deliveries came to what: `✓ 2 accepted, ✗ 1 gone`."""
    return ", ".join(OUTCOMES[outcome].content(str(number)).plain for outcome, number in outcomes.items() if number)
