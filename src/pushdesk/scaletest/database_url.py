"""Which database a scale test works on, as SQLAlchemy names it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from pushdesk.errors import StartUpError

_EXAMPLE = "Write it as sqlite:////srv/scale.db, for instance."


def database_file(url: str) -> Path:
    """Return the file that a URL names. It is to be a new one: a scale test makes thousands of users.

    Raises:
        StartUpError: It is no URL, its driver is not there, pushdesk does not store in such a database, or it is there.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StartUpError("--database-url is no database URL.", hint=_EXAMPLE) from None
    # What else is in it may be a password.
    kind = parsed.get_backend_name()
    if kind != "sqlite":
        try:
            parsed.get_dialect().import_dbapi()
        except (NoSuchModuleError, ImportError, NotImplementedError):
            raise StartUpError(
                f"--database-url: there is no driver for {parsed.drivername} here, and pushdesk stores in SQLite only."
            ) from None
        raise StartUpError(f"--database-url: pushdesk stores in SQLite only, and this is {kind}.", hint=_EXAMPLE)
    if not parsed.database or parsed.database == ":memory:":
        raise StartUpError("--database-url names no file.", hint=_EXAMPLE)
    file = Path(parsed.database).absolute()
    if not file.parent.is_dir():
        raise StartUpError(f"--database-url: there is no folder {file.parent}.")
    check_new(file)
    return file


def check_new(file: Path) -> None:
    """Refuse a database that is there.

    Raises:
        StartUpError: It is.
    """
    if file.exists():
        raise StartUpError(
            f"--database-url: {file} is there already.", hint="Name a new one: it gets thousands of users."
        )
