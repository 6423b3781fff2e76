"""Answers prepared beforehand for the next pushes, to the letter; what goes wrong in other ways is in `faults.py`."""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct

from pushdesk.errors import PushdeskError

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x7e]{0,1024}", re.ASCII)
_FRAMING = frozenset({"connection", "content-length", "trailer", "transfer-encoding", "upgrade"})
_BODILESS = frozenset({204, 205, 304})
_MOST_ANSWERS = 100
_MOST_HEADERS = 20


class PreparedAnswer(Struct, forbid_unknown_fields=True):
    """What the next pushes are answered with, unchecked and undelivered."""

    status: Annotated[int, Meta(ge=200, le=599)]
    headers: dict[str, str] = {}
    body: Annotated[str, Meta(max_length=65536)] = ""
    count: Annotated[int, Meta(ge=1, le=100_000)] = 1
    """How many pushes are left for it."""
    subscription: Annotated[str, Meta(max_length=64)] | None = None
    """The id of the one subscription that it is for; else it is for any endpoint, known or not."""


class PreparedAnswers:
    """The answers that wait for pushes; the oldest that fits is taken first."""

    def __init__(self) -> None:
        self._waiting: list[PreparedAnswer] = []

    def waiting(self) -> tuple[PreparedAnswer, ...]:
        """Return what is still to be given."""
        return tuple(self._waiting)

    def add(self, answer: PreparedAnswer) -> None:
        """Put an answer behind those that wait.

        Raises:
            PushdeskError: `bad_field`: it cannot be sent, or too many wait already.
        """
        if len(self._waiting) >= _MOST_ANSWERS:
            raise _bad_field(f"There are {_MOST_ANSWERS} prepared answers already.", "answers")
        if len(answer.headers) > _MOST_HEADERS:
            raise _bad_field(f"An answer has at most {_MOST_HEADERS} headers.", "headers")
        for name, value in answer.headers.items():
            if _NAME.fullmatch(name) is None or _VALUE.fullmatch(value) is None or name.lower() in _FRAMING:
                raise _bad_field("A header cannot be sent: its name or its value is not allowed.", "headers")
        if answer.body and answer.status in _BODILESS:
            raise _bad_field(f"An answer with status {answer.status} has no body.", "body")
        self._waiting.append(answer)

    def take(self, subscription: str) -> PreparedAnswer | None:
        """Return the answer for a push to `subscription`, if one was prepared, and count it."""
        for answer in self._waiting:
            if answer.subscription in {None, subscription}:
                answer.count -= 1
                if answer.count == 0:
                    self._waiting.remove(answer)
                return answer
        return None

    def clear(self) -> None:
        """Forget them all."""
        self._waiting.clear()


def _bad_field(detail: str, name: str) -> PushdeskError:
    return PushdeskError(detail, code="bad_field", fields=(name,))
