"""The log: one event per line, as JSON in a file, readable on the terminal, and the last ones in memory.

What pushdesk logs are the events of `pushdesk.log_events`. What libraries write through `logging` takes the same way,
less what they cannot know to be secret: endpoints are in their URLs, keys and tokens in the words of their errors.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pushdesk.errors import StartUpError
from pushdesk.lean_structlog import ProcessorFormatter, structlog
from pushdesk.log_events import LogLineLost, fields_of, name_of
from pushdesk.log_fields import Failure, Id
from pushdesk.model import LogLevel
from pushdesk.plain_text import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from io import TextIOWrapper
    from pathlib import Path

    from structlog.typing import Processor

    from pushdesk.log_events import LogEvent
    from pushdesk.log_ring import LogRing

FILE_BYTES: Final = 10_000_000
OLD_FILES: Final = 3
MAX_MESSAGE: Final = 500
"""Characters of what a library says."""

_NUMBERS: Final = {level: logging.getLevelNamesMapping()[level.upper()] for level in LogLevel}

_PLACEHOLDERS: Final = re.compile(r"%(?:\(\w*\))?[#0+-]*[\d*]*(?:\.[\d*]+)?[hlL]?[a-zA-Z]")
# An escape sequence begins none; it is left out later.
_REPR: Final = re.compile(r"""(?:[<({'"\n]|(?<!\x1b)\[).*""", re.DOTALL)

_ids: Final[ContextVar[Mapping[str, Id]]] = ContextVar("ids")
"""What is worked on, as `bound` named it."""


def _add_ids(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name what is worked on, unless the line does so itself."""
    for name, value in _ids.get({}).items():
        line.setdefault(name, str(value))
    return line


_destination: Final = logging.getLogger("pushdesk")
_log: Final[structlog.stdlib.BoundLogger] = structlog.wrap_logger(
    _destination,
    processors=[_add_ids, ProcessorFormatter.wrap_for_formatter],
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)


def wants(kind: type[LogEvent]) -> bool:
    """Say whether events of this kind are logged, for whoever would have to put one together."""
    return _destination.isEnabledFor(_NUMBERS[kind.level])


def write(event: LogEvent) -> None:
    """Log an event, if its level is logged."""
    number = _NUMBERS[event.level]
    if _destination.isEnabledFor(number):
        _log.log(number, name_of(type(event)), **fields_of(event))


class bound:  # noqa: N801 (a block is written with it)
    """Name what is worked on in every line that is logged within this block, by libraries too.

    What is called and awaited inside belongs to it, and so do the tasks that are started inside.
    """

    __slots__ = ("_before", "_named")

    def __init__(self, *, request: Id | None = None, dispatch: Id | None = None, device: Id | None = None) -> None:
        self._named: dict[str, Id] = {}
        if request is not None:
            self._named["request"] = request
        if dispatch is not None:
            self._named["dispatch"] = dispatch
        if device is not None:
            self._named["device"] = device

    def __enter__(self) -> None:
        self._before = _ids.set({**_ids.get({}), **self._named})

    def __exit__(self, *_raised: object) -> None:
        _ids.reset(self._before)


def current_request() -> Id | None:
    """Return the id of the request that is worked on, as `bound` named it."""
    return _ids.get({}).get("request")


def start_log(file: Path, *, level: str, on_terminal: bool, ring: LogRing | None = None) -> None:
    """Send everything logged from now on, at this level or above, to a file (0600), and to where else it is wanted.

    Args:
        file: Grows to 10 MB and is then begun anew; three older ones are kept.
        level: A `LogLevel`.
        on_terminal: Whether to write it to stderr too, for a person.
        ring: Holds the last lines in memory.

    Raises:
        StartUpError: The file cannot be written.
    """
    handlers: list[logging.Handler] = [_file_handler(file)]
    if on_terminal:
        terminal = logging.StreamHandler(sys.stderr)
        colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        terminal.setFormatter(
            _formatter(structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="time", sort_keys=False))
        )
        handlers.append(terminal)
    if ring is not None:
        handlers.append(_RingHandler(ring))
    # What goes wrong in a handler would be told on stderr, under the console, with the line that it was about.
    logging.raiseExceptions = False
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    # At debug these tell what nobody asked: each statement, each trip to the database, each selector.
    for noisy in ("asyncio", "aiosqlite", "sqlalchemy", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _FileHandler(RotatingFileHandler):
    """Writes files that their owner alone may read, whatever mode they were made with."""

    _fails = False
    _failed = False

    def emit(self, record: logging.LogRecord) -> None:
        self._failed = False
        super().emit(record)
        self._fails = self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 (logging's own)
        """Tell once that lines are lost, to where they still can be written."""
        self._failed = True
        error = sys.exception()
        if not self._fails and error is not None:
            self._fails = True
            write(LogLineLost(Failure.of(error)))
            self._failed = True

    def _open(self) -> TextIOWrapper:
        handle = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # Not a terminal or a pipe, which are no files of ours.
        if stat.S_ISREG(os.fstat(handle).st_mode):
            os.fchmod(handle, 0o600)
        return os.fdopen(handle, "a", encoding=self.encoding)


class _RingHandler(logging.Handler):
    """Holds in memory what the file gets."""

    def __init__(self, ring: LogRing) -> None:
        super().__init__()
        self._ring = ring
        self.setFormatter(_formatter(_json))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = msgspec.json.decode(self.format(record), type=dict[str, Any])
            del fields["time"]
            level, event, logger = LogLevel(fields.pop("level")), fields.pop("event"), fields.pop("logger")
            self._ring.add(_time(record), level, event, logger, fields)
        except Exception:  # noqa: BLE001 (as every handler: whoever logs is not to fail because of it)
            self.handleError(record)


def _file_handler(file: Path) -> logging.Handler:
    try:
        handler = _FileHandler(file, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")
        for number in range(1, OLD_FILES + 1):
            old = file.with_name(f"{file.name}.{number}")
            if old.exists():
                old.chmod(0o600)
    except OSError as error:
        raise StartUpError(f"The log file {file} cannot be written: {error.strerror}.") from None
    handler.setFormatter(_formatter(_json))
    return handler


def _formatter(renderer: Processor) -> logging.Formatter:
    return ProcessorFormatter(
        foreign_pre_chain=[_add_ids, _guard],
        processors=[_put_in_order, renderer],
        # The words without what is put into them.
        use_get_message=False,
    )


def _guard(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make what a library says fit for the log, and tell of an error what `Failure` does.

    A library does not know what is secret. So only its words are kept, which it has from whoever wrote it: neither what
    it puts into them, nor what looks like the repr of something, as asyncio has them of callbacks with their arguments.
    """
    said = line["_record"].msg
    words = _REPR.sub("", _PLACEHOLDERS.sub("…", said)) if isinstance(said, str) else type(said).__name__
    line["event"] = without_secrets(words)[:MAX_MESSAGE] or "…"
    line.pop("stack_info", None)
    caught = line.pop("exc_info", None)
    if isinstance(caught, tuple) and caught[1] is not None:
        failure = Failure.of(caught[1])
        line.update(error=str(failure.error), where=str(failure.where))
    return line


def _put_in_order(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Begin every line with the same four fields."""
    record: logging.LogRecord = line.pop("_record")
    del line["_from_structlog"]
    return {
        "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _level(record.levelno),
        "logger": record.name,
        "event": line.pop("event"),
        **line,
    }


def _json(_logger: object, _method: str, line: MutableMapping[str, Any]) -> str:
    return msgspec.json.encode(line).decode()


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _level(number: int) -> LogLevel:
    """Return the nearest level below a library's own."""
    return next((level for level in reversed(LogLevel) if _NUMBERS[level] <= number), LogLevel.DEBUG)
