"""Which revision of the schema a database has, and how it comes to the newest."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import insert, inspect, select, text

from pushdesk.errors import DatabaseError
from pushdesk.storage.schema import server_state

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD: Final = "0005"
"""The newest revision. Known here so that Alembic is loaded only when there is something to do."""

KNOWN: Final = frozenset({"0001", "0002", "0003", "0004", "0005"})


def upgrade(connection: Connection) -> None:
    """Bring the schema to `HEAD`, inside the caller's transaction.

    Raises:
        DatabaseError: The database was written by a newer pushdesk.
    """
    found = _revision(connection)
    if found == HEAD:
        return
    if found is not None and found not in KNOWN:
        raise DatabaseError(
            f"The database has schema revision {found}, which this pushdesk does not know.",
            hint="It was written by a newer version: start that one.",
        )
    from alembic import command  # noqa: PLC0415 (a third of a second, needed once)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    # The option is a template: a percent sign stands for itself when doubled.
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
    if connection.scalar(select(server_state.c.id)) is None:
        connection.execute(insert(server_state).values(id=1, generation=0, digest_key=secrets.token_bytes(32)))


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision
