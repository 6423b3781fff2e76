"""Statements that go past SQLAlchemy do what they do as SQLAlchemy executes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    bindparam,
    column,
    create_engine,
    delete,
    insert,
    null,
    select,
    tuple_,
    update,
    values,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from pushdesk.errors import DatabaseError
from pushdesk.storage.accepting import FORGET_KEYS, SELECT_KEYS
from pushdesk.storage.answers import is_one_of
from pushdesk.storage.database import Database
from pushdesk.storage.prepared import LIST, RUN, Prepared, PreparedRows
from pushdesk.storage.schema import subscriptions, user_state

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection, Executable

THINGS: Final = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String),
    Column("owner", String),
    Column("body", LargeBinary),
)
TEXTS: Final = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
NAMES: Final = st.none() | TEXTS
ROWS: Final = st.lists(st.tuples(NAMES, NAMES, st.none() | st.binary(max_size=5)), max_size=2 * RUN + 3)
RENAMED: Final = (
    values(column("thing", Integer), column("new_name", String), name="renamed")
    .data([(bindparam("thing"), bindparam("new_name"))])
    .cte("renamed")
)
INSERT: Final = insert(THINGS)
SELECT: Final = select(THINGS.c.body, THINGS.c.id).order_by(THINGS.c.id)
NAMED: Final = SELECT.where(
    THINGS.c.name.in_(bindparam("names", expanding=True)), THINGS.c.id != bindparam("but"), THINGS.c.id.in_([1, 2])
)
OWNED: Final = (
    delete(THINGS)
    .where(tuple_(THINGS.c.name, THINGS.c.owner).in_(bindparam("pairs", expanding=True)))
    .returning(THINGS)
)
RENAME: Final = (
    update(THINGS)
    .where(THINGS.c.id == RENAMED.c.thing, THINGS.c.owner == bindparam("mine"))
    .values(name=RENAMED.c.new_name, body=null())
)


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://", poolclass=StaticPool)
    with engine.connect() as opened:
        THINGS.metadata.create_all(opened)
        opened.commit()
        yield opened
    engine.dispose()


def run(connection: Connection, statement: Prepared, parameters: Any) -> list[Any]:
    """Execute a prepared statement as the driver does, in the transaction of SQLAlchemy's connection."""
    cursor: Any = connection.connection.cursor()
    rows: list[Any] = []
    for text, given_ in statement.runs(parameters):
        rows += map(statement.row, cursor.execute(text, given_).fetchall())
    return rows


def outcome(
    connection: Connection, rows: Sequence[dict[str, Any]], statement: Prepared | Executable, parameters: Any
) -> tuple[list[Any], list[Any]]:
    """Return what a statement returns and leaves, where there are these things."""
    with connection.begin() as transaction:
        connection.execute(delete(THINGS))
        if rows:
            connection.execute(INSERT, rows)
        if isinstance(statement, Prepared):
            returned = run(connection, statement, parameters)
        else:
            result = connection.execute(statement, parameters)
            returned = [tuple(row) for row in result] if result.returns_rows else []
        left = [tuple(row) for row in connection.execute(select(THINGS).order_by(THINGS.c.id))]
        transaction.rollback()
    return returned, left


def things(rows: Sequence[tuple[str | None, str | None, bytes | None]]) -> list[dict[str, Any]]:
    return [{"id": id_, "name": row[0], "owner": row[1], "body": row[2]} for id_, row in enumerate(rows, start=1)]


@given(rows=ROWS.filter(bool))
def test_rows_of_any_number_are_written_as_one_by_one(connection: Connection, rows: list[Any]) -> None:
    made = things(rows)
    inserting = PreparedRows(INSERT, THINGS.c.keys())
    assert outcome(connection, (), inserting, made) == outcome(connection, (), INSERT, made)


@given(rows=ROWS.filter(bool), mine=NAMES)
def test_rows_of_any_number_are_changed_as_one_by_one(
    connection: Connection, rows: list[Any], mine: str | None
) -> None:
    one = update(THINGS).where(THINGS.c.id == bindparam("thing"), THINGS.c.owner == bindparam("mine"))
    one = one.values(name=bindparam("new_name"), body=null())
    made = things(rows)
    changes = [{"thing": row["id"] + 1, "new_name": row["owner"], "mine": mine} for row in reversed(made)]
    assert outcome(connection, made, PreparedRows(RENAME), changes) == outcome(connection, made, one, changes)


