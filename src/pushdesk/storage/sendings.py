"""What was sent, as far as it tells why somebody did not get it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pushdesk.model import DispatchState
from pushdesk.storage.times import to_datetime

if TYPE_CHECKING:
    from pushdesk.model import Dispatch

_LAST_MOMENT_MS: Final = round(datetime(9999, 12, 30, tzinfo=UTC).timestamp() * 1000)
"""What is to be sent at the end of time ends after what a datetime can be."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A dispatch, and when it is to be sent."""

    dispatch: Dispatch
    """Without its deliveries."""
    due_at: datetime
    expires_at: datetime
    """Until when a push service is asked to keep it."""
    ttl_s: int
    """For how long it was asked to, counted from when it was first due."""
    subscription: str | None = None
    """The one that it is for, as a test push or what is sent again may be; None for all of a user's."""

    def is_later(self, now: datetime) -> bool:
        """Whether it is scheduled for a time to come."""
        return self.dispatch.state is DispatchState.SCHEDULED and self.due_at > now


def moment(milliseconds: int) -> datetime:
    """Return a moment, or the last one that a datetime can be."""
    return to_datetime(min(milliseconds, _LAST_MOMENT_MS))
