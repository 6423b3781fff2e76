"""What is asked of a database, counted by name: so that it is seen what costs a statement for each."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import Final

_NAME: Final = re.compile(
    r"\s*(?:WITH\b.*?\)\s+)?(?:(SELECT)\b.*?\bFROM\s+(\w+)|(INSERT INTO|UPDATE|DELETE FROM)\s+(\w+))", re.DOTALL
)
"""What a statement is called by: its first word, and the first table that it names."""


class Usage:
    """What was asked of a database since it was opened. Counted in several threads, and read in any."""

    def __init__(self) -> None:
        self.statements: Counter[str] = Counter()
        """How often each was executed, by name: what it does, and to which table. Once for many parameters."""
        self.trips = 0
        """How often a thread was asked for something."""
        self.waits = 0
        """How often a connection was asked for."""
        self.waited_s = 0.0
        """For how many seconds one was waited for, together."""
        self._names: dict[str, str] = {}

    def count(self, statement: str) -> None:
        """Count a statement that was executed."""
        name = self._names.get(statement)
        if name is None:
            name = self._names[statement] = name_of(statement)
        self.statements[name] += 1

    def waited(self, since: float) -> None:
        """Count that a connection was waited for, since a moment of `time.perf_counter`."""
        self.waits += 1
        self.waited_s += time.perf_counter() - since


def name_of(statement: str) -> str:
    """Return what a statement is called: `select subscriptions`, `update deliveries`."""
    found = _NAME.match(statement)
    if found is None:
        return " ".join(statement.split()[:2]).lower()
    verb, table = (found[1], found[2]) if found[1] else (found[3], found[4])
    return f"{verb.split()[0]} {table}".lower()
