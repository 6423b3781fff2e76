"""When something is to be sent, as a person writes it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from pushdesk.setting_values import duration

LONGEST: Final = 32
"""Characters."""
EXAMPLES: Final = "18:30, 2026-12-24 08:00, or 2h"
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_HORIZON_S: Final = 366 * 86_400
_read_duration: Final = duration(1, _HORIZON_S)


def read_send_at(text: str, now: datetime) -> datetime | None:
    """Return when that is; None where nothing is written.

    A time of day is the next one, a date is in the zone in which times are shown unless it names its own, and a
    duration is counted from now.

    Args:
        text: A time of day, a date with a time, or a duration.
        now: The time, in the zone in which times are shown.

    Raises:
        ValueError: It is none of these, or past; with a sentence.
    """
    text = text.strip()
    if not text:
        return None
    if (found := _TIME.fullmatch(text)) is not None:
        today = now.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)
    try:
        return now.replace(microsecond=0) + timedelta(seconds=_read_duration(text.removeprefix("in ").strip()))
    except ValueError:
        pass
    try:
        wanted = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"Send at must be a time, a date with a time, or a duration: {EXAMPLES}.") from None
    if wanted.tzinfo is None:
        wanted = wanted.replace(tzinfo=now.tzinfo)
    if wanted <= now:
        raise ValueError("Send at must not be past.")
    return wanted
