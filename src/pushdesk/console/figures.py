"""Times, ages, durations and counts in the few characters that a table has for them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pushdesk.local_time import in_zone

if TYPE_CHECKING:
    from datetime import datetime

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEAR = timedelta(days=180)
"""Within so long, a day is told without its year."""
LEAST_RATE = 0.05
"""Told as a tenth."""


def moment(time: datetime | None, now: datetime) -> str:
    """Return a time in the zone of `now`: with seconds today, with the day within half a year, else the date alone."""
    if time is None:
        return "never"
    local = in_zone(time, now.tzinfo)
    if local.date() == now.date():
        return f"{local:%H:%M:%S}"
    if abs(local - now) < NEAR:
        return f"{local:%b %d %H:%M}"
    return f"{local:%Y-%m-%d}"


def age(time: datetime, now: datetime) -> str:
    """Return how long ago a time is, in its largest unit."""
    seconds = int((now - time).total_seconds())
    if seconds < MINUTE:
        return "new"
    if seconds < HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < DAY:
        return f"{seconds // HOUR} h"
    return f"{seconds // DAY} d"


def duration(seconds: int) -> str:
    """Return a duration in the largest unit that it is a whole number of: `1 d`, `90 min`."""
    units = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (1, "s"))
    return next(f"{seconds // size} {name}" for size, name in units if seconds % size == 0)


def milliseconds(value: float | None) -> str:
    """Return a duration: `61 ms`, `1.2 s`, `12 s`."""
    if value is None:
        return "-"
    if value < 1000:
        return f"{value:.0f} ms"
    if value < 10_000:
        return f"{value / 1000:.1f} s"
    return f"{value / 1000:.0f} s"


def count(number: int) -> str:
    """Return a count in groups of three digits."""
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")


def rate(number: float) -> str:
    """Return a rate in at most four characters: `0`, `<0.1`, `0.4`, `412`, `1.2k`."""
    if number >= 10_000:
        return f"{number / 1000:.0f}k"
    if number >= 1000:
        return f"{number / 1000:.1f}k"
    if number >= 10 or number == int(number):
        return f"{number:.0f}"
    # One that rounds to nothing is something.
    return f"{number:.1f}" if number >= LEAST_RATE else f"<{2 * LEAST_RATE}"


def rate_on_scale(number: float) -> str:
    """Return a rate as what a scale ends at: `412/s`, `0.15/s`."""
    return f"{rate(number)}/s" if number >= 1 else f"{number:g}/s"


def percent(share: float) -> str:
    """Return a share in percent: `97.4 %`; `100 %` is said of all only."""
    return "100 %" if share >= 1 else f"{min(share * 100, 99.9):.1f} %"


def size(number: int) -> str:
    """Return a number of bytes: `812 B`, `1.2 MB`, `40 MB`."""
    for unit, factor in (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)):
        if number >= factor:
            value = number / factor
            return f"{value:.1f} {unit}" if value < 10 and number % factor else f"{value:.0f} {unit}"
    return f"{number} B"


def span(seconds: float) -> str:
    """Return a time to wait, or that has gone by: `00:42`, `12:05`, `1 h 05`."""
    whole = max(0, round(seconds))
    if whole < HOUR:
        return f"{whole // MINUTE:02}:{whole % MINUTE:02}"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE:02}"


def plural(number: int, one: str, many: str = "") -> str:
    """Return a count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"
