"""Pictures of the subscriptions and of one of them, each taken after what it says was asserted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pushdesk.errors import PushdeskError
from pushdesk.model import Attempt, Outcome, SubscriptionState
from tests.console.fake_desk import NOON, FakeDesk
from tests.console.scenes import busy_desk, console, empty_desk
from tests.console.sizes import each_size, every_size, smallest_size

if TYPE_CHECKING:
    from pushdesk.model import Page, PageQuery, Subscription
    from tests.console.conftest import Snap

WARNINGS = (
    "Apple will refuse every push: the subscriber claim mailto:admin@localhost is not one it takes.",
    "The access URL is not https: only browsers on this machine can subscribe.",
)


class _Broken(FakeDesk):
    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        del query
        raise PushdeskError("The database is locked.", code="database_error")


class _Silent(FakeDesk):
    async def subscriptions(self, query: PageQuery) -> Page[Subscription]:
        del query
        await asyncio.Event().wait()
        raise AssertionError


def storied_desk() -> FakeDesk:
    """Return a server with a device that has seen much, and is gone."""
    desk = FakeDesk()
    one = desk.subscribe(
        "bo",
        browser="Chrome",
        platform="Android",
        state=SubscriptionState.GONE,
        created_at=NOON - timedelta(days=40),
        last_success_at=NOON - timedelta(days=9),
        last_failure_at=NOON - timedelta(hours=3),
        failures=2,
    )
    desk.deliver(one, at=NOON - timedelta(days=6), latency_ms=74.0)
    retried = desk.deliver(one, at=NOON - timedelta(days=2), attempts=3, latency_ms=91.0)
    desk.attempts[retried.id] = (
        Attempt(1, NOON - timedelta(days=2, minutes=6), Outcome.THROTTLED, 429, "TooManyRequests", 55.0),
        Attempt(2, NOON - timedelta(days=2, minutes=3), Outcome.TRANSIENT, 503, "upstream connect error", 1240.0),
    )
    desk.deliver(one, Outcome.GONE, at=NOON - timedelta(hours=3), reason="push subscription has unsubscribed")
    return desk


@every_size
def test_subscriptions(snap: Snap, size: tuple[int, int]) -> None:
    says = ["Firefox · Linux", "✗ gone", "Mozilla#3779b1", "1 to 6 of 6 · ", "w Why?"]
    snap(console(busy_desk()), size, press=["3"], says=says)


@smallest_size
def test_subscriptions_with_warnings(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    desk.set_stats(warnings=WARNINGS)
    snap(console(desk), size, press=["3"], says=["! 2 warnings: see Overview", "Firefox · Linux"])


@smallest_size
def test_subscriptions_of_a_first_start(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(empty_desk()), size, press=["3"], says=["No browser is subscribed yet.", "http://localhost:8484"])


@smallest_size
def test_subscriptions_filtered(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3", "slash", "a", "d", "a", "enter"], says=["filter: ada", "1 to 2"])


@smallest_size
def test_a_filter_that_matches_nothing(snap: Snap, size: tuple[int, int]) -> None:
    press = ["3", "slash", "z", "z", "enter"]
    snap(console(busy_desk()), size, press=press, says=["No user's name contains zz", "esc shows"])


@smallest_size
def test_subscriptions_that_are_waited_for(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Silent()
    desk.subscribe("ada")
    snap(console(desk), size, press=["3"], says=["loading…"], waits=True)


@smallest_size
def test_subscriptions_that_could_not_be_listed(snap: Snap, size: tuple[int, int]) -> None:
    desk = _Broken()
    desk.subscribe("ada")
    snap(console(desk), size, press=["3"], says=["This could not be listed.", "R tries again"])


@smallest_size
def test_subscriptions_that_may_only_be_looked_at(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk(), read_only=True), size, press=["3"], says=["READ-ONLY", "T Test", "✗ gone"])


@smallest_size
def test_subscriptions_after_the_connection_was_lost(snap: Snap, size: tuple[int, int]) -> None:
    desk = busy_desk()
    snap(console(desk), size, press=["3"], says=["✗ gone"], act=desk.lose, then_says=["↻ reconnecting", "✗ gone"])


@pytest.mark.parametrize("theme", ["pushdesk-light", "ansi-dark"])
def test_subscriptions_in_other_themes(snap: Snap, theme: str) -> None:
    app = console(busy_desk())
    app.theme = theme
    snap(app, (80, 24), press=["3"], says=["✓ active", "✗ gone"])


@smallest_size
def test_subscriptions_without_colours(snap: Snap, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    snap(console(busy_desk()), size, press=["3"], says=["✓ active", "✗ gone"])


@every_size
def test_the_timeline_of_a_subscription(snap: Snap, size: tuple[int, int]) -> None:
    says = [
        "state          ✗ gone",
        "7f3a92aa  ✓ current",
        "Mozilla answered 410: nothing",
        "✗ 410 gone",
        "↻ 503 will retry",
        "↻ 429 throttled",
        *(["✓ last success", "+ subscribed"] if size[1] > 24 else []),
    ]
    snap(console(storied_desk()), size, press=["3", "enter"], says=says)


@smallest_size
def test_the_timeline_of_a_subscription_that_was_removed(snap: Snap, size: tuple[int, int]) -> None:
    desk = storied_desk()

    def remove() -> None:
        asyncio.get_running_loop().create_task(desk.remove_subscriptions(["sub-0001"]))

    snap(console(desk), size, press=["3", "enter"], says=["✗ gone"], act=remove, then_says=["- removed"])


@each_size
def test_removing_a_subscription_asks(snap: Snap, size: tuple[int, int]) -> None:
    snap(console(busy_desk()), size, press=["3", "d"], says=["Remove this subscription?", "Cancel"])
