"""A model of the database: what is committed, and what a statement sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from pushdesk.engine.shelf import Entry
from pushdesk.model import PushTarget, Service
from pushdesk.storage.records import Raised, Targets

ALICE: Final = "alice"
"""Her subscriptions change while they are read."""
BOB: Final = "bob"
"""He shares statements and memory with her. In the beginning he is not known."""
USERS: Final = (ALICE, BOB)


@dataclass(frozen=True, slots=True)
class Row:
    """A user's subscriptions from a commit on; who is not known has no generation."""

    moment: int
    generation: int | None
    devices: tuple[PushTarget, ...]


class Database:
    """Alice's and Bob's subscriptions, as they were after each commit.

    A moment is the number of an action, and a commit takes its moment for the generation: that rises as one counter
    for all users does, and tells at a glance which change it belongs to.
    """

    def __init__(self) -> None:
        self.counter = 1
        """The last generation that was given to anybody."""
        self.rows: dict[str, list[Row]] = {ALICE: [Row(0, 1, (device(1), device(2)))], BOB: [Row(0, None, ())]}
        self._devices = 2

    def now(self, user: str) -> Row:
        """Return what is committed."""
        return self.rows[user][-1]

    def at(self, user: str, moment: int) -> Row:
        """Return what was committed at a moment."""
        return next(row for row in reversed(self.rows[user]) if row.moment <= moment)

    def floor(self, user: str) -> int:
        """Return the generation that a claim sees."""
        return self.now(user).generation or 0

    def targets(self, user: str) -> Targets:
        """Return what a statement sees."""
        row = self.now(user)
        return Targets(self.counter if row.generation is None else row.generation, row.devices)

    def returned(self, _user: str, targets: Targets) -> Targets:
        """Return what the reader makes of it when it returns."""
        return targets

    def subscribe(self, user: str, moment: int) -> Raised | None:
        """Commit one more subscription."""
        self._devices += 1
        return self._commit(user, moment, (*self.now(user).devices, device(self._devices)), None)

    def disable(self, user: str, moment: int) -> Raised | None:
        """Commit that the oldest device is gone."""
        gone, *left = self.now(user).devices
        return self._commit(user, moment, tuple(left), frozenset({gone.subscription}))

    def withdraw(self, user: str, moment: int) -> Raised | None:
        """Commit that a user is removed, with all that is the user's."""
        removed = frozenset(device.subscription for device in self.now(user).devices)
        raised = self._commit(user, moment, (), removed)
        self.rows[user][-1] = Row(moment, None, ())
        return raised

    def roll_back(self, user: str, moment: int) -> Raised:
        """Disable the oldest device in a transaction that comes to nothing."""
        removed = frozenset(device.subscription for device in self.now(user).devices[:1])
        return Raised(user, self.floor(user), moment, removed)

    def next_generation(self, _user: str, moment: int) -> int:
        """Return the generation that a commit gives."""
        return moment

    def _commit(
        self, user: str, moment: int, devices: tuple[PushTarget, ...], removed: frozenset[str] | None
    ) -> Raised | None:
        before, after = self.floor(user), self.next_generation(user, moment)
        assert moment > self.now(user).moment
        self.counter = after
        self.rows[user].append(Row(moment, after, devices))
        return Raised(user, before, after, removed)


@cache
def device(number: int) -> PushTarget:
    """Return a device; all are of the same size."""
    return PushTarget(
        subscription=f"{number:03}",
        version=1,
        user="",
        service=Service.OTHER,
        key_id="",
        device="",
        endpoint="x" * 1000,
        p256dh=b"",
        auth=b"",
    )


def size_of(*devices: PushTarget) -> int:
    """Return the bytes that the cache counts for Alice with these devices: Bob, of the shorter name, takes no more."""
    return Entry(ALICE, Targets(1, devices), 0.0, 0.0).size
