"""Commands for broadcasts and for what is scheduled, in the words in which it is told what came of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual.content import Content

from pushdesk.console.device_commands import Said
from pushdesk.console.figures import count, plural
from pushdesk.console.screens.asking import ask
from pushdesk.console.status import BROADCASTS
from pushdesk.console.text import plain
from pushdesk.model import BroadcastState

if TYPE_CHECKING:
    from pushdesk.console.refusals import RefusingScreen
    from pushdesk.desk import Desk
    from pushdesk.model import Broadcast, Dispatch

GOING_ON = frozenset({BroadcastState.SCHEDULED, BroadcastState.SENDING, BroadcastState.PAUSED})


def needless(action: str, broadcast: Broadcast) -> str | None:
    """Return why a command would do nothing to a broadcast, or None if it would do something."""
    if action in {"pause", "resume", "abort"} and broadcast.state not in GOING_ON:
        return f"This broadcast is {BROADCASTS[broadcast.state].word} already."
    if action == "pause" and broadcast.state is BroadcastState.PAUSED:
        return "It is paused already."
    return "It is not paused." if action == "resume" and broadcast.state is not BroadcastState.PAUSED else None


def ask_to_pause(screen: RefusingScreen[Any], broadcast: Broadcast) -> None:
    """Ask, and send nothing more of a broadcast until it is resumed."""
    text = _of(
        broadcast, "Nothing more of it is sent until it is resumed, also after a restart. It expires by its TTL."
    )
    command = partial(_pause, screen.app.desk, broadcast.id)
    ask(screen, title="Pause this broadcast?", text=text, do="Pause", command=command)


def ask_to_resume(screen: RefusingScreen[Any], broadcast: Broadcast) -> None:
    """Ask, and go on with a broadcast that is paused."""
    left = broadcast.planned - broadcast.done
    text = _of(broadcast, f"It goes on to the {plural(left, 'device')} that are left." if left else "It goes on.")
    command = partial(_resume, screen.app.desk, broadcast.id)
    ask(screen, title="Resume this broadcast?", text=text, do="Resume", command=command)


def ask_to_abort(screen: RefusingScreen[Any], broadcast: Broadcast) -> None:
    """Ask, and end a broadcast."""
    sent = f"What was sent to {count(broadcast.done)} by now was sent. " if broadcast.done else ""
    text = _of(broadcast, f"{sent}Nothing more of it is sent, and it cannot be taken up again.")
    command = partial(_abort, screen.app.desk, broadcast.id)
    ask(screen, title="Abort this broadcast?", text=text, do="Abort", command=command)


def ask_to_cancel(screen: RefusingScreen[Any], dispatch: Dispatch) -> None:
    """Ask, and take back what is scheduled, queued or being sent."""
    whom = plain(dispatch.user or "everybody")
    text = Content.assemble(
        (plain(dispatch.title), "bold"),
        f" for {whom} is not sent. What is under way may still arrive, and is not tried again.",
    )
    command = partial(cancel, screen.app.desk, dispatch.id)
    ask(screen, title="Take it back?", text=text, do="Take it back", leave="Leave it", command=command)


async def _pause(desk: Desk, broadcast: str) -> Said:
    return _said(await desk.pause_broadcast(broadcast))


async def _resume(desk: Desk, broadcast: str) -> Said:
    return _said(await desk.resume_broadcast(broadcast))


async def _abort(desk: Desk, broadcast: str) -> Said:
    return _said(await desk.abort_broadcast(broadcast))


async def cancel(desk: Desk, dispatch: str) -> Said:
    """Take back what is scheduled, queued or being sent.

    Raises:
        PushdeskError: There is nothing left of it, or it was refused.
    """
    cancelled = await desk.cancel(dispatch)
    return Said(f"{plain(cancelled.title)}: taken back")


def _said(broadcast: Broadcast) -> Said:
    return Said(f"{plain(broadcast.title)}: {BROADCASTS[broadcast.state].content().plain}")


def _of(broadcast: Broadcast, means: str) -> Content:
    return Content.assemble((plain(broadcast.title), "bold"), f": {means}")
