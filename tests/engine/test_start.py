"""What a start asks of the database: nothing that takes longer with everything that ever was sent or subscribed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine as Database
from sqlalchemy import event

from pushdesk.config import Config
from pushdesk.engine.engine import Engine
from pushdesk.storage.store import DATABASE_NAME, Store
from tests.clocks import FrozenClock
from tests.engine.reads import ACCESS_URL, OpenGate

if TYPE_CHECKING:
    from pathlib import Path

LARGE = ("deliveries", "dispatches", "attempts", "subscriptions", "user_state", "broadcast_users", "chunks")
"""Tables that grow with what is sent, and with who subscribes."""


async def test_a_start_looks_through_no_table_that_grows(tmp_path: Path) -> None:
    asked: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:
        _connection, _cursor, statement, parameters, _context, _many = args
        asked.append((statement, parameters))

    async with Store(tmp_path / DATABASE_NAME):
        pass
    event.listen(Database, "before_cursor_execute", note)
    try:
        async with Store(tmp_path / DATABASE_NAME) as store:
            engine = Engine(
                Config(data_dir=tmp_path), access_url=ACCESS_URL, store=store, transport=OpenGate(), clock=FrozenClock()
            )
            async with engine:
                started = len(asked)
    finally:
        event.remove(Database, "before_cursor_execute", note)
    plans: dict[str, list[str]] = {}
    with closing(sqlite3.connect(tmp_path / DATABASE_NAME)) as database:
        for statement, parameters in asked[:started]:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans[statement] = [row[3] for row in plan]
    assert len(plans) > 10
    # All of an index is looked through only where that has what waits, is held or is under way, and nothing else.
    looked_through = {
        statement: step
        for statement, plan in plans.items()
        for step in plan
        if step in {f"SCAN {name}" for name in LARGE}
    }
    assert looked_through == {}
    # Of a table, the least of a column without an index is found by a search through all of it.
    searched = {step for plan in plans.values() for step in plan if step in {f"SEARCH {name}" for name in LARGE}}
    assert searched == set()
