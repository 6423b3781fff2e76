"""The log."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class LogLevel(StrEnum):
    """How much an entry of the log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class LogEntry(Struct, frozen=True, gc=False):
    """A line of the log."""

    seq: int
    """Counts the lines since the server started."""
    time: datetime
    level: LogLevel
    event: str
    """What happened, in snake_case; a sentence where a library says it."""
    logger: str = ""
    fields: dict[str, Any] = {}
