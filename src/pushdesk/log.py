"""The log: one event per line, as JSON in a file and, where nobody paints on it, readable on the terminal.

What libraries write through `logging` takes the same way as what we write through structlog.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Final

import structlog

from pushdesk.errors import StartUpError

if TYPE_CHECKING:
    from io import TextIOWrapper
    from pathlib import Path

    from structlog.typing import Processor

FILE_BYTES: Final = 10_000_000
OLD_FILES: Final = 3


def start_log(file: Path, *, level: str, on_terminal: bool) -> None:
    """Send everything logged from now on, at this level or above, to a file (0600), on the terminal to stderr too.

    Raises:
        StartUpError: The file cannot be written.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Not structlog's richer tracebacks: those show local variables, and some of them are secrets.
        structlog.processors.format_exc_info,
    ]
    handlers: list[logging.Handler] = [_file_handler(file)]
    handlers[0].setFormatter(_formatter(shared, structlog.processors.JSONRenderer()))
    if on_terminal:
        terminal = logging.StreamHandler(sys.stderr)
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        terminal.setFormatter(_formatter(shared, structlog.dev.ConsoleRenderer(colors=colors)))
        handlers.append(terminal)
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    # At debug these tell what nobody asked: each statement, each selector.
    for noisy in ("asyncio", "aiosqlite", "sqlalchemy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class _PrivateFileHandler(RotatingFileHandler):
    """Writes files that their owner alone may read, whatever mode they were made with."""

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Not a terminal or a pipe, which are no files of ours.
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.fchmod(handle, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)


def _file_handler(file: Path) -> logging.Handler:
    try:
        handler = _PrivateFileHandler(file, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")
        for number in range(1, OLD_FILES + 1):
            old = file.with_name(f"{file.name}.{number}")
            if old.exists():
                old.chmod(0o600)
    except OSError as error:
        raise StartUpError(f"The log file {file} cannot be written: {error.strerror}.") from None
    return handler


def _formatter(shared: list[Processor], renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
