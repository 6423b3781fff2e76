"""What a filter of a listing means: a part of a text; after `^`, its beginning."""

from __future__ import annotations

from typing import NamedTuple

BEGINNING = "^"


class Part(NamedTuple):
    """What a filter looks for."""

    text: str
    is_beginning: bool

    @classmethod
    def of(cls, wanted: str) -> Part:
        """Return what a filter looks for; an id that begins with `^` itself is found by its other characters."""
        if wanted.startswith(BEGINNING):
            return cls(wanted.removeprefix(BEGINNING), is_beginning=True)
        return cls(wanted, is_beginning=False)

    def is_in(self, text: str) -> bool:
        """Whether a text is one that is looked for; upper and lower case are different."""
        return text.startswith(self.text) if self.is_beginning else self.text in text


def passes(text: str, wanted: str) -> bool:
    """Whether a text passes a filter."""
    return Part.of(wanted).is_in(text)
