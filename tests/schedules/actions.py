"""What can happen in a schedule, and which of it comes to the same."""

from __future__ import annotations

from functools import cache
from typing import Final

from pushdesk.engine.subscriptions import JOIN_AGE_S

Schedule = tuple[str, ...]

ACTIONS: Final = {
    "G": "somebody asks for Alice's devices",
    "Gf": "the same with a floor: the generation that the database has now, as a claim hands it over",
    "Gm": "somebody asks for Alice's and Bob's at once, with floors",
    "R": "the statement of a read sees the database",
    "L": "what it saw returns to the cache",
    "E": "it fails",
    "C": "a new subscription of Alice's is committed",
    "P": "her oldest device is gone, and that is committed",
    "K": "the cache is told of such a commit, then everybody is",
    "U": "the cache is told of a commit for Alice of which nobody knows how it ended; it was rolled back",
    "B": "Bob subscribes, or he is removed with all that is known of him; the cache is told at once",
    "A": "the cache is cleared",
    "T": "100 seconds pass",
    "t": "6 seconds pass: what is being read takes too long to be joined",
    "X": "one who waits is cancelled, or has a timeout",
}
"""What can happen. With a number behind it: to the second (2) or third (3) oldest of the reads, commits, waiters."""
PAUSES_S: Final = {"T": 100.0, "t": JOIN_AGE_S + 1}
_SWAPPED: Final = {
    "R": frozenset({"G", "Gf", "Gm", "K", "X", "E", "L"}),
    "C": frozenset({"G", "E", "X", "T", "t"}),
    "P": frozenset({"G", "E", "X", "T", "t"}),
    "t": frozenset({"T"}),
}
"""What is not tried right after an action, as it comes to the same right before it, which is tried.

Each pair is of something that the cache cannot notice, and of something that does not notice it: a statement sees the
database, or a commit happens, and somebody asks without a floor. No chain of such swaps leads back to its beginning.
"""


def numbered(name: str, number: int) -> str:
    return f"{name}{number + 1}" if number else name


@cache
def parsed(action: str) -> tuple[str, int]:
    """Return the name of an action, and to which of several it happens, from 0."""
    name = action.rstrip("0123456789")
    return name, int(action[len(name) :] or 1) - 1


def is_swapped(schedule: Schedule, action: str) -> bool:
    if not schedule:
        return False
    (last, which), (name, other) = parsed(schedule[-1]), parsed(action)
    # What a read saw can only return afterwards.
    return name in _SWAPPED.get(last, ()) and not (name == "L" and which == other)


def can_overlap(pair: str) -> bool:
    first, second = pair.replace("+", " ").split()
    # Whoever asks can do so twice; the others happen to a thing once. The cache notices no sight and no commit.
    return (first != second or first in {"G", "Gf"}) and parsed(second)[0] not in {"R", "C", "P"}
