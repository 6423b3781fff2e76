"""Times in the zone of whoever looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, tzinfo


def in_zone(time: datetime, zone: tzinfo | None = None) -> datetime:
    """Return a time in a zone, or in that of this machine.

    One so close to the first or the last that a datetime can be that the zone leads beyond stays in its own: what a
    server answers may be any.
    """
    try:
        return time.astimezone(zone)
    except (OverflowError, ValueError, OSError):
        return time
