"""Every fault of the simulator, and what is done about it: each row of the table, on a real server."""

from __future__ import annotations

import ssl
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from pushdesk.client import HttpDesk
from pushdesk.errors import PushdeskError
from pushdesk.model import Notification, Outcome, PageQuery
from pushdesk.simulator.browser import VirtualBrowser
from pushdesk.simulator.service import Simulator
from tests.faults.fault_table import TABLE, TTL_S
from tests.server.running import ADMIN_TOKEN, Surroundings, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from pushdesk.model import DeliveryRecord, SubscriptionState
    from tests.faults.fault_table import Row

SHORT_S: Final = 0.5
"""How long a push service may take."""


@dataclass(frozen=True)
class Scene:
    """A server, two users with a device each, and the push service of the first, which does what it is told."""

    url: str
    desk: HttpDesk
    simulator: Simulator
    ada: VirtualBrowser
    bo: VirtualBrowser

    async def first_attempts(self, row: Row) -> DeliveryRecord:
        """Notify ada, and wait until all is tried that is not to wait."""
        dispatch = await self.desk.notify("ada", Notification("Hello", ttl=TTL_S))
        async with aclosing(self.desk.events()) as events:
            async for _ in events:
                deliveries = (await self.desk.dispatch(dispatch.id)).deliveries
                if len(deliveries) == 1 and deliveries[0].attempts == len(row.outcomes):
                    return await self.desk.delivery(deliveries[0].id)
        raise AssertionError

    async def state(self) -> SubscriptionState:
        """Return what has become of ada's subscription."""
        (found,) = [one for one in (await self.desk.subscriptions(PageQuery())).items if one.user == "ada"]
        return found.state


def at_once(low: float, _high: float) -> float:
    """Draw no jitter: what is tried again without being asked to wait is tried at once."""
    return low * 0


@asynccontextmanager
async def scene(data_dir: Path, service: str) -> AsyncIterator[Scene]:
    """Set up a scene; with a service, it is that one by its name and its certificate, and bo's is another."""
    async with Simulator(tls=bool(service)) as simulator:
        around = Surroundings(also_allowed=(simulator.origin,), timeout_s=SHORT_S, uniform=at_once)
        if simulator.certificate is not None:
            trusted = ssl.create_default_context(cadata=simulator.certificate.decode())
            around = Surroundings(timeout_s=SHORT_S, uniform=at_once, proxy=simulator.origin, tls=trusted)
        other = "" if not service else "fcm" if service != "fcm" else "wns"
        async with (
            running(data_dir, surroundings=around) as server,
            HttpDesk(server.url, ADMIN_TOKEN) as desk,
            VirtualBrowser(f"{simulator.url}/{service}", user="ada") as ada,
            VirtualBrowser(f"{simulator.url}/{other}", user="bo") as bo,
        ):
            yield Scene(server.url, desk, simulator, ada, bo)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.service} {row.fault}".strip())
async def test_what_is_done_about_it(tmp_path: Path, row: Row) -> None:
    async with scene(tmp_path, row.service) as at:
        for browser in (at.ada, at.bo):
            await browser.subscribe(at.url)
        whom = f"@service={row.service}" if row.fault.startswith("tls-") else "@browser=1"
        at.simulator.set_faults([f"{row.fault}{whom}@next=1"])
        record = await at.first_attempts(row)

        delivery = record.delivery
        assert tuple(attempt.outcome for attempt in record.attempts) == row.outcomes
        assert row.says in delivery.reason
        if row.wait_s is None:
            assert delivery.next_attempt_at is None
        else:
            assert delivery.next_attempt_at is not None
            waits_s = (delivery.next_attempt_at - delivery.at).total_seconds()
            assert row.wait_s - 1 <= waits_s <= row.wait_s + 1
        assert await at.state() is row.state
        # To another device all goes as ever.
        other = await at.desk.notify("bo", Notification("Hello"), wait_s=10)
        assert [(one.outcome, one.attempts) for one in other.deliveries] == [(Outcome.ACCEPTED, 1)]
        assert (await at.bo.wait_for_message("Hello")).title == "Hello"
        assert [message.title for message in at.ada.received].count("Hello") == row.copies


async def test_an_endpoint_that_leads_nowhere_is_not_subscribed_and_keeps_nobody_else(tmp_path: Path) -> None:
    async with scene(tmp_path, "") as at:
        at.simulator.set_faults(["removed@browser=1"])
        with pytest.raises(PushdeskError) as caught:
            await at.ada.subscribe(at.url)
        assert caught.value.code == "endpoint_refused"
        await at.bo.subscribe(at.url)
        assert (await at.desk.notify("bo", Notification("Hello"), wait_s=10)).counts == {Outcome.ACCEPTED: 1}
        assert (await at.desk.notify("ada", Notification("Hello"), wait_s=10)).counts == {}