@given(rows=ROWS, names=st.sets(TEXTS), but=st.integers(0, 3))
def test_what_a_list_names_is_found_whatever_its_length(
    connection: Connection, rows: list[Any], names: set[str], but: int
) -> None:
    asked = {"names": names, "but": but}
    made = things(rows)
    assert outcome(connection, made, Prepared(NAMED), asked) == outcome(connection, made, NAMED, asked)


@given(rows=ROWS, pairs=st.lists(st.tuples(TEXTS, TEXTS)), number=st.integers(0, 9))
def test_what_a_list_of_pairs_names_is_found(
    connection: Connection, rows: list[Any], pairs: list[tuple[str, str]], number: int
) -> None:
    made = things(rows)
    pairs += [(row["name"], row["owner"]) for row in made[:number] if None not in (row["name"], row["owner"])]
    returned, left = outcome(connection, made, Prepared(OWNED), {"pairs": pairs})
    expected, kept = outcome(connection, made, OWNED, {"pairs": pairs})
    assert (set(returned), left) == (set(expected), kept)


def test_rows_have_their_columns_names_and_texts_are_few() -> None:
    row = Prepared(OWNED).row((1, "a", "b", b"c"))
    assert (row.id, row.name, row.owner, row.body) == (1, "a", "b", b"c")
    inserting = PreparedRows(INSERT, THINGS.c.keys())
    texts = {text for number in range(1, 501) for text, _ in inserting.runs(things([("a", "b", b"c")] * number))}
    assert len(texts) == RUN.bit_length()
    named, owned = Prepared(NAMED), Prepared(OWNED)
    names = [str(number) for number in range(LIST)]
    asked = [{"names": names[:number], "but": 0} for number in range(1, LIST + 1)]
    assert len({text for parameters in asked for text, _ in named.runs(parameters)}) == LIST.bit_length()
    ((_, values_of_many),) = owned.runs({"pairs": [(name, name) for name in [*names, "one more"]]})
    assert len(values_of_many) == 2 * (LIST + 1)


@pytest.mark.parametrize("statement", [SELECT_KEYS, FORGET_KEYS], ids=["select", "forget"])
async def test_idempotency_keys_are_looked_up_one_by_one_however_many_are_wanted(
    tmp_path: Path, statement: Prepared
) -> None:
    wanted = [{"of_sender": "app", "of_key": str(number), "oldest": 0} for number in range(8)]
    ((asked, given_),) = statement.runs(wanted)
    async with Database(tmp_path / "pushdesk.db", on_raised=lambda *_told: None) as database:
        plan = await database.beside(lambda driver: driver.execute(f"EXPLAIN QUERY PLAN {asked}", given_).fetchall())
    assert any("SEARCH idempotency_keys" in row[3] and "(sender=? AND key=?)" in row[3] for row in plan), plan


async def test_subscriptions_are_looked_up_one_by_one_however_many_are_to_be_disabled(tmp_path: Path) -> None:
    statement = select(subscriptions).where(is_one_of([("a", 1), ("b", 2)]))
    asked = f"EXPLAIN QUERY PLAN {statement.compile(dialect=sqlite.dialect(), compile_kwargs={'literal_binds': True})}"
    async with Database(tmp_path / "pushdesk.db", on_raised=lambda *_told: None) as database:
        plan = await database.beside(lambda driver: driver.execute(asked).fetchall())
    assert any("SEARCH subscriptions" in row[3] and "(id=?)" in row[3] for row in plan), plan


async def test_what_the_driver_refuses_is_an_error_of_the_database_and_nothing_of_it_is_kept(tmp_path: Path) -> None:
    users = [{"user": f"user {number}", "generation": 1, "created_at": 0} for number in range(RUN)]
    inserting = PreparedRows(insert(user_state), user_state.c.keys())
    async with Database(tmp_path / "pushdesk.db", on_raised=lambda *_told: None) as database:
        with pytest.raises(DatabaseError, match=re.escape("UNIQUE constraint failed: user_state.user.")) as refused:
            async with database.write() as transaction:
                await transaction.execute(inserting, [*users, users[0]])
        assert "user 1" not in str(refused.value)
        async with database.write() as transaction:
            assert await transaction.execute(select(user_state)) == []
            before = database.usage.statements.copy()
            assert (await transaction.execute(inserting, [*users, users[0] | {"user": "one more"}])).rowcount == RUN + 1
            assert database.usage.statements - before == {"insert user_state": 2}
