"""Failures in the log: what and where, never the words of an exception of others, which may hold an endpoint."""

from __future__ import annotations

import structlog

from pushdesk.errors import PushdeskError
from pushdesk.tracebacks import where

log = structlog.get_logger()


def log_failure(event: str, error: Exception, **fields: object) -> None:
    """Log an error: our own with what it says, any other by its kind and the places it came through."""
    if isinstance(error, PushdeskError):
        log.error(event, code=error.code, detail=error.detail, **fields)
    else:
        log.error(event, error=type(error).__name__, where=where(error), **fields)
