"""Commands for push services, in the words in which it is told what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pushdesk.console.device_commands import Said
from pushdesk.console.figures import plural
from pushdesk.console.status import LANES, SERVICES
from pushdesk.model import LaneState

if TYPE_CHECKING:
    from pushdesk.desk import Desk
    from pushdesk.model import Service, ServiceHealth


async def pause(desk: Desk, service: Service) -> Said:
    """Send nothing to a push service until it is resumed.

    Raises:
        PushdeskError: It was refused, as with the ones below.
    """
    await desk.pause_service(service)
    return Said(f"{SERVICES[service]} is paused: what is for it waits.")


async def resume(desk: Desk, service: Service) -> Said:
    """Send to a push service again that was paused."""
    return _said(await desk.resume_service(service), "resumed")


async def reset(desk: Desk, service: Service) -> Said:
    """Forget what was wrong with a push service."""
    return _said(await desk.reset_service(service), "reset")


async def confirm(desk: Desk, service: Service, word: str) -> Said:
    """Disable what a push service's brake holds."""
    decided = await desk.confirm_brake(service, confirm=word)
    return Said(f"{SERVICES[service]}: {plural(decided.subscriptions, 'device')} disabled. Each can be restored.")


async def release(desk: Desk, service: Service, word: str) -> Said:
    """Send again to what a push service's brake holds."""
    decided = await desk.release_brake(service, confirm=word)
    is_one = decided.subscriptions == 1
    return Said(
        f"{SERVICES[service]}: {plural(decided.subscriptions, 'device')} {'is' if is_one else 'are'} sent to again."
    )


def _said(health: ServiceHealth, what: str) -> Said:
    look = LANES[health.state]
    return Said(f"{SERVICES[health.service]} is {what}: {look.glyph} {look.word}", health.state is LaneState.OPEN)
