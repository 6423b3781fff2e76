"""Statements that are executed for every few notifications: compiled once, and given to the driver as they are.

What SQLAlchemy does for each execution costs several times what SQLite does. And the driver gives up the interpreter's
lock for each row that it writes: with a busy event loop, it waits to have it back as often. So rows are written many at
once. There are few texts, whatever the number of rows or the length of a list: the driver keeps what they compile to.

They are compiled for SQLite, from 3.35 on: with `RETURNING`, `UPDATE … FROM`, and its functions of JSON.
"""

from __future__ import annotations

import re
from collections import namedtuple
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.types import TupleType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Delete, Insert, Select, Update

    _Statement = Delete | Insert | Select[Any] | Update

RUN: Final = 64
"""The most rows that are written at once. Fewer are written in runs of a power of two each."""
LIST: Final = 512
"""A list that is no longer than this is made as long as the next power of two, by its last item."""


class Prepared:
    """A statement that is executed with one set of parameters.

    Args:
        statement: What is different each time is a parameter with a name; a list is one that is `expanding`.
        columns: Of an insert, those that are given.
    """

    def __init__(self, statement: _Statement, columns: Sequence[str] = ()) -> None:
        self._compiled: Any = statement.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        binds = self._compiled.binds
        self._asked = dict.fromkeys(name for name in self._compiled.params if binds[name].required)
        self._lists = {name: _item(binds[name].type) for name in self._asked if binds[name].expanding}
        self._made: dict[tuple[int, ...], _Made] = {}
        self.text = self._make((1,) * len(self._lists)).text
        """What the driver is given where each list has one item."""
        # Its columns are known here only.
        row: Any = namedtuple("Row", [str(key) for key in statement.exported_columns.keys()])  # type: ignore[misc]  # noqa: PYI024, SIM118
        self.row: Callable[[Iterable[Any]], Any] = row._make
        """Makes a row of what the driver returns for one."""

    def runs(self, parameters: Any) -> Iterator[tuple[str, Sequence[Any]]]:  # noqa: ANN401 (as SQLAlchemy)
        """Yield what the driver is to execute, each with its parameters."""
        given: Mapping[str, Any] = parameters or {}
        lists = {name: _filled(given[name]) for name in self._lists}
        made = self._make(tuple(map(len, lists.values())))
        known = {**made.constants, **given}
        for name, items in lists.items():
            flat = items if self._lists[name] is None else chain.from_iterable(items)
            known.update(zip(made.expanded[name], flat, strict=True))
        yield made.text, [known[name] for name in made.order]

    def _make(self, sizes: tuple[int, ...]) -> _Made:
        made = self._made.get(sizes)
        if made is None:
            lists = {name: [item] * size for (name, item), size in zip(self._lists.items(), sizes, strict=True)}
            state = self._compiled.construct_expanded_state(self._asked | lists)
            expanded = state.parameter_expansion
            varying = {*self._asked, *chain.from_iterable(expanded[name] for name in self._lists)}
            constants = {name: value for name, value in state.parameters.items() if name not in varying}
            made = _Made(state.statement, tuple(state.positiontup), constants, expanded)
            if max(sizes, default=0) <= LIST:
                self._made[sizes] = made
        return made


class PreparedRows(Prepared):
    """A statement that is executed for many rows: what stands in its `VALUES` is there once for each.

    Its parameters are a list, as those of SQLAlchemy's are; what is not in `VALUES` is the same in all of them.
    """

    def __init__(self, statement: _Statement, columns: Sequence[str] = ()) -> None:
        super().__init__(statement, columns)
        made = self._make(())
        found = cast("re.Match[str]", _VALUES.search(made.text))
        self._head, self._row, self._tail = made.text[: found.start(1)], found[1], made.text[found.end(1) :]
        before = self._head.count("?")
        after = before + self._row.count("?")
        self._constants = made.constants
        self._before, self._after = made.order[:before], made.order[after:]
        self._of_row = itemgetter(*made.order[before:after])

    def runs(self, parameters: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
        """Yield what the driver is to execute, each with its parameters."""
        known = {**self._constants, **parameters[0]}
        before, after = [known[name] for name in self._before], [known[name] for name in self._after]
        first = 0
        while first < len(parameters):
            number = min(RUN, 1 << (len(parameters) - first).bit_length() - 1)
            rows = chain.from_iterable(map(self._of_row, parameters[first : first + number]))
            yield f"{self._head}{', '.join([self._row] * number)}{self._tail}", [*before, *rows, *after]
            first += number


class _Made(NamedTuple):
    text: str
    order: tuple[str, ...]
    constants: Mapping[str, Any]
    expanded: Mapping[str, Sequence[str]]


def _item(type_: object) -> tuple[None, ...] | None:
    """Return what stands for an item of a list of this type."""
    return (None,) * len(type_.types) if isinstance(type_, TupleType) else None


def _filled(items: Collection[Any]) -> list[Any]:
    filled = list(items)
    if 0 < len(filled) <= LIST:
        filled += filled[-1:] * ((1 << (len(filled) - 1).bit_length()) - len(filled))
    return filled


_DIALECT: Final = SQLiteDialect_pysqlite()
_VALUES: Final = re.compile(r"VALUES (\(\?(?:, \?)*\))")
