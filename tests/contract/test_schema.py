"""The migrations and the tables say the same, and PostgreSQL would take them too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from pushdesk.storage import migrations, revisions
from pushdesk.storage.schema import metadata
from pushdesk.storage.store import Store

if TYPE_CHECKING:
    from pathlib import Path


async def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    async with Store(tmp_path / "pushdesk.db"):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'pushdesk.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_every_migration_is_known_by_its_revision() -> None:
    script = ScriptDirectory(migrations.__path__[0])
    assert {revision.revision for revision in script.walk_revisions()} == revisions.KNOWN
    assert script.get_current_head() == revisions.HEAD


def test_postgresql_would_take_the_tables() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    for table in metadata.sorted_tables:
        assert str(CreateTable(table).compile(dialect=dialect)).strip().startswith("CREATE TABLE")
        for index in table.indexes:
            assert "CREATE" in str(CreateIndex(index).compile(dialect=dialect))


def test_what_goes_with_a_removed_row_is_found_by_an_index() -> None:
    for table in metadata.sorted_tables:
        first = {next(iter(index.columns)).name for index in table.indexes} | {
            next(iter(table.primary_key.columns)).name
        }
        assert {key.parent.name for key in table.foreign_keys} <= first, table.name
