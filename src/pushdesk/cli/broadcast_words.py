"""What is said of a broadcast: what it would be, how far it is, what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pushdesk.cli.output import counted
from pushdesk.cli.send import WORDS
from pushdesk.model import BroadcastState, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pushdesk.model import Broadcast, BroadcastPlan, Notification

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "m"))


def lasting(seconds: float | None) -> str:
    """Say how long something takes, roughly; nothing if that is not known, or no time at all."""
    if not seconds:
        return ""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {max(1, round(seconds))} s"


def plan_lines(plan: BroadcastPlan) -> Iterator[str]:
    """Yield what a broadcast would be: a line for each push service, and one of all."""
    for part in plan.parts:
        yield _joined(
            f"{part.service:<8}", f"{counted(part.subscriptions, 'device'):>16}", lasting(part.duration_s), part.note
        )
    yield _joined(f"{'all':<8}", f"{counted(plan.subscriptions, 'device'):>16}", lasting(plan.duration_s))
    if plan.users is not None:
        yield f"the list names {counted(plan.users, 'user')}"
    if plan.unknown:
        more = plan.unknown - len(plan.unknown_users)
        shown = ", ".join(plan.unknown_users) + (f" and {more} more" if more else "")
        yield f"{counted(plan.unknown, 'user')} not known, or without a device that is sent to: {shown}"
    yield f"the message has {plan.message_bytes} of at most {plan.limit_bytes} bytes"


def question(notification: Notification, plan: BroadcastPlan) -> str:
    """Return what is about to happen, to be confirmed."""
    whose = "all users" if plan.users is None else counted(plan.users - plan.unknown, "user")
    when = "" if notification.send_at is None else f" at {notification.send_at:%Y-%m-%d %H:%M:%S %Z}"
    end = "What was sent cannot be taken back."
    return f"“{notification.title}” goes to {counted(plan.subscriptions, 'device')} of {whose}{when}. {end}"


def progress_line(broadcast: Broadcast) -> str:
    """Return how far a broadcast is."""
    share = f"{100 * broadcast.done // broadcast.planned} %" if broadcast.planned else ""
    rate = "" if broadcast.per_s is None else f"{broadcast.per_s:.0f} per second"
    left = "" if broadcast.left_s is None else f"{lasting(broadcast.left_s)} left"
    state = "" if broadcast.state is BroadcastState.SENDING else str(broadcast.state)
    parts = (f"{broadcast.done} of {counted(broadcast.planned, 'device')}", share, rate, left, state)
    return ", ".join(part for part in parts if part)


def outcome_lines(counts: Mapping[Outcome, int]) -> Iterator[str]:
    """Yield what came of a broadcast: a line for each outcome."""
    for outcome in Outcome:
        if number := counts.get(outcome):
            yield f"{WORDS[outcome]:<12}  {number}"


def _joined(*parts: str) -> str:
    return "  ".join(part for part in parts if part)
