"""What is said of a broadcast: how far it is, how fast, what came of it, and what one would be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.content import Content

from pushdesk.console.figures import count, moment, plural, rate, span
from pushdesk.console.previews import size_of
from pushdesk.console.status import BAD, BROADCASTS, BUSY, GOOD, OUTCOMES, QUIET, SERVICES
from pushdesk.console.text import plain
from pushdesk.model import BroadcastState, Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from pushdesk.console.widgets.facts import Fact
    from pushdesk.model import Broadcast, BroadcastPlan

BAR: Final = 10
WIDE_BAR: Final = 24
"""Cells of a bar."""
ENDED: Final = frozenset({BroadcastState.DONE, BroadcastState.CANCELLED})


def progress(done: int, planned: int, *, cells: int = BAR) -> Content:
    """Return how far something is: a bar, and whole percents of which 100 is said of all only."""
    share = min(1.0, done / planned) if planned else 1.0
    full, percents = int(share * cells), int(share * 100)
    style = GOOD if share >= 1 else BUSY
    return Content.assemble(("█" * full, style), ("░" * (cells - full), QUIET), f" {percents:3} %")


def not_accepted(broadcast: Broadcast) -> int:
    """Return how many devices were got to and did not take it, or not yet."""
    return sum(number for outcome, number in broadcast.counts.items() if outcome is not Outcome.ACCEPTED)


def how_fast(broadcast: Broadcast) -> str:
    """Return how many devices a second it gets to, while it does."""
    return f"{rate(broadcast.per_s)}/s" if broadcast.per_s is not None else ""


def time_left(broadcast: Broadcast) -> str:
    """Return how long it still takes, where that is known."""
    return span(broadcast.left_s) if broadcast.left_s is not None else ""


def outcomes(counts: Mapping[Outcome, int]) -> Content:
    """Return what came of it: each outcome with how often."""
    marks = [
        Content.assemble(OUTCOMES[each].content(), f" {count(number)}") for each, number in counts.items() if number
    ]
    return Content("   ").join(marks) if marks else Content.styled("none yet", QUIET)


def broadcast_facts(broadcast: Broadcast, now: datetime) -> list[Fact]:
    """Return all that is known of a broadcast, but for what goes to each push service."""
    to = "all users" if broadcast.users is None else f"{plural(broadcast.users, 'user')} of a list"
    facts: list[Fact] = [
        ("title", Content.styled(plain(broadcast.title), "bold")),
        ("to", to),
        ("state", BROADCASTS[broadcast.state].content()),
        ("accepted", moment(broadcast.accepted_at, now)),
    ]
    for name, time in (("send at", broadcast.send_at), ("began", broadcast.started_at), ("ended", broadcast.ended_at)):
        facts += [(name, moment(time, now))] * (time is not None)
    if broadcast.parts:
        of_all = f"   {count(broadcast.done)} of {plural(broadcast.planned, 'device')}"
        facts.append(("progress", progress(broadcast.done, broadcast.planned, cells=WIDE_BAR).append(of_all)))
    if broadcast.per_s is not None:
        left = f", {time_left(broadcast)} left" if broadcast.left_s is not None else ""
        facts.append(("rate", f"{how_fast(broadcast)}{left}"))
    return [*facts, ("outcomes", outcomes(broadcast.counts)), ("id", plain(broadcast.id))]


def plan_text(plan: BroadcastPlan) -> Content:
    """Return what a broadcast would be: to how many devices of which push service, how large, and how long it takes."""
    lines = [_part(SERVICES[part.service], part.subscriptions, part.duration_s, part.note) for part in plan.parts]
    lines.append(_part("all", plan.subscriptions, plan.duration_s, "").stylize("bold"))
    if plan.users is not None:
        lines.append(Content(f"The list names {plural(plan.users, 'user')}."))
    if plan.unknown:
        named = ", ".join(plain(user) for user in plan.unknown_users)
        more = ", …" if plan.unknown > len(plan.unknown_users) else ""
        lines.append(
            Content.assemble(
                (f"! {plural(plan.unknown, 'user')} not known, or without a device: ", BUSY), (f"{named}{more}", QUIET)
            )
        )
    lines.append(size_of(plan.message_bytes))
    if not plan.subscriptions:
        lines.append(Content.styled("✗ There is no device that it would be sent to.", BAD))
    return Content("\n").join(lines)


def _part(name: str, subscriptions: int, duration_s: float | None, note: str) -> Content:
    lasts = "" if duration_s is None else f"   about {span(max(1.0, duration_s))}"
    said = Content(f"{name:<10}{plural(subscriptions, 'device'):>18}{lasts}")
    return Content.assemble(said, (f"   {plain(note)}", BUSY)) if note else said
