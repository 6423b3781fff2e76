"""The rows of the cached users: what was told of one, and how old that is by now."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from textual.content import Content

from pushdesk.console.figures import count, moment, size, span
from pushdesk.console.status import QUIET
from pushdesk.console.text import plain

if TYPE_CHECKING:
    from datetime import datetime

    from pushdesk.model import CacheEntry

GRAIN_S: Final = 5
"""Ages are told in steps of so many seconds: a table that is looked at is not painted anew for every second."""
CLOSE_S: Final = 10
"""Seconds from which on the end is told to the second."""
EXPIRED: Final = "expired"
LABEL: Final = 12


class CacheRow(NamedTuple):
    """A cached user, with the texts that change by themselves."""

    entry: CacheEntry
    told_at: datetime
    age: str
    left: str

    @classmethod
    def of(cls, entry: CacheEntry, told_at: datetime, now: datetime) -> CacheRow:
        """Return the row of an entry that was told of at a time, as it is now."""
        since_s = (now - told_at).total_seconds()
        age_s, left_s = max(0.0, entry.age_s + since_s), entry.time_left_s - since_s
        shown_left_s = left_s if left_s < CLOSE_S else ceil(left_s / GRAIN_S) * GRAIN_S
        left = span(shown_left_s) if left_s > 0 else EXPIRED
        return cls(entry, told_at, span(age_s // GRAIN_S * GRAIN_S), left)

    def at(self, now: datetime) -> CacheRow:
        """Return the row as it is now."""
        return self.of(self.entry, self.told_at, now)

    def cells(self) -> list[Content]:
        """Return the cells of the row."""
        entry = self.entry
        return [
            Content(plain(entry.user)),
            Content.styled(count(entry.devices), "" if entry.devices else QUIET),
            Content(count(entry.generation)),
            Content(self.age),
            Content.styled(self.left, QUIET if self.left == EXPIRED else ""),
            Content(count(entry.size)),
        ]

    def in_full(self, now: datetime) -> Content:
        """Return everything that is known of it."""
        entry, row = self.entry, self.at(now)
        devices = count(entry.devices) if entry.devices else "none, which is remembered too"
        left = (
            "it is read again when it is next needed" if row.left == EXPIRED else f"{row.left}, then it is read again"
        )
        facts = (
            ("user", Content.styled(plain(entry.user), "bold")),
            ("devices", devices),
            ("generation", f"{count(entry.generation)}, which rises with every change"),
            ("age", f"{row.age}, as of {moment(now, now)}"),
            ("time left", left),
            ("memory", size(entry.size)),
        )
        return Content("\n").join(Content.assemble((name.ljust(LABEL), QUIET), value) for name, value in facts)
