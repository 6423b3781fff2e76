"""The ledger: which turn of which conversation was asked for, and which has arrived, once or more often.

Conversations go on when their turn has arrived, so it is known at any time which one a conversation waits for. That a
push is this one, and no earlier one that comes a second time, is told by its length, in which a turn differs from the
fifteen before it; a push of any other length is decrypted on the spot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pushdesk.scaletest.crowd import length_of, said_in
from pushdesk.scaletest.histogram import Histogram
from pushdesk.simulator.decryption import UndecryptableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from pushdesk.scaletest.crowd import Member

TICK_S: Final = 0.1
"""What arrived is counted by tenths of a second."""
ALL_DECRYPTED: Final = 1000
"""So many pushes are all decrypted; of more, as many drawn ones, and one in a hundred."""
_TURN: Final = re.compile(r"Turn (\d+) ")


class _Notification(msgspec.Struct):
    title: str = ""
    body: str = ""


class _Pushed(msgspec.Struct):
    notification: _Notification


class Missing(NamedTuple):
    """A turn that did not arrive."""

    conversation: str
    turn: int
    """From 1."""
    was_accepted: bool
    """Whether the server had said that it took it."""


class Ledger:
    """Counts turns.

    Args:
        crowd: Whose conversations they are of.
        turns: How many each conversation has.
        chance: Draws which pushes are decrypted.
        clock: Seconds, for when something happened.
        arrived: Told of each conversation whose turn has arrived.
    """

    def __init__(
        self,
        crowd: Sequence[Member],
        turns: int,
        *,
        chance: Random,
        clock: Callable[[], float],
        arrived: Callable[[int], None],
    ) -> None:
        self._crowd = crowd
        self._turns = turns
        self._chance = chance
        self._clock = clock
        self._arrived = arrived
        self._base = 0
        """Length of the shortest push, once one was looked into."""
        self._asked = [0] * len(crowd)
        """How many turns of each conversation were asked for."""
        self._accepted = [0] * len(crowd)
        self._done = [0] * len(crowd)
        """How many have arrived."""
        self._asked_at = [0.0] * len(crowd)
        total = len(crowd) * turns
        self._share = 1.0 if total <= ALL_DECRYPTED else ALL_DECRYPTED / total + 0.01
        self._kept: list[tuple[int, int, bytes]] = []
        self.total = total
        self.asked = 0
        self.arrived = 0
        self.accepted = 0
        self.duplicates = 0
        self.tests = 0
        """Pushes that are no turns: each device gets one when it subscribes."""
        self.strange: list[str] = []
        """What came and should not have: the first few, in words."""
        self.began_at: float | None = None
        self.last_at = 0.0
        self.moved_at = 0.0
        """When something was asked for, accepted or has arrived last; later, if the server asked for patience."""
        self.ticks: list[int] = []
        """How many arrived, by tenths of a second since the first was asked for."""
        self.to_arrive = Histogram()
        """Seconds from the request to the push."""
        self.to_accept = Histogram()
        """Seconds from the request to its answer."""

    @property
    def is_complete(self) -> bool:
        """Whether everything has arrived, and the server has said of all of it that it took it."""
        return self.arrived == self.accepted == self.total

    @property
    def under_way(self) -> int:
        """How many were asked for and have not arrived."""
        return self.asked - self.arrived

    def ask(self, number: int) -> int:
        """Note that a conversation's next turn is asked for; returns which."""
        now = self._clock()
        if self.began_at is None:
            self.began_at = now
        turn = self._asked[number]
        self._asked[number] = turn + 1
        self.asked += 1
        self._asked_at[number] = now
        self._move(now)
        return turn

    def put_off(self, seconds: float) -> None:
        """Note that the server asks for so many seconds of patience: nothing has to happen before they are over."""
        self._move(self._clock() + seconds)

    def accept(self, number: int) -> None:
        """Note that the server has taken the turn that was asked for."""
        now = self._clock()
        self._move(now)
        # The push may have been faster, but it is the same turn: the next one is asked for after the answer.
        self.to_accept.add(now - self._asked_at[number])
        self._accepted[number] = self._asked[number]
        self.accepted += 1

    def may_go_on(self, number: int) -> bool:
        """Whether a conversation's turn was taken and has arrived, and there is another one."""
        return self._accepted[number] == self._done[number] == self._asked[number] < self._turns

    def push(self, number: int, body: bytes) -> None:
        """Note a push that came for a conversation's user."""
        expected = self._done[number]
        if not self._base or expected == self._asked[number] or len(body) - self._base != length_of(expected):
            self._look_into(number, body)
            return
        self._note(number, expected, body)

    def _look_into(self, number: int, body: bytes) -> None:
        """Note a push of which only its content tells what it is."""
        conversation = self._crowd[number].conversation
        try:
            pushed = self._read(number, body)
        except (UndecryptableError, msgspec.DecodeError):
            self._wonder(f"a push for {conversation} that cannot be decrypted or read")
            return
        found = _TURN.match(pushed.body)
        if found is None:
            self.tests += 1
            return
        turn = int(found[1])
        if turn < self._done[number]:
            self.duplicates += 1
        elif turn != self._done[number] or turn >= self._asked[number]:
            self._wonder(f"turn {turn + 1} of {conversation}, which was not asked for yet")
        else:
            self._base = self._base or len(body) - length_of(turn)
            self._note(number, turn, body)

    def _note(self, number: int, turn: int, body: bytes) -> None:
        now = self._clock()
        self._done[number] = turn + 1
        self.arrived += 1
        self.last_at = now
        self._move(now)
        assert self.began_at is not None  # noqa: S101 (it was asked for)
        self.to_arrive.add(now - self._asked_at[number])
        tick = int((now - self.began_at) / TICK_S)
        if tick >= len(self.ticks):
            self.ticks += [0] * (tick + 1 - len(self.ticks))
        self.ticks[tick] += 1
        if self._share == 1 or self._chance.random() < self._share:
            self._kept.append((number, turn, body))
        self._arrived(number)

    def untaken(self) -> list[str]:
        """Return the conversations whose last turn that arrived the server has not said that it took."""
        return [
            member.conversation
            for member, done, accepted in zip(self._crowd, self._done, self._accepted, strict=True)
            if done > accepted
        ]

    def missing(self) -> list[Missing]:
        """Return the first turn of each conversation that did not arrive; those after it depend on it."""
        return [
            Missing(member.conversation, done + 1, was_accepted=accepted > done)
            for member, done, accepted in zip(self._crowd, self._done, self._accepted, strict=True)
            if done < self._turns
        ]

    def decrypt(self) -> tuple[int, int]:
        """Decrypt the sample with the browsers' keys; returns how many were as sent, and how many were not."""
        good = bad = 0
        for number, turn, body in self._kept:
            member = self._crowd[number]
            said = said_in(member.conversation, turn)
            try:
                pushed = self._read(number, body)
            except (UndecryptableError, msgspec.DecodeError):
                pushed = _Notification()
            if (pushed.title, pushed.body) == said:
                good += 1
            else:
                bad += 1
                self._wonder(f"turn {turn + 1} of {member.conversation}, which is not what was sent")
        return good, bad

    def _read(self, number: int, body: bytes) -> _Notification:
        plaintext = self._crowd[number].keys.decrypt(body)
        return msgspec.json.decode(plaintext, type=_Pushed).notification

    def _move(self, at: float) -> None:
        self.moved_at = max(self.moved_at, at)

    def _wonder(self, what: str) -> None:
        if len(self.strange) < 20:
            self.strange.append(what)
