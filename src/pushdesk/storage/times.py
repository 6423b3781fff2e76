"""Times as the tables hold them: milliseconds since the epoch, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def to_datetime(milliseconds: int) -> datetime:
    """Return the aware time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def to_datetime_or_none(milliseconds: int | None) -> datetime | None:
    """Return the aware time in UTC, or None for an absent one."""
    return None if milliseconds is None else to_datetime(milliseconds)


def to_milliseconds(time: datetime) -> int:
    """Return milliseconds since the epoch."""
    return round(time.timestamp() * 1000)
