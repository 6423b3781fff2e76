"""Pictures of the deliveries and of one of them, each taken after what it says was asserted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from pushdesk.errors import PushdeskError
from pushdesk.model import Attempt, Delivery, Outcome, Service
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    import pytest

    from pushdesk.model import DeliveryRecord, Page, PageQuery
    from tests.console.conftest import Snap


class _Broken(FakeDesk):
    async def deliveries(self, query: PageQuery) -> Page[Delivery]:
        del query
        raise PushdeskError("The database is locked.", code="database_error")


class _Silent(FakeDesk):
    async def delivery(self, delivery: str) -> DeliveryRecord:
        del delivery
        await asyncio.Event().wait()
        raise AssertionError


def retried_desk(desk: FakeDesk | None = None) -> FakeDesk:
    """Return a server on which a delivery was tried three times, and is tried again."""
    desk = desk or FakeDesk()
    one = desk.subscribe("ada", service=Service.APPLE, browser="Safari", platform="iPhone")
    retried = desk.deliver(
        one,
        Outcome.THROTTLED,
        attempts=3,
        reason="TooManyRequests",
        latency_ms=84.0,
        at=NOON - timedelta(seconds=18),
        next_attempt_at=NOON + timedelta(seconds=42),
    )
    desk.attempts[retried.id] = (
        Attempt(
            1,
            NOON - timedelta(seconds=64),
            Outcome.TRANSIENT,
            503,
            "upstream connect error or disconnect/reset before headers",
            1240.0,
            {"via": "1.1 google"},
        ),
        Attempt(2, NOON - timedelta(seconds=41), Outcome.TRANSIENT, None, "The push service did not answer in 10 s."),
    )
    desk.headers[retried.id] = {
        "apns-id": "2BF1C1D4-8A93-4B3F-9C0B-1E6B1B8D2A11",
        "retry-after": "60",
        "content-type": "application/json",
    }
    return desk


@every_size
def test_deliveries(snap: Snap, size: tuple[int, int]) -> None:
    says = ["↻ 503 will retry", "! 403 our key", "201 ms", "following", "r Send again"]
    snap(console(busy_desk()), size, press=["5"], says=says)


@smallest_size
def test_deliveries_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["5"], says=["Nothing was sent yet.", "Press t to send a test."])


@each_size
def test_deliveries_paused(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    one = desk.subscribe("fay")
    snap(
        console(desk),
        size,
        press=["5", "p"],
        says=["paused, 0 new", "201 ms"],
        act=lambda: [desk.deliver(one) for _ in range(7)],
        then_says=["paused, 7 new"],
    )


@smallest_size
def test_deliveries_that_could_not_be_listed(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Broken()
    desk.subscribe("ada")
    snap(console(desk), size, press=["5"], says=["The database is locked."])


@smallest_size
def test_deliveries_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk(), read_only=True), size, press=["5"], says=["READ-ONLY", "r Send again"])


@smallest_size
def test_deliveries_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    snap(console(desk), size, press=["5"], says=["201 ms"], act=desk.lose, then_says=["↻ reconnecting", "201 ms"])


@smallest_size
def test_deliveries_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(busy_desk()), size, press=["5"], says=["↻ 503 will retry", "! 403 our key", "✗ 410 gone"])


@every_size
def test_a_delivery_that_was_tried_three_times(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "ada · Safari · iPhone",
        "It is tried again at 12:04:26, in 00:42, until Nov 23 12:03.",
        "no topic, urgency normal, kept for 1 d",
        "↻ 503 will retry",
        "TooManyRequests",
        "retry-after: 60",
        "apns-id: 2BF1C1D4",
        "D Dispatch",
    ]
    snap(console(retried_desk()), size, press=["5", "enter"], says=says)


@smallest_size
def test_a_delivery_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    says = ["r Send again", "✓ 201", "Nothing: Mozilla has taken it"]
    snap(console(busy_desk(), read_only=True), size, press=["5", "home", "enter"], says=says)


@smallest_size
def test_a_delivery_that_is_waited_for(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(retried_desk(_Silent())), size, press=["5", "enter"], says=["loading…"], waits=True)


@smallest_size
def test_a_delivery_that_is_no_more(snap: Snap, size: tuple[int, int]) -> None:
    desk = retried_desk()

    def forget() -> None:
        desk._deliveries.clear()
        desk.lose()
        desk.come_back(anew=True)

    then_says = ["✗ There is nothing here", "There is no delivery", "R tries again"]
    snap(console(desk), size, press=["5", "enter"], says=["retry-after: 60"], act=forget, then_says=then_says)


@smallest_size
def test_the_answer_to_an_attempt(snap: Snap, size: tuple[int, int]) -> None:
    says = ["attempt 1", "upstream connect error or disconnect/reset before", "headers", "via: 1.1 google"]
    snap(console(retried_desk()), size, press=["5", "enter", "home", "enter"], says=says)


@each_size
def test_a_dispatch(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Dispatch", "title     Hello", "↻ sending", "dispatch-0047", "12:04:26"]
    snap(console(busy_desk()), size, press=["5", "enter", "D"], says=says)
