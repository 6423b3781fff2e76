"""The users of a scale test: one conversation and one virtual browser each, and what each turn says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pushdesk.simulator.decryption import BrowserKeys

if TYPE_CHECKING:
    from random import Random

CYCLE: Final = 16
"""Turns of a conversation after which their messages have the same length again."""
USER_AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"


class Member(NamedTuple):
    """A user, with the browser that they have."""

    user: str
    conversation: str
    path: bytes
    """Of the endpoint."""
    keys: BrowserKeys

    def __repr__(self) -> str:
        return f"Member({self.user!r})"


def make_crowd(count: int, chance: Random) -> tuple[Member, ...]:
    """Return so many users, with real keys."""
    return tuple(
        Member(
            user=f"user-{number:06}",
            conversation=f"chat-{number:06}",
            # As long as the endpoints of real push services.
            path=f"/push/{number:06}-{chance.randbytes(60).hex()}".encode(),
            keys=BrowserKeys(chance.randbytes(16)),
        )
        for number in range(count)
    )


class Said(NamedTuple):
    """What a turn says."""

    title: str
    text: str


def said_in(conversation: str, turn: int) -> Said:
    """Return what a turn says: a sentence, which is its own summary.

    Its length tells the turn from those before and after it, so that not every push has to be decrypted to know of
    which turn it is: see `pushdesk.scaletest.ledger`.

    Args:
        conversation: Whose turn.
        turn: From 0.
    """
    digits = hashlib.sha256(f"{conversation} {turn}".encode()).hexdigest()
    reference = "".join(str(int(digit, 16) % 10) for digit in digits)[: 8 + turn % CYCLE]
    return Said(
        title=f"The agent in {conversation} has finished",
        text=f"Turn {turn:04} has come to its end and can be looked at, reference {reference}.",
    )


def length_of(turn: int) -> int:
    """Return what the length of a turn's push is over that of the shortest."""
    return turn % CYCLE


class _Turn(msgspec.Struct):
    user: str
    conversation: str
    title: str
    text: str
    status: str = "finished"
    model: str = "gpt-5-mini"
    provider: str = "openai"
    url: str = "/"


_ENCODER: Final = msgspec.json.Encoder()


def turn_body(member: Member, turn: int) -> bytes:
    """Return the body of the request that tells of a turn."""
    said = said_in(member.conversation, turn)
    return _ENCODER.encode(_Turn(member.user, member.conversation, said.title, said.text))
