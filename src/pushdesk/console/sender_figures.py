"""What is said of the sender processes: how many of them run, and how much they have in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.console.figures import count, plural

if TYPE_CHECKING:
    from pushdesk.model import Stats


def who_sends(stats: Stats, width: int) -> str:
    """Return what sends, and how many pushes it has in hand, in so many cells."""
    senders = stats.senders
    if not stats.sends:
        return "push is switched off"
    hand = f"{count(senders.in_hand)} in hand"
    if not senders.wanted:
        forms = [f"the server by itself · {hand}", "the server by itself"]
    else:
        running = f"{count(senders.running)} of {count(senders.wanted)}"
        pushes = plural(senders.in_hand, "push", "pushes")
        forms = [f"{running} processes · {pushes} in hand", f"{running} · {hand}", running]
    return next((text for text in forms if len(text) <= width), forms[-1])


def who_sends_in_short(stats: Stats) -> str:
    """Return what sends, in the fewest words, beside what is said of the server."""
    senders = stats.senders
    if not stats.sends:
        return "push is off"
    return f"{count(senders.running)} of {count(senders.wanted)} senders" if senders.wanted else "sends by itself"
