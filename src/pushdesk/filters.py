"""What a filter of a listing means: a part of a text; after `^`, its beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from pushdesk.model import LogLevel

if TYPE_CHECKING:
    from pushdesk.model import LogEntry

BEGINNING = "^"
LEVELS: Final = tuple(LogLevel)
"""From what matters least to what matters most."""


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


class LogFilter(NamedTuple):
    """What a filter of the log looks for: `warning`, `timeout`, or both: `warning timeout`."""

    level: LogLevel | None
    """The least level."""
    part: str
    """A part of the event's name or of a field's value; empty for any."""

    @classmethod
    def of(cls, wanted: str) -> LogFilter:
        """Return what a filter looks for: its first word is a level, in capitals or not, or belongs to the part."""
        first, _, rest = wanted.partition(" ")
        return cls(LogLevel(first.lower()), rest.strip()) if first.lower() in LEVELS else cls(None, wanted)

    def __str__(self) -> str:
        return " ".join(word for word in (self.level, self.part) if word)

    def passes(self, entry: LogEntry) -> bool:
        """Whether a line passes."""
        if self.level is not None and LEVELS.index(entry.level) < LEVELS.index(self.level):
            return False
        part = Part.of(self.part)
        return part.is_in(entry.event) or any(part.is_in(_text(value)) for value in entry.fields.values())


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
