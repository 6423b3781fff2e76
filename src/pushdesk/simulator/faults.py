"""Faults on demand: what can go wrong, to whom and how often. `fault_text.py` says how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from pushdesk.errors import PushdeskError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from pushdesk.simulator.personality import Personality

MOST_FAULTS: Final = 50
EVERY: Final = 100.0
"""Percent."""
_DATE_AHEAD_S: Final = 30


class FaultKind(StrEnum):
    """What goes wrong."""

    STATUS = "status"
    """The push is answered with a status, in its service's words; written as the number."""
    KEY_MISMATCH = "key-mismatch"
    """It is answered as if the subscription had been made with another key."""
    TTL = "ttl"
    """It is taken, and kept for less time than was asked for."""
    DELAY = "delay"
    """It is taken, and answered, after a while."""
    SILENCE = "silence"
    """It is never answered."""
    RESET = "reset"
    """The connection is reset before the push is read."""
    RESET_AFTER = "reset-after"
    """It is taken, and the connection is reset instead of an answer."""
    SLOW_HEAD = "slow-head"
    """The answer comes one byte at a time, from its status on, and its head has no end."""
    SLOW_BODY = "slow-body"
    """The answer's body comes one byte at a time, without an end."""
    ENDLESS_103 = "endless-103"
    """Early hints (RFC 8297) come without an end."""
    ENDLESS_BODY = "endless-body"
    GZIP_BOMB = "gzip-bomb"
    """The answer's body has a megabyte, and a gigabyte when it is unpacked."""
    REMOVED = "removed"
    """The browser's new endpoint is one at `permanently-removed.invalid`."""
    TLS_EXPIRED = "tls-expired"
    TLS_WRONG_NAME = "tls-wrong-name"
    TLS_CUT = "tls-cut"
    """The connection is reset in the middle of the handshake."""


AT_SUBSCRIBING: Final = frozenset({FaultKind.REMOVED})
AT_CONNECTING: Final = frozenset({FaultKind.TLS_EXPIRED, FaultKind.TLS_WRONG_NAME, FaultKind.TLS_CUT})
AT_PUSHING: Final = frozenset(FaultKind) - AT_SUBSCRIBING - AT_CONNECTING


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, and to whom; made by `parse_fault`."""

    kind: FaultKind
    text: str
    """As it was written."""
    status: int = 201
    seconds: float = 1.0
    retry_after: str | None = None
    """A number of seconds, or which sort of value; None for what the service says of itself."""
    location: str | None = None
    percent: float = EVERY
    next: int | None = None
    """How many times; without end if it is None."""
    browser: int | None = None
    """Its number."""
    subscription: str | None = None
    service: Personality | None = None

    def retry_after_header(self, now: float) -> str:
        """Return what `Retry-After` is to be."""
        match self.retry_after:
            case "date":
                return formatdate(now + _DATE_AHEAD_S, usegmt=True)
            case "garbage":
                return "soon"
            case "huge":
                return "9" * 30
            case "negative":
                return "-30"
        return self.retry_after or ""


class ActiveFault:
    """A fault, with how often it was met and how often it still will be."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = 0

    @property
    def left(self) -> int | None:
        """How many times it will still be met; None for no end."""
        return None if self.fault.next is None else self.fault.next - self.met


class Faults:
    """What goes wrong at present; the first that fits is met.

    Args:
        random: Draws for those that are met at a rate.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._active: list[ActiveFault] = []

    def active(self) -> tuple[ActiveFault, ...]:
        """Return those that can still be met."""
        return tuple(one for one in self._active if one.left != 0)

    def has(self, kinds: frozenset[FaultKind]) -> bool:
        """Whether there are faults of these kinds."""
        return any(one.fault.kind in kinds for one in self.active())

    def set(self, faults: Sequence[Fault]) -> None:
        """Let these go wrong from now on, and nothing else.

        Raises:
            PushdeskError: `bad_field`: they are too many.
        """
        if len(faults) > MOST_FAULTS:
            raise PushdeskError(
                f"There are {len(faults)} faults, and at most {MOST_FAULTS} at once.",
                code="bad_field",
                fields=("faults",),
            )
        self._active = [ActiveFault(fault) for fault in faults]

    def take(
        self,
        kinds: frozenset[FaultKind],
        *,
        service: Personality,
        browser: int | None = None,
        subscription: str | None = None,
    ) -> Fault | None:
        """Return what goes wrong now, if anything does, and count it.

        Args:
            kinds: Those that can go wrong here: `AT_PUSHING`, `AT_CONNECTING` or `AT_SUBSCRIBING`.
            service: Whose connection, push or subscription it is.
            browser: The number of the browser, if it is known.
            subscription: The id of the subscription, if there is one.
        """
        for one in self.active():
            fault = one.fault
            if (
                fault.kind in kinds
                and fault.service in {None, service}
                and fault.browser in {None, browser}
                and fault.subscription in {None, subscription}
                and (fault.percent == EVERY or self._random.random() * 100 < fault.percent)
            ):
                one.met += 1
                return fault
        return None
