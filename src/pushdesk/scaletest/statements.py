"""Which statements a program asks of SQLite: counted at the driver, whoever asks and in whatever thread."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Self

from pushdesk.scaletest.measures import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KNOWN: Final = 2000
"""Texts whose names are remembered."""
_VERB: Final = re.compile(r"\s*(?:WITH\b.*?\)\s+(?!AS\b))?(\w+)", re.IGNORECASE | re.DOTALL)
_ROWS: Final = re.compile(r"\s*(?:INSERT|WITH)\b")
"""How a statement begins in which rows may stand; elsewhere, pairs are of a list."""
_TABLE: Final = re.compile(r"\b(?:INTO|UPDATE|FROM|JOIN)\s+\"?(\w+)", re.IGNORECASE)


def name_of(text: str) -> str:
    """Return what a statement does and to which tables, without anything that it is asked with."""
    found = _VERB.match(text)
    verb = found[1].lower() if found is not None else "?"
    if verb in {"begin", "commit", "rollback", "pragma"}:
        return verb
    tables = list(dict.fromkeys(_TABLE.findall(text)))
    return f"{verb} {', '.join(tables[:3])}".rstrip()


class Statements:
    """Counts them; `install` has every connection that is made from now on counted."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()
        self._found: dict[str, list[float]] = {}

    def install(self) -> None:  # noqa: C901 (each of them is plain)
        """Count what is asked of each connection that is made with `sqlite3.connect` from now on."""
        counts = self

        class Cursor(sqlite3.Cursor):
            def execute(self, text: str, parameters: Any = (), /) -> Self:  # noqa: ANN401 (the driver's own)
                began = time.thread_time()
                try:
                    super().execute(text, parameters)
                finally:
                    # Those that stand in its text, where these are many.
                    counts.note(text, 1 + (text.count("), (?") if _ROWS.match(text) else 0), began)
                return self

            def executemany(self, text: str, parameters: Iterable[Any], /) -> Self:
                sets: Sequence[Any] = list(parameters)
                began = time.thread_time()
                try:
                    super().executemany(text, sets)
                finally:
                    counts.note(text, len(sets), began)
                return self

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:  # noqa: ANN401 (the driver's own)
                return super().cursor(factory)

            # The driver's own ways past the cursors of a connection.
            def execute(self, text: str, parameters: Any = (), /) -> sqlite3.Cursor:  # noqa: ANN401 (the driver's own)
                made: sqlite3.Cursor = self.cursor().execute(text, parameters)
                return made

            def executemany(self, text: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
                made: sqlite3.Cursor = self.cursor().executemany(text, parameters)
                return made

            def commit(self) -> None:
                began = time.thread_time()
                try:
                    super().commit()
                finally:
                    counts.note("commit", 1, began)

            def rollback(self) -> None:
                if not self.in_transaction:
                    # The driver asks for nothing.
                    return
                began = time.thread_time()
                try:
                    super().rollback()
                finally:
                    counts.note("rollback", 1, began)

        connect = sqlite3.connect

        def counted(*args: Any, **more: Any) -> sqlite3.Connection:  # noqa: ANN401 (the driver's own)
            more.setdefault("factory", Connection)
            made: sqlite3.Connection = connect(*args, **more)
            return made

        for module in (sqlite3, sqlite3.dbapi2):
            setattr(module, "connect", counted)  # noqa: B010 (its type is that of a class with overloads)

    def note(self, text: str, rows: int, began: float) -> None:
        """Count a statement that has ended."""
        cpu_s = time.thread_time() - began
        name = self._names.get(text)
        if name is None:
            name = name_of(text)
            if len(self._names) < _KNOWN:
                self._names[text] = name
        with self._lock:
            found = self._found.setdefault(name, [0, 0, 0.0])
            found[0] += 1
            found[1] += rows
            found[2] += cpu_s

    def all(self) -> dict[str, Statement]:
        """Return what was counted, by name."""
        with self._lock:
            return {name: Statement(int(count), int(rows), cpu_s) for name, (count, rows, cpu_s) in self._found.items()}
