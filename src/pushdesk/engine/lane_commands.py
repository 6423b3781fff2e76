"""What operators do to the lanes of push services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.log import write
from pushdesk.log_events import LaneReset

if TYPE_CHECKING:
    from pushdesk.clock import Clock
    from pushdesk.engine.brakes import Brakes
    from pushdesk.engine.lanes import Lanes
    from pushdesk.engine.statistics import Statistics
    from pushdesk.model import Service, ServiceHealth
    from pushdesk.storage.lanes import LaneTable


class LaneCommands:
    """Pauses, resumes and resets.

    Args:
        table: Keeps what is paused: a restart sends nothing that was not to be sent.
        lanes: Take effect at once.
        brakes: Whether a push service is believed.
        statistics: How push services have been answering.
        clock: Since when something is paused.
    """

    def __init__(self, table: LaneTable, *, lanes: Lanes, brakes: Brakes, statistics: Statistics, clock: Clock) -> None:
        self._table = table
        self._lanes = lanes
        self._brakes = brakes
        self._statistics = statistics
        self._clock = clock

    async def pause(self, service: Service) -> ServiceHealth:
        """Send nothing more to a push service; what is under way ends. Returns how it is now.

        Raises:
            DatabaseError: Nothing was changed.
        """
        await self._table.pause(service, round(self._clock.time() * 1000))
        self._lanes.pause(service)
        return self.health(service)

    async def resume(self, service: Service) -> ServiceHealth:
        """Send to a push service again that was paused; returns how it is now.

        Raises:
            DatabaseError: Nothing was changed.
        """
        await self._table.resume(service)
        self._lanes.resume(service)
        return self.health(service)

    async def reset(self, service: Service) -> ServiceHealth:
        """Forget what was wrong with a push service, and try again at once; one that is paused stays so.

        Returns how it is now.
        """
        self._lanes.reset(service)
        write(LaneReset(service=service))
        return self.health(service)

    def health(self, service: Service) -> ServiceHealth:
        """Return how a push service is now."""
        return self._brakes.of(self._lanes.health(service, self._statistics.services()))
